"""The words that a sweep as a whole has: ``sweep=NAME`` names it or goes on with it, ``fail_fast=true``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from satae.cli.places import RUN_FOLDER, SUBFOLDER, SWEEP_FOLDER, check_place
from satae.config import ConfigError
from satae.config.flat import APART, is_among
from satae.runs.layout import CONFIG_FILE, OUTPUTS_FOLDER, RECORD_FILE
from satae.sweeps import notes

SWEEP, FAIL_FAST = "sweep", "fail_fast"
PLACES: Final = (SWEEP_FOLDER, SUBFOLDER, RUN_FOLDER)
KINDS: Final = {"true": True, "false": False}


class Asked(NamedTuple):
    """The words of a command line, those of a sweep as a whole taken out."""

    words: list[str]
    commands: list[list[str]]  # the overrides of each command line whose runs are asked for
    multirun: bool
    folder: Path | None = None  # the sweep that is named
    fail_fast: bool = False  # begin no more runs after one has failed


def taken_out(words: Sequence[str], multirun: bool) -> Asked:
    """Look for ``sweep=`` and ``fail_fast=``.

    Args:
        words: overrides, as typed.
        multirun: whether they are those of a sweep.

    Raises:
        ConfigError: they cannot be used, or there is no such sweep.
    """
    _check_given(words)
    named, fast = _values(words, SWEEP), _values(words, FAIL_FAST)
    rest = [word for word in words if word.partition("=")[0] not in (SWEEP, FAIL_FAST)]
    if fast and not (multirun or named):
        raise ConfigError(f"{FAIL_FAST}={fast[-1]}: is for sweeps; add -m, or leave it out")
    if fast and fast[-1] not in KINDS:
        raise ConfigError(f"{FAIL_FAST}={fast[-1]}: must be true or false")
    if multirun or named:
        _check_places(rest, bool(named))
    fail_fast = bool(fast) and KINDS[fast[-1]]
    if not named:
        return Asked(rest, [rest], multirun, None, fail_fast)
    if len(named) > 1:
        raise ConfigError(f"{SWEEP}={named[0]} {SWEEP}={named[1]}: name one sweep")
    folder = _folder(named[0])
    own = overrides_of(rest)
    goes_on = not own or (all(map(_is_apart, own)) and bool(notes.read(folder).words))
    commands = [[*stored, *rest] for stored in _stored(named[0], folder)] if goes_on else [rest]
    return Asked(rest, commands, True, folder, fail_fast)


def overrides_of(words: Sequence[str]) -> list[str]:
    """Those that say what is run, not how Hydra goes about it."""
    return [word for word in words if not _is_hydras(word)]


def _values(words: Sequence[str], key: str) -> list[str]:
    return [word.partition("=")[2] for word in words if word.partition("=")[0] == key]


def _is_hydras(word: str) -> bool:
    return word.lstrip("+~").startswith(("hydra.", "hydra/"))


def _is_apart(word: str) -> bool:
    """Whether it says how runs are computed, not what they are."""
    return is_among(word.partition("=")[0], APART)


def _check_given(words: Sequence[str]) -> None:
    for word, such in ((SWEEP, "first"), (FAIL_FAST, "true")):
        if word in words:
            raise ConfigError(f"{word}: has no value; write {word}={such}, say")


def _check_places(words: Sequence[str], named: bool) -> None:
    for word in words:
        key = word.lstrip("+~").partition("=")[0]
        if key == SUBFOLDER:
            raise ConfigError(f"{word}: the folders of a sweep are named by what it varies; leave it out")
        if named and key in PLACES:
            raise ConfigError(f"{word}: {SWEEP}= names the folder; leave one of them out")


def _folder(typed: str) -> Path:
    """Of a sweep: a name stands for a folder of ``outputs/``."""
    if not typed:
        raise ConfigError(f"{SWEEP}=: is empty; give a name, such as {SWEEP}=first, or the folder of a sweep")
    if "${" in typed:
        raise ConfigError(f"{SWEEP}={typed}: Hydra would take ${{ in the name for something else; take another one")
    where = Path(os.path.expanduser(typed))
    is_name = os.sep not in typed and typed not in (".", "..", "~")
    folder = Path(os.path.abspath(Path(OUTPUTS_FOLDER, typed) if is_name else where))
    check_place(folder, f"{SWEEP}={typed}")
    if (folder / RECORD_FILE).is_file() or (folder / CONFIG_FILE).is_file():
        raise ConfigError(f"{SWEEP}={typed}: is one run; go on with it: resume={typed}")
    return folder


def _stored(typed: str, folder: Path) -> list[list[str]]:
    known = notes.read(folder).words
    if not known:
        raise ConfigError(f"{SWEEP}={typed}: no sweep there; say what it varies, such as alpha=0,0.1 'seed=range(3)'")
    return known
