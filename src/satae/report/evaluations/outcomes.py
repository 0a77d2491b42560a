"""What evaluations say, as far as the page tells it: that of one run, and those of runs that were measured alike."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from satae.report.evaluations.stored import Evaluation
from satae.report.series import Point
from satae.sweep.groups import Group


class Outcome(NamedTuple):
    """What the evaluation of one run came to."""

    settings: dict[str, str]
    numbers: dict[str, float]  # by name
    inputs: dict[str, int]  # how many are behind each of them
    curves: dict[str, dict[float, float]]  # by name: numbers by place
    ends: dict[str, dict[float, tuple[float, float]]]  # of an accuracy, its interval over other draws of the inputs
    told: dict[str, str]  # of each victim the verdict, of each kind of noise whether it was seen
    balls: dict[str, str]  # within which a change was sought, by the name of its number
    checks: dict[int, str]  # of the own verdict, those that were not passed, with their outcome
    pictures: list[str]
    notes: list[str]

    @classmethod
    def empty(cls, found: Evaluation) -> Outcome:
        """Of which nothing has been read yet."""
        return cls(found.settings, {}, {}, {}, {}, {}, {}, {}, found.pictures, found.notes)

    @property
    def is_empty(self) -> bool:
        """Whether nothing was measured, for which the notes say why."""
        return not self.numbers and not self.curves


class Part(NamedTuple):
    """A part of the evaluations, of runs that were measured alike."""

    name: str
    groups: list[Group]  # with what was found for the measures of their runs
    outcomes: dict[Path, Outcome]  # of these, by directory
    epsilon: float | None  # of a defence, the radius at which it is told
    notes: list[str]

    def of(self, point: Point) -> list[Outcome]:
        """Those of the runs of a configuration, one for each seed."""
        return [self.outcomes[run.directory] for run in point.runs.values()]
