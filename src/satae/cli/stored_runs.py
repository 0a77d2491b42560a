"""Runs that are there already, in the words of a command line: ``resume=RUN`` goes on, ``rerun=RUN`` begins anew."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from satae.cli import places
from satae.cli.overrides import in_grammar
from satae.config import Config, ConfigError, saved_config
from satae.config.flat import flat
from satae.config.option_types import MAX_THREADS
from satae.config.schema import GROUPS, PRESETS
from satae.runs.layout import CONFIG_FILE, MANIFEST_FILE, OLD_CHECKPOINT, RECORD_FILE

RESUME, RERUN = "resume", "rerun"


class Typed(NamedTuple):
    """A command line with a stored configuration put in for the word that names it."""

    words: list[str]  # for Hydra
    resume: Path | None = None  # the directory of the run that is to go on
    config: Config | None = None  # its own
    rerun_of: Path | None = None  # the directory of the run whose configuration is begun anew with


def expanded(words: Sequence[str], multirun: bool) -> Typed:
    """Put in the configuration that ``resume=`` or ``rerun=`` names.

    Args:
        words: overrides, as typed.
        multirun: whether they are those of a sweep.

    Raises:
        ConfigError: there is no such run, or other words do not go with it.
    """
    if (word := _named(words)) is None:
        return Typed([*words])
    directory, rest = _directory(word), [other for other in words if other != word]
    config = saved_config.read_config(directory / CONFIG_FILE)
    its_own = _without(as_words(config), rest)
    if _key(word) == RERUN:
        return Typed([*_with_threads(its_own, directory), *rest], rerun_of=directory)
    _check_resume(word, directory, rest, multirun)
    place = f"{places.RUN_FOLDER}={in_grammar(str(directory))}"
    return Typed([*its_own, *rest, place], directory, config)


def _named(words: Sequence[str]) -> str | None:
    """The one word that names a run; None where there is none.

    Raises:
        ConfigError: it names none, or there are others that do not go with it.
    """
    for word in words:
        if word[:1] in ("+", "~") and _key(word) in (RESUME, RERUN):
            raise ConfigError(f"{word}: leave out the {word[: -len(word.lstrip('+~'))]}")
    named = [word for word in words if word.partition("=")[0] in (RESUME, RERUN)]
    if not named:
        return None
    if len(named) > 1:
        raise ConfigError(f"{' '.join(named)}: name one run")
    (word,) = named
    if not word.partition("=")[2]:
        raise ConfigError(f"{word}: is empty; name a run directory, such as outputs/2026-01-31/12-00-00-000000")
    if preset := [other for other in words if _key(other) == PRESETS]:
        raise ConfigError(f"{preset[0]}: {word} has a whole configuration of its own; leave one of them out")
    return word


def _directory(word: str) -> Path:
    """Of the run that a word names.

    Raises:
        ConfigError: there is none.
    """
    kind, _, typed = word.partition("=")
    directory = Path(os.path.abspath(os.path.expanduser(typed)))
    if kind == RESUME and _is_there(directory / MANIFEST_FILE):
        raise ConfigError(f"{word}: is a sweep; go on with all of it: sweep={typed}")
    if not _is_there(directory / CONFIG_FILE):
        raise ConfigError(f"{word}: no run there (no {CONFIG_FILE}); name a run directory that satae-train has made")
    return directory


def _check_resume(word: str, directory: Path, rest: Sequence[str], multirun: bool) -> None:
    """Refuse to go on in a directory where that cannot be, or with words that are for new runs.

    Raises:
        ConfigError: by name.
    """
    if "${" in str(directory):
        raise ConfigError(f"{word}: Hydra would take ${{ in the name for something else; rename the directory")
    places.check_files(directory)
    if (directory / OLD_CHECKPOINT).exists():
        raise ConfigError(f"{word}: has a checkpoint of format 1, which this version cannot go on from; use {RERUN}=")
    if multirun:
        raise ConfigError(f"{word}: goes on with one run; leave out -m and sweep=")
    if elsewhere := [other for other in rest if other.startswith("hydra.")]:
        raise ConfigError(f"{elsewhere[0]}: {word} goes on in the run's own directory; leave it out")


def as_words(config: Config) -> list[str]:
    """A configuration as the words that give it."""
    plain = config.to_dict()
    groups = [f"{group}={plain[group].pop('name')}" for group in GROUPS]
    return [*groups, *(f"{key}={in_grammar(value)}" for key, value in flat(plain).items())]


def _without(words: Sequence[str], typed: Sequence[str]) -> list[str]:
    """Words of a configuration that others do not replace: another choice in a group replaces all of its options."""
    given = {_key(word) for word in typed}
    return [word for word in words if _key(word) not in given and _key(word).partition(".")[0] not in given]


def _with_threads(words: list[str], directory: Path) -> list[str]:
    """Take the number that a run had where it was not chosen: with another one its sums are others."""
    try:
        if not _is_there(directory / RECORD_FILE):
            raise OSError
        threads = json.loads((directory / RECORD_FILE).read_text("utf-8")).get("threads")
    except (OSError, ValueError, AttributeError, RecursionError):
        threads = None
    known = type(threads) is int and 0 < threads <= MAX_THREADS
    return [f"threads={threads}" if known and word == "threads=null" else word for word in words]


def _key(word: str) -> str:
    return word.partition("=")[0].lstrip("+~")


def _is_there(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that no file can have
        return False
