"""The configurations of a sweep: what each is called in TensorBoard, and which runs it has, begun or not."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from satae.config.flat import SEED
from satae.runs.layout import RECORD_FILE
from satae.sweeps import notes
from satae.sweeps.groups import Group, grouped
from satae.sweeps.notes import Runs
from satae.sweeps.results import Result

ALL: Final = "all"  # the configuration of a sweep over seeds alone


def named(runs: Sequence[Result], asked: Runs) -> dict[str, Group]:
    """The runs that are there by the names of their configurations.

    Args:
        runs: of a sweep.
        asked: all that it is to have.
    """
    names, found = _names(asked), dict[str, Group]()
    for group in grouped(runs):
        name = _longest(names.get(run.name) or without_seed(run.name) for run in group.runs)
        found[f"{name},{len(found)}" if name in found else name] = group
    return found


def of(run: Path) -> tuple[str, list[Path]]:
    """The name of a run's configuration, and the directories of all runs that it has."""
    names = _names(notes.known(run.parent).runs)
    name = names.get(run.name) or without_seed(run.name)
    beside = [path for path in run.parent.iterdir() if (names.get(path.name) or without_seed(path.name)) == name]
    return name, sorted(path for path in beside if (path / RECORD_FILE).is_file())


def without_seed(name: str) -> str:
    """What the name of a run's folder says of its configuration."""
    return re.sub(rf"(^|,){SEED}=[^,]*", "", name).lstrip(",") or ALL


def _names(asked: Runs) -> dict[str, str]:
    """The name of the configuration of each run, by that of its folder."""
    names = {key: _longest(map(without_seed, seeds.values())) for key, seeds in asked.items() if seeds}
    return {folder: names[key] for key, seeds in asked.items() for folder in seeds.values()}


def _longest(names: Iterable[str]) -> str:
    """The one that says most, where a sweep has grown by what it varies."""
    return max(names, key=lambda name: (name != ALL, len(name), name))
