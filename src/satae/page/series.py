"""What is drawn against what: lines of configurations along the number that varies, in panels that can be read."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple, TypeVar

from satae.config.flat import SEED
from satae.config.messages import show
from satae.page import words
from satae.sweeps.groups import Group, Spread
from satae.sweeps.results import Result

ALPHA: Final = "alpha"
ACT: Final = "act"
MOST_LINES: Final = 7  # in a panel: more are not told apart
MOST_PANELS: Final = 6
MOST_SHOWN: Final = 12  # configurations of which each is shown by itself

T = TypeVar("T")


class Point(NamedTuple):
    """A configuration on a line."""

    x: float
    values: dict[str, Any]  # of what varies between configurations
    runs: dict[int, Result]  # those that are finished, by their seeds

    @classmethod
    def of(cls, x: float, group: Group) -> Point:
        """Of a configuration."""
        return cls(x, group.values, {run.seed: run for run in group.finished})

    @property
    def collapsed(self) -> int:
        """How many of its runs did."""
        return sum(run.is_collapsed for run in self.runs.values())

    def spread(self, metric: str) -> Spread:
        """Of a final measure over the seeds."""
        return Spread.of(run.metrics.get(metric, math.nan) for run in self.runs.values())

    def change(self, base: Point, metric: str) -> Spread:
        """Of a final measure, from another point to this one, seed by seed."""
        seeds = [seed for seed in self.runs if seed in base.runs]
        values = [[point.runs[seed].metrics.get(metric, math.nan) for seed in seeds] for point in (base, self)]
        return Spread.of(there - here for here, there in zip(*values, strict=True))


class Line(NamedTuple):
    """Configurations that differ in one number alone."""

    values: dict[str, Any]  # of all else that varies
    points: list[Point]  # in the order of that number

    @property
    def label(self) -> str:
        """Such as ``relu``, or ``relu, gaussian, noise.level=0.3``."""
        return ", ".join(_word(key, value) for key, value in self.values.items()) or words.ONE

    def having(self, metric: str) -> list[Point]:
        """Its points at which a measure is known."""
        return [point for point in self.points if point.spread(metric).n]


class Panel(NamedTuple):
    """Lines in one pair of axes."""

    title: str
    lines: list[Line]


class Plan(NamedTuple):
    """What is drawn."""

    x: str | None  # the number along which the lines go; None where none varies
    lines: list[Line]
    panels: list[Panel]
    left_out: str  # in words; empty if nothing is


def plan(groups: Sequence[Group], axes: Sequence[str]) -> Plan:
    """Choose what is drawn.

    Args:
        groups: all configurations.
        axes: in which they differ.
    """
    x = along(groups, axes)
    lines = list(_lines(groups, x))
    panels = _panels(lines)
    shown = sum(len(panel.lines) for panel in panels[:MOST_PANELS])
    left_out = f"{len(lines) - shown} of {len(lines)} lines are left out" if shown < len(lines) else ""
    return Plan(x, lines, panels[:MOST_PANELS], left_out)


def along(groups: Sequence[Group], axes: Sequence[str]) -> str | None:
    """The number that the lines go along: alpha if it varies, or the first one that does."""
    ordered = sorted((key for key in axes if key != SEED), key=lambda key: key != ALPHA)
    for key in ordered:
        found = [number for group in groups if (number := _number(group.values.get(key))) is not None]
        if len({*found}) > 1:
            return key
    return None


def chosen(plan: Plan) -> list[list[Point]]:
    """Some configurations, of all lines and spread over each."""
    lines = evenly(plan.lines, MOST_SHOWN)
    each = MOST_SHOWN // max(1, len(lines))
    rows = [evenly([point for point in line.points if point.runs], each) for line in lines]
    return rows if any(len(row) > 1 for row in rows) else [[point for row in rows for point in row]]


def evenly(items: Sequence[T], most: int) -> list[T]:
    """Some of many, the first and the last among them."""
    if len(items) <= most:
        return [*items]
    return [items[round(place * (len(items) - 1) / max(1, most - 1))] for place in range(most)]


def _lines(groups: Sequence[Group], x: str | None) -> Iterator[Line]:
    found: dict[tuple[tuple[str, str], ...], Line] = {}
    for place, group in enumerate(groups):
        at = float(place) if x is None else _number(group.values.get(x))
        if at is not None:
            others = {key: value for key, value in group.values.items() if key != x}
            key = tuple((name, show(value)) for name, value in others.items())
            found.setdefault(key, Line(others, [])).points.append(Point.of(at, group))
    for line in found.values():
        line.points.sort(key=lambda point: point.x)
        if any(point.runs for point in line.points):
            yield line


def _panels(lines: Sequence[Line]) -> list[Panel]:
    """One panel, or one for each value of what splits them into few enough lines, or as many as it takes."""
    if len(lines) <= MOST_LINES:
        return [Panel("", [*lines])]
    keys = dict.fromkeys(key for line in lines for key in line.values)
    for key in sorted(keys, key=lambda key: key == ACT):
        split: dict[str, list[Line]] = {}
        for line in lines:
            rest = {name: value for name, value in line.values.items() if name != key}
            split.setdefault(words.name({key: line.values.get(key)}), []).append(line._replace(values=rest))
        if 1 < len(split) <= MOST_PANELS and max(map(len, split.values())) <= MOST_LINES:
            return [Panel(title, some) for title, some in split.items()]
    return [Panel("", [*lines[first : first + MOST_LINES]]) for first in range(0, len(lines), MOST_LINES)]


def _word(key: str, value: object) -> str:
    """A value that says what it is of by itself, or with its name."""
    return value if isinstance(value, str) and not value.startswith("[") else words.name({key: value})


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)
