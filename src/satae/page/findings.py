"""What was found, in words that say no more than the numbers of runs allow."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from satae.config.messages import count_words, join_words
from satae.page.evaluations.gathering import Evaluated
from satae.page.sources import Source, waiting_text
from satae.sweeps.aggregate import SeedGroup, SeedStatistics
from satae.sweeps.formatting import format_change, format_statistics, shorten_value
from satae.sweeps.results import FVU, SATURATED, RunResult
from satae.sweeps.series import Comparison, Point, Series, spread_evenly

ENOUGH: Final = 3  # seeds, of which differences are told
MOST_VALUES: Final = 8  # of what varies, written out
MOST_CHANGES: Final = 3  # of a line, told one by one
MOST_TOLD: Final = 8  # lines


def run_counts(source: Source, groups: Sequence[SeedGroup]) -> str:
    """How many runs, and how they ended."""
    ends = Counter("still running, or killed" if run.status == "running" else run.status for run in source.runs)
    if source.unreadable:
        ends["not readable"] = len(source.unreadable)
    begun = len(source.runs) + len(source.unreadable)
    ended = join_words((f"{n:,} {shorten_value(how)}" for how, n in ends.most_common()), "and")
    told = f"{count_words(begun, 'run')} of {count_words(len(groups), 'configuration')}: {ended}."
    return f"{told} {waiting_text(source.waiting, source.waiting + begun)}." if source.waiting else told


def varied(runs: Sequence[RunResult], axes: Sequence[str]) -> str:
    """What the runs differ in."""
    if not axes:
        return "Nothing varies between them." if len(runs) > 1 else ""
    return f"They differ in {join_words((_values(key, runs) for key in axes), 'and')}."


def _values(key: str, runs: Sequence[RunResult]) -> str:
    found = sorted(
        {run.choices[key] for run in runs if key in run.choices},
        key=lambda value: (isinstance(value, str), value if isinstance(value, int | float) else 0, str(value)),
    )
    if len(found) > MOST_VALUES:
        return f"{shorten_value(key)} ({len(found)} values, {shorten_value(found[0])} to {shorten_value(found[-1])})"
    return f"{shorten_value(key)} ({', '.join(shorten_value(value) for value in found)})"


def found(plan: Comparison) -> Iterator[tuple[str, str]]:
    """A sentence or two for each line, with its name; or for the best and the worst where there are no lines."""
    lines = [line for line in plan.series if line.having(FVU)]
    if plan.x is None:
        yield from _ranked(lines)
        return
    for line in lines[:MOST_TOLD]:
        yield shorten_value(line.label) if line.values else "", _along(shorten_value(plan.x), line)
    if len(lines) > MOST_TOLD:
        yield "", f"{len(lines) - MOST_TOLD} further lines are in the figures and the tables."


def _along(x: str, line: Series) -> str:
    first, *rest = line.having(FVU)
    if not rest:
        return f"{FVU} is {_at(first, FVU)} at {x}={first.x:g}, the only value with a finished run."
    ends = first, rest[-1]
    change = ends[1].change(ends[0], FVU)
    how = "goes" if not is_apart(change) else "rises" if change.mean > 0 else "falls"
    told = f"From {x}={first.x:g} to {ends[1].x:g}, {FVU} {how} from {_at(first, FVU)} to {_at(ends[1], FVU)}"
    if all(point.spread(SATURATED).n for point in ends):
        told += f", the saturated fraction from {_at(first, SATURATED)} to {_at(ends[1], SATURATED)}"
    return f"{told}. {_changes(x, first, rest)}"


def _at(point: Point, metric: str) -> str:
    return format_statistics(point.spread(metric))


def _changes(x: str, base: Point, rest: Sequence[Point]) -> str:
    """By how much it changes, and whether that can be told from chance."""
    changes = {point.x: point.change(base, FVU) for point in spread_evenly(rest, MOST_CHANGES)}
    if all(change.n < ENOUGH for change in changes.values()):
        return f"With fewer than {ENOUGH} seeds in common, no change can be told from chance."
    told = join_words((_change(at, change) for at, change in changes.items()), "and")
    seeds = " to ".join(dict.fromkeys(str(end([change.n for change in changes.values()])) for end in (min, max)))
    return f"Seed by seed, against {x}={base.x:g}, it changes by {told}; n = {seeds}."


def _change(at: float, change: SeedStatistics) -> str:
    doubt = "" if is_apart(change) else " (may be chance)"
    return f"{format_change(change)} at {at:g}{doubt}"


def is_apart(change: SeedStatistics) -> bool:
    """Whether zero lies outside the interval of a difference that enough seeds have."""
    return change.n >= ENOUGH and abs(change.mean) > change.margin


def _ranked(lines: Sequence[Series]) -> Iterator[tuple[str, str]]:
    ranked = sorted(lines, key=lambda line: line.points[0].spread(FVU).mean)
    if len(ranked) == 1:
        (point,) = ranked[0].points
        told = f"{FVU} is {_at(point, FVU)}, the saturated fraction {_at(point, SATURATED)}"
        yield "", f"{told} (n = {point.spread(FVU).n})."
    elif ranked:
        best, worst = ranked[0], ranked[-1]
        ends = [f"{_at(line.points[0], FVU)} for {shorten_value(line.label)}" for line in (best, worst)]
        change = worst.points[0].change(best.points[0], FVU)
        chance = "" if is_apart(change) else ", which may be chance"
        apart = f"Seed by seed they differ by {format_statistics(change)} (n = {change.n}{chance})." if change.n else ""
        yield "", f"The lowest {FVU} is {ends[0]}, the highest {ends[1]}. {apart}"


def scatter(groups: Sequence[SeedGroup]) -> str:
    """What is told of how far the seeds of some configurations scatter; empty where none has several."""
    seeds = {group.statistics(name).n for group in groups for run in group.finished for name in run.metrics}
    told = []
    if any(number > 2 for number in seeds):
        told.append(
            "± is half of the 95 % interval of a mean over n seeds (Student's t), not the standard deviation, which"
            " stands in the table that a sweep ends with and in groups.csv. Each interval stands by itself: of twenty,"
            " about one misses."
        )
    if 2 in seeds:
        told.append("Two seeds have no interval: in parentheses are both.")
    return " ".join(told)


def evaluated(source: Source, found: Evaluated) -> str:
    """What was evaluated; empty where nothing was."""
    if not found.runs and not found.notes:
        return ""
    some, every = len(found.runs), len(source.runs)
    which = (
        f"{some:,} of {count_words(every, 'run')}" if some < every else f"All {some:,} runs" if some > 1 else "The run"
    )
    return f"{which} {'was' if 1 in (some, every) else 'were'} evaluated by satae-eval."


def warnings(source: Source, groups: Sequence[SeedGroup]) -> Iterator[str]:
    """What one should know before one believes the rest."""
    done = [group.with_runs(group.finished) for group in groups]
    sizes = [group.statistics(FVU).n for group in done]
    if none := sum(not group.runs for group in done):
        yield f"{count_words(none, 'configuration')} without a finished run: in no figure."
    if few := [n for n in sizes if 0 < n < ENOUGH]:
        which, ones = count_words(len(few), "configuration has", "configurations have"), few.count(1)
        lacking = "and so no interval"
        some = f"fewer than {ENOUGH} seeds" + (f", {ones} of them a single one {lacking}" if ones else "")
        yield f"{which} {f'a single seed {lacking}' if ones == len(few) else some}."
    if collapsed := sum(run.is_collapsed for run in source.runs if run.is_finished):
        yield (
            f"{count_words(collapsed, 'finished run')} collapsed: the reconstruction says no more than the mean of the"
            " data, or every unit of some encoder layer is dead."
        )
    if twice := sum(sum(run.is_finished for run in group.runs) - len(group.finished) for group in groups):
        yield f"{count_words(twice, 'run')} of the same configuration and seed as another: each such pair counts once."
    if unknown := sum(not math.isfinite(run.metrics.get(FVU, math.nan)) for run in source.runs if run.is_finished):
        yield f"{count_words(unknown, 'finished run')} without a finite {FVU}."
