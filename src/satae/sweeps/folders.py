"""Where the runs of a sweep are kept: a folder for each configuration, found by what the configuration says."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from satae.config import ConfigError
from satae.config.flat import APART, SEED, is_among
from satae.config.messages import show
from satae.runs.layout import shorten
from satae.sweeps.notes import Runs
from satae.sweeps.results import Result

LONGEST: Final = 150  # bytes of a folder's name, of 255 that file systems allow, for what is not the seed
PRESETS: Final = "experiment"  # each has choices of many kinds

Choices = Mapping[str, Any]


class Wanted(NamedTuple):
    """A run that is asked for."""

    words: list[str]  # its own overrides
    choices: Choices  # its configuration


def place(wanted: Sequence[Wanted], there: Sequence[Result], varied: Sequence[str]) -> list[str]:
    """The name of the folder of each run: that of the run that is there with its configuration, or a new one.

    Args:
        wanted: the runs.
        there: those that the sweep has already.
        varied: what the sweep varies, as it is typed.

    Raises:
        ConfigError: two of the runs are the same, or one differs from those that are there in what is not varied.
    """
    taken = {content(run.choices, varied): run.name for run in there}
    asked: dict[str, Wanted] = {}
    names = []
    for run in wanted:
        key = content(run.choices, varied)
        if key in asked:
            raise ConfigError(f"{named(run.words, varied)}: is asked for twice; leave one of them out")
        asked[key] = run
        if key not in taken:
            _check_meaning(run.choices, there, varied)
            name = named(run.words, varied)
            taken[key] = named(run.words, varied, run.choices) if name in taken.values() else name
        names.append(taken[key])
    return names


def word(sweep: Path) -> str:
    """``sweep=outputs/first``, as one types it here: a name alone would stand for a folder of ``outputs/``."""
    place = str(shorten(sweep))
    return f"sweep={place if os.sep in place else os.path.join(os.curdir, place)}"


def by_configuration(runs: Mapping[str, Choices], varied: Sequence[str]) -> Runs:
    """The folders of runs, by a digest of their configurations and by their seeds.

    Args:
        runs: the choices of each, by the name of its folder.
        varied: what the sweep varies.
    """
    found = Runs()
    for name, choices in runs.items():
        rest = {key: value for key, value in choices.items() if key != SEED}
        found.setdefault(_digest(content(rest, varied), 16), {})[show(choices.get(SEED, 0))] = name
    return found


def content(choices: Choices, varied: Sequence[str]) -> str:
    """All that makes a configuration another one, as text: what only says how it is computed does if it is varied."""
    told = {key: show(value) for key, value in choices.items() if not is_among(key, APART) or is_among(key, varied)}
    return json.dumps(told, sort_keys=True)


def named(words: Sequence[str], varied: Sequence[str], apart: Choices | None = None) -> str:
    """A name such as ``alpha=0.1,act=relu,seed=3``, of what a sweep varies, that a folder can have.

    Args:
        words: the overrides of a run.
        varied: what the sweep varies.
        apart: its choices, where another run has the name that it would have. The seeds of a configuration differ in
            the end of their names alone, all the same.
    """
    typed = dict(word.split("=", 1) for word in words if "=" in word)
    told = [f"{key}={typed[key]}" for key in varied if key in typed and key != SEED]
    seed = _plain(f"{SEED}={typed[SEED]}") if SEED in typed and SEED in varied else ""
    text = ",".join(told)
    plain = _plain(text)
    begins = plain.encode()[:LONGEST].decode(errors="ignore")  # which may end within a letter
    parts = [plain] if begins == plain else [begins, f"#{_digest(text)}"]
    if apart is not None:
        rest = {key: value for key, value in apart.items() if key != SEED or not seed}
        parts.append(f"#{_digest(content(rest, varied))}")
    return ",".join(filter(None, [*parts, seed])) or "run"


def _plain(text: str) -> str:
    return re.sub(r"[^\w=.,+\-\[\]()@ ]+", "-", re.sub(r"['\"]", "", text)).strip(" .")


def _check_meaning(choices: Choices, there: Sequence[Result], varied: Sequence[str]) -> None:
    """Refuse to put a run beside others from which it differs in what the sweep does not vary."""
    if PRESETS in varied:
        return
    for run in there:
        for key in {**run.choices, **choices}:
            was, wanted = run.choices.get(key), choices.get(key)
            if show(was) != show(wanted) and not is_among(key, [*varied, *APART]):
                raise ConfigError(
                    f"{key}={show(wanted)}: the runs of {shorten(run.directory.parent)} have {show(was)}; take"
                    f" another name for the sweep, or both values: {key}={show(was)},{show(wanted)}"
                )


def _digest(text: str, letters: int = 8) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:letters]
