"""What evaluations say, as far as the page tells it: that of one run, and those of runs that were measured alike."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Final, NamedTuple

from satae.page.evaluations.stored import Evaluation
from satae.sweeps.aggregate import SeedGroup
from satae.sweeps.series import Point

BRACKETS: Final = "95 % interval over other draws of the inputs, of several seeds the mean of the ends"


class Outcome(NamedTuple):
    """What the evaluation of one run came to."""

    settings: dict[str, str]
    weights: str  # their digest
    measured: float | None  # when, in seconds
    numbers: dict[str, float]  # by name
    intervals: dict[str, tuple[float, float]]  # of those that are estimates, over other draws of the inputs
    inputs: dict[str, int]  # how many are behind each of them
    curves: dict[str, dict[float, float]]  # by name: numbers by place
    ends: dict[str, dict[float, tuple[float, float]]]  # of these, such intervals
    told: dict[str, str]  # of each victim the verdict, of each kind of noise whether it was seen
    label: str  # what the numbers are of, where their names do not say it
    checks: dict[int, str]  # of the own verdict, those that were not passed, with their outcome
    pictures: list[str]
    notes: list[str]
    is_stale: bool = False  # of other weights than the run has now

    @classmethod
    def empty(cls, found: Evaluation) -> Outcome:
        """Of which nothing has been read yet."""
        return cls(
            settings=found.settings,
            weights=found.weights,
            measured=found.measured,
            numbers={},
            intervals={},
            inputs={},
            curves={},
            ends={},
            told={},
            label="",
            checks={},
            pictures=found.pictures,
            notes=found.notes,
        )

    def interval(self, name: str, place: float | None = None) -> tuple[float, float] | None:
        """Of a number, or of a curve at a place, over other draws of the inputs; None where it is not known."""
        known = self.intervals.get(name) if place is None else self.ends.get(name, {}).get(place)
        low, high = known or (math.nan, math.nan)
        return (low, high) if low <= high else None

    def value(self, name: str, place: float | None = None) -> float:
        """A number, or that of a curve at a place; nan where it is not known."""
        return self.numbers.get(name, math.nan) if place is None else self.curves.get(name, {}).get(place, math.nan)

    @property
    def is_empty(self) -> bool:
        """Whether nothing was measured, for which the notes say why."""
        return not self.numbers and not self.curves


class Part(NamedTuple):
    """A part of the evaluations, of runs that were measured alike."""

    name: str
    groups: list[SeedGroup]  # with what was found for the measures of their runs
    outcomes: dict[Path, Outcome]  # of these, by directory
    settings: dict[str, str]  # with which they were
    epsilon: float | None  # of a defence, the radius at which it is told
    notes: list[str]

    def of(self, point: Point) -> list[Outcome]:
        """Those of the runs of a configuration, one for each seed."""
        return [self.outcomes[run.directory] for run in point.runs.values()]

    @property
    def label(self) -> str:
        """What its numbers are of; empty where their names say it."""
        return next((found.label for found in self.outcomes.values() if found.label), "")


def over_inputs(found: Sequence[Outcome], name: str, place: float | None = None) -> tuple[float, float] | None:
    """Interval over other draws of the inputs, of several seeds the mean of the ends; None unless all have one.

    Args:
        found: of the seeds; those without the number do not count.
        name: of a number, or of a curve.
        place: on the curve.
    """
    known = [each for each in found if math.isfinite(each.value(name, place))]
    ends = [interval for each in known if (interval := each.interval(name, place))]
    if not ends or len(ends) < len(known):
        return None
    return fmean(low for low, _ in ends), fmean(high for _, high in ends)
