"""What a figure compares: configurations along the number that varies, in panels that stay readable."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple, TypeVar

from satae.config.schema import SEED
from satae.messages import format_value
from satae.sweeps.aggregate import SeedGroup, SeedStatistics
from satae.sweeps.text import ALL_RUNS, distinct_labels, format_configuration, shorten_value

ALPHA: Final = "alpha"
MAX_SERIES: Final = 7  # in a panel; more lines cannot be told apart
MAX_PANELS: Final = 6
MAX_EXAMPLES: Final = 12  # configurations that are each shown on their own
ANY_VALUE: Final = (-math.inf, math.inf)
SHARE: Final = (0.0, 1.0)  # the values that a share can have

T = TypeVar("T")


class Series(NamedTuple):
    """Configurations that differ in one number only."""

    values: dict[str, Any]  # of all other options that vary
    points: list[SeedGroup]  # in the order of that number

    @property
    def label(self) -> str:
        """The values in words, such as ``relu``, or ``relu, gaussian, noise.level=0.3``."""
        return ", ".join(_label(key, value) for key, value in self.values.items()) or ALL_RUNS

    def points_with(self, metric: str) -> list[SeedGroup]:
        """The points at which a metric is known."""
        return [point for point in self.points if point.statistics(metric).n]


class SeriesPanel(NamedTuple):
    """Series that share one pair of axes."""

    title: str
    series: list[Series]


class Comparison(NamedTuple):
    """All that the figures of a sweep compare."""

    x: str | None  # the number along which the series go; None if no number varies
    series: list[Series]
    panels: list[SeriesPanel]
    left_out: str  # in words; empty if nothing is left out

    @property
    def x_title(self) -> str:
        """What stands at the horizontal axis: the option, and what it is if a reader may not know it."""
        return "penalty weight alpha" if self.x == ALPHA else shorten_value(self.x)

    @property
    def points(self) -> list[SeedGroup]:
        """The points of all series."""
        return [point for series in self.series for point in series.points]

    def bars_caption(self) -> str:
        """The sentence of a caption that explains the error bars."""
        seeds = {len(point.finished_runs) for point in self.points} - {0, 1}
        if not seeds:
            return " One run each: no intervals."
        of_more = ["95 % intervals of the mean over the seeds"] if seeds != {2} else []
        of_two = ["for two seeds, their range"] if 2 in seeds else []
        return f" Bars: {'; '.join([*of_more, *of_two])}."

    def left_out_caption(self) -> str:
        """The sentence of a caption about series that are not in the figure; empty if all are."""
        return f" {self.left_out.capitalize()}; they are in the tables." if self.left_out else ""


def compare(groups: Sequence[SeedGroup], axes: Sequence[str]) -> Comparison:
    """Arrange configurations in series and panels.

    Args:
        groups: all configurations.
        axes: the options in which they differ.
    """
    x = _varying_number(groups, axes)
    series = list(_series(groups, x))
    panels = _split_into_panels(series)
    shown = sum(len(panel.series) for panel in panels[:MAX_PANELS])
    left_out = f"{len(series) - shown} of {len(series)} lines are left out" if shown < len(series) else ""
    return Comparison(x, series, panels[:MAX_PANELS], left_out)


def examples(comparison: Comparison) -> list[list[SeedGroup]]:
    """At most ``MAX_EXAMPLES`` configurations, spread over all series: a row for each series, or one row of all."""
    series = spread_evenly(comparison.series, MAX_EXAMPLES)
    each = MAX_EXAMPLES // max(1, len(series))
    rows = [spread_evenly([point for point in one.points if point.finished_runs], each) for one in series]
    return rows if any(len(row) > 1 for row in rows) else [[point for row in rows for point in row]]


def series_labels(series: Sequence[Series], most: int = 60) -> list[str]:
    """A short label for each series; different series have different labels."""
    texts = [one.label for one in series]
    if len({*texts}) < len(texts):  # the same word for different options
        texts = [format_configuration(one.values) for one in series]
    labels = distinct_labels(texts, most)
    return [labels[text] for text in texts]


def spread_evenly(items: Sequence[T], most: int) -> list[T]:
    """At most ``most`` of the items, spread over all of them, with the first and the last."""
    if len(items) <= most:
        return [*items]
    return [items[round(place * (len(items) - 1) / max(1, most - 1))] for place in range(most)]


def error_bars(
    statistics: Sequence[SeedStatistics], possible: tuple[float, float] = ANY_VALUE
) -> tuple[list[float], list[float]]:
    """The lengths of the error bars of some means, downwards and upwards.

    A bar ends where no value is possible; one run has no bar.
    """
    halves = [0.0 if math.isnan(one.half_width) else one.half_width for one in statistics]
    low, high = possible
    down = [min(half, max(one.mean - low, 0.0)) for half, one in zip(halves, statistics, strict=True)]
    return down, [min(half, max(high - one.mean, 0.0)) for half, one in zip(halves, statistics, strict=True)]


def _varying_number(groups: Sequence[SeedGroup], axes: Sequence[str]) -> str | None:
    """The option along which the series go: alpha, or the first number that varies while all else stays the same.

    None if there is no such number: each series would be a single point.
    """
    ordered = sorted((key for key in axes if key != SEED), key=lambda key: key != ALPHA)
    for key in ordered:
        if any(len({point.x for point in one.points}) > 1 for one in _series(groups, key)):
            return key
    return None


def _series(groups: Sequence[SeedGroup], x: str | None) -> Iterator[Series]:
    found: dict[tuple[tuple[str, str], ...], Series] = {}
    for place, group in enumerate(groups):
        at = float(place) if x is None else _finite_number(group.values.get(x))
        if at is not None:
            others = {key: value for key, value in group.values.items() if key != x}
            key = tuple((name, format_value(value)) for name, value in others.items())
            found.setdefault(key, Series(others, [])).points.append(replace(group, x=at))
    for series in found.values():
        series.points.sort(key=lambda point: point.x)
        if any(point.finished_runs for point in series.points):
            yield series


def _split_into_panels(series: Sequence[Series]) -> list[SeriesPanel]:
    """One panel; or one for each value of an option that leaves few enough series in each; or full panels in turn."""
    if len(series) <= MAX_SERIES:
        return [SeriesPanel("", [*series])]
    keys = dict.fromkeys(key for one in series for key in one.values)
    for key in sorted(keys, key=lambda key: key == "act"):  # activations are best compared within a panel
        split, titles = dict[str, list[Series]](), dict[str, str]()
        for one in series:
            rest = {name: value for name, value in one.values.items() if name != key}
            split.setdefault(format_value(one.values.get(key)), []).append(one._replace(values=rest))
            titles[format_value(one.values.get(key))] = format_configuration({key: one.values.get(key)})
        if 1 < len(split) <= MAX_PANELS and max(map(len, split.values())) <= MAX_SERIES:
            return [SeriesPanel(titles[value], some) for value, some in split.items()]
    return [SeriesPanel("", [*series[first : first + MAX_SERIES]]) for first in range(0, len(series), MAX_SERIES)]


def _label(key: str, value: object) -> str:
    """The text of one value: a word alone, a number with its name."""
    return value if isinstance(value, str) and not value.startswith("[") else format_configuration({key: value})


def _finite_number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)
