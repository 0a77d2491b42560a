"""Runs that differ only in their seed, taken together: mean, deviation and confidence interval of each metric."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, NamedTuple

from satae.config.schema import EXECUTION_OPTIONS, SEED, is_among
from satae.messages import format_compact, format_value
from satae.sweeps.results import RunResult

CONFIDENCE: Final = 0.95
ENOUGH_SEEDS: Final = 3  # for a difference
COVERAGE_NOTE: Final = "over k of n: the mean of k values; those of the other finished runs are not finite or missing"


class SeedStatistics(NamedTuple):
    """A metric over several seeds."""

    n: int
    mean: float  # nan if n is 0
    deviation: float  # sample standard deviation; nan if n < 2, inf if it exceeds every float
    margin: float  # half the width of the confidence interval of the mean; nan and inf as for the deviation
    low: float = math.nan  # the smallest value
    high: float = math.nan  # the largest value

    @classmethod
    def from_values(cls, values: Iterable[float]) -> SeedStatistics:
        """Compute the statistics of the finite values; the confidence interval of their mean is Student's.

            mean ± t s / sqrt(n),  t the quantile of Student's distribution with n - 1 degrees of freedom

        Student (1908), The probable error of a mean, Biometrika 6(1).
        """
        finite = [value for value in values if math.isfinite(value)]
        # the sum of large floats can overflow; division by a power of two changes no digit
        unit = 2.0 ** (math.frexp(max(map(abs, finite), default=1.0))[1] - 1)
        scaled = [value / unit for value in finite]
        n, mean = len(scaled), statistics.fmean(scaled) if scaled else math.nan
        low, high = min(finite, default=math.nan), max(finite, default=math.nan)
        if n < 2:
            return cls(n, mean * unit, math.nan, math.nan, low, high)
        deviation = math.dist(scaled, [mean] * n) / math.sqrt(n - 1)  # ten times as fast as statistics.stdev
        margin = student_quantile(n - 1) * deviation / math.sqrt(n)
        return cls(n, mean * unit, deviation * unit, margin * unit, low, high)

    @property
    def half_width(self) -> float:
        """Half of the 95 % interval of the mean; for two seeds half of their range; nan for one seed.

        Student's t makes the interval of two seeds twelve times as wide as the distance between them.
        """
        return self.deviation / math.sqrt(2) if self.n == 2 else self.margin

    @property
    def is_settled(self) -> bool:
        """Whether a difference has enough seeds, and its confidence interval does not contain zero.

        Exactly the same difference for every seed comes from a coarse measure, such as a share of a few inputs, and
        settles nothing.
        """
        return self.n >= ENOUGH_SEEDS and self.p_value < 1 - CONFIDENCE

    @property
    def p_value(self) -> float:
        """The two-sided p-value of Student's test that the mean is zero; for differences, this is the paired test.

        1 for exactly the same difference for every seed; nan for one seed.
        """
        from scipy.special import stdtr

        if not self.deviation > 1e-14 * abs(self.mean):
            return math.nan if self.n < 2 else 1.0
        return float(2 * stdtr(self.n - 1, -abs(self.mean) / self.deviation * math.sqrt(self.n)))


@dataclass(frozen=True)
class SeedGroup:
    """The runs of one configuration."""

    values: dict[str, Any]  # the options that vary between configurations, and their values in this one
    runs: list[RunResult]  # ordered by seed
    x: float = math.nan  # the place in a series, if it is in one

    @property
    def name(self) -> str:
        """The values in one word, such as ``act=relu,alpha=0.1``."""
        return ",".join(f"{key}={format_compact(value)}" for key, value in self.values.items()) or "all"

    @cached_property
    def one_per_seed(self) -> list[RunResult]:
        """One run for each seed, a finished one if there is one: a rerun on other threads is not another sample."""
        found: dict[int, RunResult] = {}
        for run in self.runs:
            if run.seed not in found or run.is_finished or not found[run.seed].is_finished:
                found[run.seed] = run
        return [found[seed] for seed in sorted(found)]

    @cached_property
    def finished_runs(self) -> list[RunResult]:
        """The runs in ``one_per_seed`` that are finished."""
        return [run for run in self.one_per_seed if run.is_finished]

    @property
    def collapsed_runs(self) -> int:
        """The number of finished runs that collapsed."""
        return sum(run.is_collapsed for run in self.finished_runs)

    def statistics(self, metric: str) -> SeedStatistics:
        """Statistics of a final metric over the seeds that have it."""
        if metric not in self._known_statistics:
            values = (run.metrics[metric] for run in self.one_per_seed if metric in run.metrics)
            self._known_statistics[metric] = SeedStatistics.from_values(values)
        return self._known_statistics[metric]

    def coverage(self, metric: str) -> str:
        """``" over 2 of 3"`` if the statistics of a metric leave out finished runs; empty if not, or if none has it."""
        n, every = self.statistics(metric).n, len(self.finished_runs)
        return f" over {n} of {every}" if n < every and any(metric in run.metrics for run in self.finished_runs) else ""

    @cached_property
    def _known_statistics(self) -> dict[str, SeedStatistics]:
        return {}

    def difference(self, metric: str, other: str) -> SeedStatistics:
        """Statistics of how much more one metric is than another, over the finished runs that have both."""
        found = [run.metrics for run in self.finished_runs if metric in run.metrics and other in run.metrics]
        return SeedStatistics.from_values(metrics[metric] - metrics[other] for metrics in found)

    def change(self, base: SeedGroup, metric: str) -> SeedStatistics:
        """Statistics of the change of a final metric from ``base`` to this configuration, seed by seed."""
        first = {run.seed: run.metrics.get(metric, math.nan) for run in base.finished_runs}
        common = [run for run in self.finished_runs if run.seed in first]
        return SeedStatistics.from_values(run.metrics.get(metric, math.nan) - first[run.seed] for run in common)


def group_runs(runs: Sequence[RunResult], typed: Sequence[str] = ()) -> list[SeedGroup]:
    """Group runs by configuration, ordered by the values of what varies; within a group they are ordered by seed.

    Args:
        runs: all runs.
        typed: the options that were given several values, in the order in which the names of groups list them.
    """
    keys = [key for key in varying_keys([run.choices for run in runs], typed) if key != SEED]
    found: dict[tuple[str, ...], SeedGroup] = {}
    for run in runs:
        values = {key: run.choices[key] for key in keys if key in run.choices}
        found.setdefault(tuple(format_value(values.get(key)) for key in keys), SeedGroup(values, [])).runs.append(run)
    for group in found.values():
        group.runs.sort(key=lambda run: run.seed)
    return sorted(found.values(), key=lambda group: [sort_key(group.values.get(key)) for key in keys])


def statistics_by_epoch(
    logs: Iterable[Iterable[Mapping[str, float]]], metrics: Sequence[str]
) -> dict[int, dict[str, SeedStatistics]]:
    """Statistics over the runs after each epoch, for each metric that at least two runs have.

    Args:
        logs: for each run, the metrics of its epochs, with their numbers under ``epoch``.
        metrics: names of the metrics.
    """
    by_epoch: dict[int, list[Mapping[str, float]]] = {}
    for log in logs:
        for line in log:
            by_epoch.setdefault(int(line["epoch"]), []).append(line)
    found = {
        epoch: {name: SeedStatistics.from_values(line[name] for line in lines if name in line) for name in metrics}
        for epoch, lines in sorted(by_epoch.items())
    }
    at_least_two = {epoch: {name: s for name, s in named.items() if s.n >= 2} for epoch, named in found.items()}
    return {epoch: named for epoch, named in at_least_two.items() if named}


def varying_keys(choices: Sequence[Mapping[str, Any]], typed: Sequence[str] = ()) -> list[str]:
    """The options in which runs differ: ``["act", "alpha", "seed"]``, the seed last.

    An option of a choice counts only among runs with that choice: ``act.threshold`` varies if two runs with
    ``act=shrink`` differ in it.

    Args:
        choices: the choices of each run.
        typed: options whose order is kept.
    """
    first: dict[tuple[str, str], str] = {}  # the first value of each option, by option and choice
    differs: dict[str, bool] = {}
    for one in choices:
        for key, value in one.items():
            group, text = key.partition(".")[0], format_value(value)
            choice = str(one.get(group)) if group != key else ""
            differs[key] = differs.get(key, False) or first.setdefault((key, choice), text) != text
    return in_typed_order([key for key in differs if differs[key] and not is_among(key, EXECUTION_OPTIONS)], typed)


def in_typed_order(keys: Iterable[str], typed: Sequence[str]) -> list[str]:
    """Sort keys as they were typed, an option after its choice; then the others, and the seed last."""
    places = {key: place for place, key in enumerate(typed)}
    return sorted(keys, key=lambda key: (key == SEED, places.get(key, places.get(key.partition(".")[0], len(places)))))


def student_quantile(degrees: int) -> float:
    """The quantile of Student's distribution for a two-sided interval with ``CONFIDENCE``."""
    from scipy.special import stdtrit

    return float(stdtrit(degrees, (1 + CONFIDENCE) / 2))


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p-values for their number, in their order: at most 5 % of such tables call any difference real by chance.

        max over j <= i of min(1, (m - j + 1) p_j)   for the i-th smallest of m p-values

    The p-values may depend on each other. Holm (1979), A simple sequentially rejective multiple test procedure,
    Scandinavian Journal of Statistics 6(2).
    """
    corrected, largest = [math.nan] * len(p_values), 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        corrected[place] = largest
    return corrected


def sort_key(value: Any) -> tuple[int, float, str]:
    """Numbers in their order, before words in theirs."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return (0, float(value), "") if is_number else (1, 0.0, format_value(value))
