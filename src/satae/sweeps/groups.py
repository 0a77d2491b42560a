"""Runs that differ in their seed alone, taken together."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from satae.config.flat import APART, SEED, is_among
from satae.config.messages import show
from satae.sweeps.results import Result

CONFIDENCE: Final = 0.95
TOO_LARGE: Final = "too large"  # a spread that no float can be


class Group(NamedTuple):
    """A configuration, and its runs."""

    values: dict[str, Any]  # of what varies between groups
    runs: list[Result]  # in the order of their seeds

    @property
    def name(self) -> str:
        """Such as ``act=relu,alpha=0.1``."""
        return ",".join(f"{key}={shown(value)}" for key, value in self.values.items()) or "all"

    @property
    def seeds(self) -> list[Result]:
        """One run for each seed, that has finished where one has: the same on other threads is no other sample."""
        found = {run.seed: run for run in sorted(self.runs, key=lambda run: run.is_finished)}
        return [found[seed] for seed in sorted(found)]

    @property
    def finished(self) -> list[Result]:
        """Those of them that came to their end."""
        return [run for run in self.seeds if run.is_finished]

    def spread(self, metric: str) -> Spread:
        """Of a final measure over the seeds that have it."""
        return Spread.of(run.metrics[metric] for run in self.seeds if metric in run.metrics)


def shown(value: Any) -> str:
    """A value for people: ``0.1``, ``0`` rather than ``0.0``."""
    return f"{value:g}" if isinstance(value, float) else show(value)


class Spread(NamedTuple):
    """A measure over several seeds."""

    n: int
    mean: float  # nan of none
    deviation: float  # the standard deviation of a sample; nan of less than two, inf where no float is as large
    margin: float  # half of the confidence interval of the mean; as the deviation

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """Of the values that are finite.

            mean +- t s / sqrt(n),  t the quantile of Student's distribution with n - 1 degrees of freedom

        Student (1908), The probable error of a mean, Biometrika 6(1).
        """
        finite = [value for value in values if math.isfinite(value)]
        # of the size of the largest, since the sum of large floats need not be one; a power of two changes no digit
        unit = 2.0 ** (math.frexp(max(map(abs, finite), default=1.0))[1] - 1)
        found = [value / unit for value in finite]
        n, mean = len(found), statistics.fmean(found) if found else math.nan
        if n < 2:
            return cls(n, mean * unit, math.nan, math.nan)
        deviation = math.dist(found, [mean] * n) / math.sqrt(n - 1)  # statistics.stdev takes ten times as long
        return cls(n, mean * unit, deviation * unit, quantile(n - 1) * deviation / math.sqrt(n) * unit)


def quantile(degrees: int) -> float:
    """Of Student's distribution, for a two-sided interval of ``CONFIDENCE``."""
    from scipy.special import stdtrit

    return float(stdtrit(degrees, (1 + CONFIDENCE) / 2))


def axes(choices: Sequence[Mapping[str, Any]], typed: Sequence[str] = ()) -> list[str]:
    """What runs differ in, by the choices of each: ``["act", "alpha", "seed"]``, the seed last.

    An option of a choice counts only among runs that made that choice: ``act.threshold`` where two runs of
    ``act=shrink`` differ in it.

    Args:
        choices: of each run.
        typed: what was given several values, whose order is kept.
    """
    keys = dict.fromkeys(key for one in choices for key in one if not is_among(key, APART))
    return as_typed([key for key in keys if _varies(key, choices)], typed)


def as_typed(keys: Iterable[str], typed: Sequence[str]) -> list[str]:
    """Keys in the order in which some were typed, an option after its choice; then the others, and the seed last."""
    places = {key: place for place, key in enumerate(typed)}
    return sorted(keys, key=lambda key: (key == SEED, places.get(key, places.get(key.partition(".")[0], len(places)))))


def grouped(runs: Sequence[Result], typed: Sequence[str] = ()) -> list[Group]:
    """The runs by configuration, in the order of its values; the seeds in theirs.

    Args:
        runs: all of them.
        typed: what was given several values, in the order in which configurations have it.
    """
    keys = [key for key in axes([run.choices for run in runs], typed) if key != SEED]
    found: dict[tuple[str, ...], Group] = {}
    for run in runs:
        values = {key: run.choices[key] for key in keys if key in run.choices}
        found.setdefault(tuple(show(values.get(key)) for key in keys), Group(values, [])).runs.append(run)
    for group in found.values():
        group.runs.sort(key=lambda run: run.seed)
    return sorted(found.values(), key=lambda group: [_rank(group.values.get(key)) for key in keys])


def _varies(key: str, choices: Sequence[Mapping[str, Any]]) -> bool:
    group = key.partition(".")[0]
    seen: dict[str, set[str]] = {}
    for one in choices:
        if key in one:
            seen.setdefault(str(one.get(group)) if group != key else "", set()).add(show(one[key]))
    return any(len(values) > 1 for values in seen.values())


def _rank(value: Any) -> tuple[int, float, str]:
    """Numbers in their order, before words in theirs."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return (0, float(value), "") if is_number else (1, 0.0, show(value))
