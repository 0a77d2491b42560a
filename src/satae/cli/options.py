"""The words of a command line that name runs: ``sweep=``, ``fail_fast=``, ``resume=`` and ``rerun=``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from satae.cli import jobs
from satae.cli.overrides import config_overrides, key_of, quote_path, quote_value, task_overrides
from satae.config import Config, ConfigError
from satae.config.option_types import MAX_THREADS
from satae.config.saved_config import read_config, read_json
from satae.config.schema import EXECUTION_OPTIONS, PRESETS, is_among
from satae.launchers import selection
from satae.runs.layout import CONFIG_FILE, MANIFEST_FILE, MAX_JSON_BYTES, OUTPUTS_FOLDER, RECORD_FILE
from satae.sweeps import manifest
from satae.training import OLD_CHECKPOINT


class RunOptions(NamedTuple):
    """What a command line of satae-train asks for, beside the choices that Hydra composes."""

    # overrides, with the stored configuration of resume= or rerun=; of a sweep that resumes, those of each command line
    commands: list[list[str]]
    multirun: bool
    resume: Path | None = None  # the directory of the run that is resumed
    stored: Config | None = None  # the configuration of that run
    rerun_of: Path | None = None  # the directory of the run whose configuration a new run takes
    sweep: Path | None = None  # the folder of a sweep with a name
    fail_fast: bool = False  # start no more runs after one has failed


def read_run_options(words: Sequence[str], multirun: bool) -> RunOptions:
    """Read ``resume=``, ``rerun=``, ``sweep=`` and ``fail_fast=``; the other words stay overrides.

    Args:
        words: overrides, as typed.
        multirun: whether ``-m`` was typed.

    Raises:
        ConfigError: an option cannot be used, or the run or sweep that it names does not exist.
    """
    several = multirun or any(word.startswith("sweep=") for word in words)
    found = _read_stored_run([quote_path(word) for word in words], several)
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
        if key == jobs.SUBFOLDER:
            raise ConfigError(f"{word}: the folders of a sweep are named by what it varies; leave it out")
        if names and key in (jobs.SWEEP_FOLDER, jobs.RUN_FOLDER):
            raise ConfigError(f"{word}: sweep= names the folder; leave one of them out")
    found = found._replace(commands=[overrides], fail_fast=fast[-1:] == ["true"])
    if not names:
        return found
    if len(names) > 1:
        raise ConfigError(f"sweep={names[0]} sweep={names[1]}: name one sweep")
    sweep = _sweep_folder(names[0])
    known = manifest.read_manifest(sweep).words
    own = task_overrides(overrides)
    if not own and not known:
        raise ConfigError(f"sweep={names[0]}: no sweep there; say what it varies, such as alpha=0,0.1 'seed=range(3)'")
    if known and all(is_among(word.partition("=")[0], EXECUTION_OPTIONS) for word in own):  # how to compute, not what
        found = found._replace(commands=[[*command, *overrides] for command in known])
    return found._replace(sweep=sweep, multirun=True)


# resume= and rerun=


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
    if not os.path.isfile(directory / CONFIG_FILE):
        raise ConfigError(f"{word}: no run there (no {CONFIG_FILE}); name a run directory that satae-train has written")
    others = [other for other in words if other != word]
    config = read_config(directory / CONFIG_FILE)
    given = {key_of(other) for other in others}  # another choice replaces a whole group
    own = [own for own in config_overrides(config) if not {key_of(own), key_of(own).partition(".")[0]} & given]
    if not resume:
        return RunOptions([[*_with_threads(own, directory), *others]], several, rerun_of=directory)
    if "${" in str(directory):
        raise ConfigError(f"{word}: Hydra would take ${{ in the name for something else; rename the directory")
    jobs.check_files(directory)
    if (directory / OLD_CHECKPOINT).exists():
        raise ConfigError(f"{word}: has a checkpoint of format 1, which this version cannot resume; use rerun=")
    if several:
        raise ConfigError(f"{word}: resumes one run; leave out -m and sweep=")
    if elsewhere := [other for other in others if other.startswith("hydra.")]:
        raise ConfigError(f"{elsewhere[0]}: {word} resumes in the run's own directory; leave it out")
    place = f"{jobs.RUN_FOLDER}={quote_value(str(directory))}"
    return RunOptions([[*own, *others, place]], several, directory, config)


def _with_threads(words: list[str], directory: Path) -> list[str]:
    """Take the number of threads that the run had, unless it was chosen: another number gives other sums."""
    try:
        threads = read_json(directory / RECORD_FILE, MAX_JSON_BYTES).get("threads")
    except (OSError, ValueError, AttributeError):
        threads = None
    known = type(threads) is int and 0 < threads <= MAX_THREADS
    return [f"threads={threads}" if known and word == "threads=null" else word for word in words]


# sweep=


def _sweep_folder(typed: str) -> Path:
    """The folder of a sweep; a name alone is a folder of ``outputs/``."""
    if not typed:
        raise ConfigError("sweep=: is empty; give a name, such as sweep=first, or the folder of a sweep")
    if "${" in typed:
        raise ConfigError(f"sweep={typed}: Hydra would take ${{ in the name for something else; choose another name")
    is_name = os.sep not in typed and typed not in (".", "..", "~")
    folder = Path(os.path.abspath(Path(OUTPUTS_FOLDER, typed) if is_name else os.path.expanduser(typed)))
    jobs.check_writable(folder, f"sweep={typed}")
    if (folder / RECORD_FILE).is_file() or (folder / CONFIG_FILE).is_file():
        raise ConfigError(f"sweep={typed}: is one run; resume it with resume={typed}")
    return folder
