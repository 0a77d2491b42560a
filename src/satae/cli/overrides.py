"""The words of a command line: those that name runs, the grammar of overrides, and Hydra's errors in plain words."""

from __future__ import annotations

import errno
import os
import re
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from hydra.core.override_parser.types import Override

from satae.cli.app import warn_of_repetition
from satae.cli.typed_text import keep_text, quote_value
from satae.config import Config
from satae.config.option_types import MAX_THREADS
from satae.config.registry import choice_names
from satae.config.saved_config import read_config, read_json
from satae.config.schema import (
    EXECUTION_OPTIONS,
    GROUPS,
    PRESETS,
    TRAINING,
    Schema,
    all_path_options,
    default_choice,
    expected_type,
    flatten,
    is_among,
    unknown_key,
)
from satae.errors import ConfigError
from satae.launchers import selection
from satae.messages import brief, first_line, is_utf8, one_line, unknown_choice
from satae.runs import own_files
from satae.runs.layout import (
    CONFIG_FILE,
    MANIFEST_FILE,
    MAX_JSON_BYTES,
    OUTPUTS_FOLDER,
    RECORD_FILE,
    name_one_run,
)
from satae.sweeps import manifest
from satae.training import OLD_CHECKPOINT

RUN_FOLDER, SWEEP_FOLDER, SUBFOLDER = "hydra.run.dir", "hydra.sweep.dir", "hydra.sweep.subdir"
MULTIRUN: Final = re.compile(r"\+*hydra\.mode=(RunMode\.)?MULTIRUN", re.IGNORECASE)


def key_of(word: str) -> str:
    """The key of an override, without ``+``, ``++`` or ``~`` before it."""
    return word.partition("=")[0].lstrip("+~")


def task_overrides(words: Iterable[str]) -> list[str]:
    """The overrides that say what is run, without those that say how Hydra works."""
    return [word for word in words if not key_of(word).startswith(("hydra.", "hydra/"))]


def config_overrides(config: Config) -> list[str]:
    """A whole configuration as overrides."""
    plain = config.to_dict()
    groups = [f"{group}={plain[group].pop('name')}" for group in GROUPS]
    return [*groups, *(f"{key}={quote_value(value)}" for key, value in flatten(plain).items())]


def check_override(override: Override, schema: Schema) -> None:
    """Refuse, by a ConfigError, what Hydra would misread, or would accept although no run can use it."""
    typed, key = str(override.input_line), str(override.key_or_group)
    root, _, option = key.partition(".")
    value = None if override.is_delete() else override.value()
    if not key:
        raise ConfigError(f"{typed}: cannot be read; write option=value")
    if override.is_delete() and root in schema.keys:
        raise ConfigError(f"{typed}: every run needs {key}; leave it out")
    if override.package is not None and root in {*schema.keys} | schema.presets:
        raise ConfigError(f"{typed}: write {key}=..., without the @")
    if override.is_add() and root in schema.keys:
        raise ConfigError(f"{typed}: {key} exists already; leave out the +")
    if root in schema.groups and option == "name":
        raise ConfigError(f"{typed}: write {root}={value}")
    is_name = isinstance(value, str) and bool(value) and "${" not in value
    is_name = is_name and not {"", ".", ".."} & {*str(value).split("/")}  # Hydra would look elsewhere
    is_preset = key in schema.presets and (override.is_delete() or isinstance(value, list))
    if key in schema.group_keys and not is_name and not is_preset:
        raise ConfigError(unknown_choice(key, value, choice_names(key, is_nested=key in schema.presets)))


def check_single_values(parsed: Sequence[Override], schema: Schema) -> None:
    """Refuse, by a ConfigError, several values where one run is asked for.

    A misspelt word is reported first, since it may be the one that was to ask for several runs.
    """
    several = [override.input_line for override in parsed if override.is_sweep_override()]
    for key in (str(override.key_or_group) for override in parsed if several and not override.is_add()):
        if re.fullmatch(r"\w+", key) and key not in {*schema.keys} | schema.presets:
            raise ConfigError(unknown_key(key, {}, schema))
    if several:
        key, _, values = str(several[0]).lstrip("+").partition("=")
        is_list = isinstance(_default_value(key, parsed, schema), list)
        if not is_list or re.search(r"[\[(]", values):  # lists to be swept, or a function such as range(3)
            raise ConfigError(f"{several[0]}: {schema.several_values}")
        each = ",".join(f"[{value}]" for value in values.split(","))
        sweep = f", or -m {key}={each} for one run of each" if schema is TRAINING else ""
        raise ConfigError(f"{several[0]}: write {key}=[{values}] for one list{sweep}")


def _default_value(key: str, parsed: Sequence[Override], schema: Schema) -> Any:
    """The value of an option of a choice or a part in its YAML file, without torch; None if it is unknown there.

    Raises:
        ConfigError: the choice that the command line names does not have the option.
    """
    group, _, option = key.partition(".")
    if schema.parts is not None and option and group in schema.parts.names():
        return schema.parts.defaults(group).get(option)
    if not option or group not in schema.groups:
        return None
    registry = schema.groups[group]
    names = [override.value() for override in parsed if override.key_or_group == group and not override.is_delete()]
    name = str(names[-1]) if names else default_choice(group).name
    is_known = name in registry.names() and not any(override.key_or_group in schema.presets for override in parsed)
    if is_known and option not in registry.defaults(name):
        raise ConfigError(registry.unknown_option(option, name))
    owners = [name] if is_known else registry.owners(option)
    return registry.defaults(owners[0])[option] if owners else None


def check_sweep_override(override: Override) -> None:
    """Refuse, by a ConfigError, a sweep over nothing, an interval, Hydra's options or what Hydra counts up."""
    typed, is_hydras = str(override.input_line), str(override.key_or_group).startswith("hydra")
    if override.is_interval_sweep():
        raise ConfigError(f"{typed}: an interval cannot be swept; list values, such as alpha=0,0.1")
    if "${hydra" in typed and not is_hydras:
        remedy = "write the values, such as 'seed=range(3)'"
        raise ConfigError(f"{typed}: ${{hydra:...}} has another value when the sweep resumes; {remedy}")
    if override.is_sweep_override() and not list(override.sweep_string_iterator()):
        raise ConfigError(f"{typed}: gives no values, so nothing can be run")
    if override.is_sweep_override() and is_hydras:
        raise ConfigError(f"{typed}: Hydra's own options cannot vary within a sweep; give one value")


def explain(error: Exception, chosen: dict[str, str], schema: Schema = TRAINING) -> str:
    """What Hydra found wrong, in one line; ``chosen`` has the name chosen in each group."""
    text, cause = str(error), error.__cause__
    if (typed := getattr(error, "override", None)) is not None:
        shown = typed if typed.strip() else repr(typed)
        if shown.startswith(",") or shown.endswith(","):  # a blank stood beside the comma
            return f"{shown}: cannot be read; write values with commas and without blanks, such as alpha=0,0.1"
        key, _, value = shown.partition("=")
        if "=" in value:
            return f"{shown}: cannot be read; write option=value, and quote a value with a second =: \"{key}='...'\""
        return f"{shown}: cannot be read; write option=value, and quote special characters"
    if found := re.search(
        r"Could not (?:override|append to|delete from) config.*?'([^']+)'|not override '(.+?)'", text
    ):
        key = found[1] or found[2]
        return selection.unknown_option_message(key, chosen) or unknown_key(key, chosen, schema)
    if getattr(error, "missing_cfg_file", None):
        return _explain_missing_file(error, schema)
    if found := re.search(r"Error merging override (\S+?)=(.*)", text):
        reason = expected_type(found[1], chosen, schema) or (first_line(cause) if cause else "cannot be used")
        return f"{found[1]}={found[2]}: {reason}"
    place = f"{key}: " if (key := getattr(error, "full_key", None)) else ""
    return place + first_line(error) + (f" ({first_line(cause)})" if cause and str(cause) else "")


def _explain_missing_file(error: Any, schema: Schema) -> str:
    """A file that Hydra could not find, as the choice that was asked for."""
    group, _, name = str(error.missing_cfg_file).rpartition("/")
    root, _, below = group.partition("/")
    if root in schema.group_keys:
        own = [f"{below}/{option}" if below else option for option in error.options or []]  # from --config-dir too
        known = [*choice_names(root, is_nested=root in schema.presets), *own]
        return unknown_choice(root, f"{below}/{name}" if below else name, dict.fromkeys(known))
    if group == selection.LAUNCHER_GROUP:
        return selection.unknown_launcher_message(name, error.options or [])
    return unknown_choice(group, name, error.options) if group and error.options else first_line(error)


# sweep=, fail_fast=, resume= and rerun=


class RunOptions(NamedTuple):
    """What a command line of satae-train asks for, beside the choices that Hydra composes."""

    # overrides, with the stored configuration of resume= or rerun=; of a sweep that resumes, those of each command line
    commands: list[list[str]]
    multirun: bool
    resumed: Config | None = None  # the stored configuration of the run that is resumed
    rerun_of: Path | None = None  # the directory of the run whose configuration a new run takes
    sweep: Path | None = None  # the folder of a sweep with a name
    fail_fast: bool = False  # start no more runs after one has failed
    moved: Sequence[str] = ()  # overrides that say where the data of a sweep lie now


def read_run_options(words: Sequence[str], multirun: bool) -> RunOptions:
    """Read ``resume=``, ``rerun=``, ``sweep=`` and ``fail_fast=``; the other words stay overrides.

    Raises:
        ConfigError: an option cannot be used, or the run or sweep that it names does not exist.
    """
    warn_of_repetition(words, allowed=("sweep", "resume", "rerun"))  # have messages of their own
    several = multirun or any(word.startswith("sweep=") or MULTIRUN.fullmatch(word) for word in words)
    found = _read_stored_run([keep_text(word, TRAINING) for word in words], several)
    overrides = selection.replace_plugin_names(found.commands[0])
    for key, example in (("sweep", "sweep=first"), ("fail_fast", "fail_fast=true")):
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
    found = found._replace(commands=[overrides], fail_fast=fast[-1:] == ["true"])
    if not names:
        return found
    if len(names) > 1:
        raise ConfigError(f"sweep={names[0]} sweep={names[1]}: name one sweep")
    sweep = _sweep_folder(names[0])
    stored = manifest.read_manifest(sweep)
    known = stored.words
    own = task_overrides(overrides)
    if not own and not known:
        raise ConfigError(f"sweep={names[0]}: no sweep there; say what it varies, such as alpha=0,0.1 'seed=range(3)'")
    moved = [word for word in own if key_of(word) not in stored.varied and names_data_file(key_of(word))]
    computing = [word for word in own if is_among(word.partition("=")[0], EXECUTION_OPTIONS)]
    if known and all(word in [*computing, *moved] for word in own):  # how to compute and where, not what
        found = found._replace(commands=[[*command, *overrides] for command in known], moved=moved)
    return found._replace(sweep=sweep, multirun=True)


def names_data_file(key: str) -> bool:
    """Whether an option names files of data that can be moved."""
    return key.startswith("data.") and not is_among(key, EXECUTION_OPTIONS) and key in all_path_options()


def _read_stored_run(words: list[str], several: bool) -> RunOptions:
    """Put the configuration of a run in for the word ``resume=`` or ``rerun=`` that names it."""
    for word in words:
        if word[:1] in ("+", "~") and key_of(word) in ("resume", "rerun"):
            raise ConfigError(f"{word}: leave out the {word[: -len(word.lstrip('+~'))]}")
    named = [word for word in words if word.partition("=")[0] in ("resume", "rerun")]
    if not named:
        return RunOptions([words], several)
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
        raise ConfigError(f"{word}: no run there (no {CONFIG_FILE}); name a run directory that satae-train has written")
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
    """Take the number of threads that the run had, unless it was chosen: another number gives other sums."""
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


# places


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
