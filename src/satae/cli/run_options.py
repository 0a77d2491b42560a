"""The options ``resume=``, ``rerun=``, ``sweep=`` and ``fail_fast=``, and whether a folder can be written to."""

from __future__ import annotations

import errno
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from satae.cli.app import warn_of_repetition
from satae.cli.overrides import MULTIRUN, RUN_FOLDER, SUBFOLDER, SWEEP_FOLDER, config_overrides, task_overrides
from satae.cli.typed_text import keep_text, quote_value
from satae.config import Config
from satae.config.option_types import MAX_THREADS
from satae.config.plugins import PLUGINS
from satae.config.saved_config import read_config, read_json
from satae.config.schema import EXECUTION_OPTIONS, PRESETS, TRAINING, all_path_options, is_among, key_of
from satae.errors import ConfigError
from satae.launchers import selection
from satae.messages import brief, is_utf8, one_line, quote_word
from satae.runs import own_files
from satae.runs.layout import CONFIG_FILE, MANIFEST_FILE, MAX_JSON_BYTES, OUTPUTS_FOLDER, RECORD_FILE, name_one_run
from satae.sweeps import manifest
from satae.training import OLD_CHECKPOINT


class RunOptions(NamedTuple):
    """What a command line of satae-train asks for, beside the choices that Hydra composes."""

    # overrides, with the stored configuration of resume= or rerun=; of a sweep that resumes, those of each command line
    commands: list[list[str]]
    multirun: bool
    stored_config: Config | None = None  # of the run that is resumed
    rerun_of: Path | None = None  # the directory of the run whose configuration a new run takes
    sweep: Path | None = None  # the folder of a sweep with a name
    fail_fast: bool = False  # start no more runs after one has failed
    moved: Sequence[str] = ()  # overrides that say where the data of a sweep lie now
    plugins: Sequence[str] = ()  # the names of plugins in the command lines of a sweep that resumes


def read_run_options(words: Sequence[str], multirun: bool) -> RunOptions:
    """Read ``resume=``, ``rerun=``, ``sweep=`` and ``fail_fast=``; the other words stay overrides.

    Raises:
        ConfigError: an option cannot be used, or the run or sweep that it names does not exist.
    """
    warn_of_repetition(words, allowed=("sweep", "resume", "rerun"))  # have messages of their own
    _refuse_folders(words)
    several = multirun or any(word.startswith("sweep=") or MULTIRUN.fullmatch(word) for word in words)
    options = _read_stored_run([keep_text(word, TRAINING) for word in words], several)
    overrides = selection.replace_plugin_names(options.commands[0])
    for key, example in (("sweep", "sweep=first"), ("fail_fast", "fail_fast=true"), (PLUGINS, "plugins=ramp.py")):
        if key in overrides:
            raise ConfigError(f"{key}: has no value; write {example}, for example")
    names, fast = ([word[len(key) :] for word in overrides if word.startswith(key)] for key in ("sweep=", "fail_fast="))
    overrides = [word for word in overrides if not word.startswith(("sweep=", "fail_fast="))]
    if fast and not several:
        raise ConfigError(f"fail_fast={fast[-1]}: is for sweeps; add -m, or leave it out")
    if fast and fast[-1] not in ("true", "false"):
        raise ConfigError(f"fail_fast={fast[-1]}: must be true or false")
    for word in overrides if several else ():
        key = key_of(word)
        if key == SUBFOLDER:
            raise ConfigError(f"{word}: the folders of a sweep are named by what it varies; leave it out")
        if names and key in (SWEEP_FOLDER, RUN_FOLDER):
            raise ConfigError(f"{word}: sweep= names the folder; leave one of them out")
    options = options._replace(commands=[overrides], fail_fast=fast[-1:] == ["true"])
    if not names:
        return options
    if len(names) > 1:
        raise ConfigError(f"sweep={names[0]} sweep={names[1]}: name one sweep")
    sweep = _sweep_folder(names[0])
    stored = manifest.read_manifest(sweep)
    known = stored.words
    options = options._replace(plugins=stored.plugins)
    own = task_overrides(overrides)
    if not own and not known:
        raise ConfigError(
            f"sweep={names[0]}: no sweep in {sweep}; say what it varies, such as alpha=0,0.1 'seed=range(3)'"
        )
    moved = [word for word in own if key_of(word) not in stored.varied and names_data_file(key_of(word))]
    computing = [word for word in own if is_among(word.partition("=")[0], EXECUTION_OPTIONS)]
    if known and all(word in [*computing, *moved] for word in own):  # how to compute and where, not what
        options = options._replace(commands=[[*command, *overrides] for command in known], moved=moved)
    return options._replace(sweep=sweep, multirun=True)


def names_data_file(key: str) -> bool:
    """Whether an option names files of data that can be moved."""
    return key.startswith("data.") and not is_among(key, EXECUTION_OPTIONS) and key in all_path_options()


def _refuse_folders(words: Sequence[str]) -> None:
    """Refuse, by a ConfigError, a folder of a run or a sweep that is typed without an option, with what to type."""
    for word in words:
        folder, typed = Path(os.path.expanduser(word)), quote_word(word)
        if "=" in word or not word:
            continue
        if (folder / MANIFEST_FILE).is_file():
            argument = quote_word(manifest.sweep_argument(folder))
            raise ConfigError(f"{word}: is a sweep; did you mean {argument}, which resumes it?")
        if (folder / CONFIG_FILE).is_file():
            raise ConfigError(
                f"{word}: is a run; did you mean resume={typed}, which resumes it, or rerun={typed}, which starts a new"
                " run with its configuration?"
            )


def _read_stored_run(words: list[str], several: bool) -> RunOptions:
    """Replace ``resume=`` or ``rerun=`` by the configuration of the run it names."""
    for word in words:
        if word[:1] in ("+", "~") and key_of(word) in ("resume", "rerun"):
            raise ConfigError(f"{word}: leave out the {word[: -len(word.lstrip('+~'))]}")
    named = [word for word in words if word.partition("=")[0] in ("resume", "rerun")]
    if not named:
        return RunOptions([words], several)
    if starts := [word for word in words if key_of(word) == "start"]:
        raise ConfigError(
            f"{' '.join([*named, *starts])}: name one of the three: resume=RUN continues RUN itself, rerun=RUN starts a"
            " new run with the configuration of RUN, start=RUN starts a new run from the weights of RUN"
        )
    if len(named) > 1:
        raise ConfigError(f"{' '.join(named)}: name one run")
    (word,) = named
    typed = word.partition("=")[2]
    if not typed:
        raise ConfigError(f"{word}: is empty; name a run directory, such as outputs/2026-01-31/12-00-00-000000")
    if preset := [other for other in words if key_of(other) == PRESETS]:
        raise ConfigError(f"{preset[0]}: {word} has a whole configuration of its own; leave one of them out")
    directory = Path(os.path.abspath(os.path.expanduser(typed)))
    resume = word.startswith("resume=")
    if resume and os.path.isfile(directory / MANIFEST_FILE):
        raise ConfigError(f"{word}: is a sweep; resume all of it with sweep={typed}")
    if os.path.isfile(directory / MANIFEST_FILE):
        raise ConfigError(f"{word}: {name_one_run(directory, 'rerun=')}")
    if not os.path.isfile(directory / CONFIG_FILE):
        raise ConfigError(
            f"{word}: no run there (no {directory / CONFIG_FILE}); name a run directory that satae-train has written"
        )
    others = [other for other in words if other != word]
    config = read_config(directory / CONFIG_FILE)
    given = {key_of(other) for other in others}  # another choice replaces a whole group
    own = [own for own in config_overrides(config) if not {key_of(own), key_of(own).partition(".")[0]} & given]
    if not resume:
        return RunOptions([[*_with_threads(own, directory), *others]], several, rerun_of=directory)
    if "${" in str(directory):
        raise ConfigError(f"{word}: the name contains ${{, which Hydra replaces; rename the directory")
    own_files.check_run(directory)
    if (directory / OLD_CHECKPOINT).exists():
        raise ConfigError(f"{word}: has a checkpoint of format 1, which this version cannot resume; use rerun=")
    if several:
        raise ConfigError(f"{word}: resumes one run; leave out -m and sweep=")
    if elsewhere := [other for other in others if other.startswith("hydra.")]:
        raise ConfigError(f"{elsewhere[0]}: {word} resumes in the run's own directory; leave it out")
    place = f"{RUN_FOLDER}={quote_value(str(directory))}"
    return RunOptions([[*own, *others, place]], several, config)


def _with_threads(words: list[str], directory: Path) -> list[str]:
    """Replace ``threads=null`` by the number that the run recorded: another number gives other sums."""
    threads, fault = None, f"{directory / RECORD_FILE}: has no number of threads"
    try:
        threads = read_json(directory / RECORD_FILE, MAX_JSON_BYTES).get("threads")
    except ConfigError as error:
        fault = str(error)
    except AttributeError:  # not a record
        pass
    known = type(threads) is int and 0 < threads <= MAX_THREADS
    if not known and "threads=null" in words:
        line = f"warning: {one_line(fault)}; with another number of threads than the run had, sums differ"
        print(line, file=sys.stderr)  # noqa: T201
    return [f"threads={threads}" if known and word == "threads=null" else word for word in words]


def _sweep_folder(typed: str) -> Path:
    """The folder of a sweep; a name alone is a folder of ``outputs/``."""
    if not typed:
        raise ConfigError("sweep=: is empty; give a name, such as sweep=first, or the folder of a sweep")
    if "${" in typed:
        raise ConfigError(f"sweep={typed}: the name contains ${{, which Hydra replaces; choose another name")
    is_name = os.sep not in typed and typed not in (".", "..", "~")
    folder = Path(os.path.abspath(Path(OUTPUTS_FOLDER, typed) if is_name else os.path.expanduser(typed)))
    check_writable(folder, f"sweep={typed}")
    if (folder / RECORD_FILE).is_file() or (folder / CONFIG_FILE).is_file():
        raise ConfigError(f"sweep={typed}: is one run; resume it with resume={typed}")
    return folder


def check_writable(folder: Path, word: str) -> None:
    """Refuse, by a ConfigError, an absolute folder that cannot be created or written to; ``word`` is what was typed."""
    if not is_utf8(folder):
        raise ConfigError(f"{brief(word)}: is not UTF-8, which no file of a run can record; name another folder")
    try:
        existing = next(path for path in (folder, *folder.parents) if path.exists())
        if max(len(os.fsencode(part)) for part in folder.parts) > os.pathconf(existing, "PC_NAME_MAX"):
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        raise ConfigError(f"{brief(word)}: cannot write there ({error.strerror}); name another folder") from None
