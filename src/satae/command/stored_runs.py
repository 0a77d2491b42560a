"""Runs that are there already, in the words of a command line: ``resume=RUN`` goes on, ``rerun=RUN`` begins anew."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Collection, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final, NamedTuple

from satae.command import places
from satae.command.overrides import in_grammar
from satae.config import Config, ConfigError, stored
from satae.config.flat import APART, flat, is_among
from satae.config.messages import show
from satae.config.ranges import MOST_THREADS
from satae.config.schema import GROUPS, PRESETS
from satae.run_directory import CONFIG, OLD_CHECKPOINT, RUN, SWEEP_NOTES

RESUME, RERUN = "resume", "rerun"
CHANGEABLE: Final = ("epochs", *APART)  # in a run that has begun


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
    for word in words:
        if word[:1] in ("+", "~") and _key(word) in (RESUME, RERUN):
            raise ConfigError(f"{word}: leave out the {word[: -len(word.lstrip('+~'))]}")
    named = [word for word in words if word.partition("=")[0] in (RESUME, RERUN)]
    if not named:
        return Typed([*words])
    if len(named) > 1:
        raise ConfigError(f"{' '.join(named)}: name one run")
    (word,) = named
    kind, _, typed = word.partition("=")
    if not typed:
        raise ConfigError(f"{word}: is empty; name a run directory, such as outputs/2026-01-31/12-00-00-000000")
    rest = [other for other in words if other != word]
    if preset := [other for other in rest if _key(other) == PRESETS]:
        raise ConfigError(f"{preset[0]}: {word} has a whole configuration of its own; leave one of them out")
    directory = Path(os.path.abspath(os.path.expanduser(typed)))
    if kind == RESUME and _is_there(directory / SWEEP_NOTES):
        raise ConfigError(f"{word}: is a sweep; go on with all of it: sweep={typed}")
    if not _is_there(directory / CONFIG):
        raise ConfigError(f"{word}: no run there (no {CONFIG}); name a run directory that satae-train has made")
    config = stored.read(directory / CONFIG)
    its_own = _without(as_words(config), rest)
    if kind == RERUN:
        return Typed([*_with_threads(its_own, directory), *rest], rerun_of=directory)
    if "${" in str(directory):
        raise ConfigError(f"{word}: Hydra would take ${{ in the name for something else; rename the directory")
    check_files(directory)
    if (directory / OLD_CHECKPOINT).exists():
        raise ConfigError(f"{word}: has a checkpoint of format 1, which this version cannot go on from; use {RERUN}=")
    if multirun:
        raise ConfigError(f"{word}: goes on with one run; leave out -m and sweep=")
    if elsewhere := [other for other in rest if other.startswith("hydra.")]:
        raise ConfigError(f"{elsewhere[0]}: {word} goes on in the run's own directory; leave it out")
    place = f"{places.RUN_FOLDER}={in_grammar(str(directory))}"
    return Typed([*its_own, *rest, place], directory, config)


def check_changes(begun: Config, wanted: Config, leave_out: Collection[str] = ()) -> None:
    """Refuse what cannot be changed in a run that has begun.

    Args:
        begun: the configuration of the run.
        wanted: that it is to go on with.
        leave_out: options that are not compared.

    Raises:
        ConfigError: something else is changed, by name.
    """
    before, after = (flat(asdict(config)) for config in (begun, wanted))
    for key in {**after, **before}:
        was, is_now = before.get(key), after.get(key)
        may = key in leave_out or is_among(key, CHANGEABLE)
        if was != is_now and not may:
            raise ConfigError(
                f"{key}={show(is_now)}: cannot be changed in a run that has begun with"
                f" {show(was)}; these can: {', '.join(CHANGEABLE)}; or begin anew with {RERUN}=..."
            )


def check_files(directory: Path) -> None:
    """Refuse a run directory with other things than files and folders: what is written there would go elsewhere.

    Raises:
        ConfigError: there is one, by name.
    """
    for path in directory.rglob("*"):
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            raise ConfigError(
                f"{path}: is a link, which satae-train does not make, and would write to its end; remove it"
            )
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            raise ConfigError(
                f"{path}: is neither a file nor a folder, which satae-train does not make, and could wait for it for"
                " ever; remove it"
            )


def as_words(config: Config) -> list[str]:
    """A configuration as the words that give it."""
    plain = asdict(config)
    groups = [f"{group}={plain[group].pop('name')}" for group in GROUPS]
    return [*groups, *(f"{key}={in_grammar(value)}" for key, value in flat(plain).items())]


def _without(words: Sequence[str], typed: Sequence[str]) -> list[str]:
    """Words of a configuration that others do not replace: another choice in a group replaces all of its options."""
    given = {_key(word) for word in typed}
    return [word for word in words if _key(word) not in given and _key(word).partition(".")[0] not in given]


def _with_threads(words: list[str], directory: Path) -> list[str]:
    """Take the number that a run had where it was not chosen: with another one its sums are others."""
    try:
        if not _is_there(directory / RUN):
            raise OSError
        threads = json.loads((directory / RUN).read_text("utf-8")).get("threads")
    except (OSError, ValueError, AttributeError, RecursionError):
        threads = None
    known = type(threads) is int and 0 < threads <= MOST_THREADS
    return [f"threads={threads}" if known and word == "threads=null" else word for word in words]


def _key(word: str) -> str:
    return word.partition("=")[0].lstrip("+~")


def _is_there(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that no file can have
        return False
