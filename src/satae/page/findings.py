"""What the runs show, in sentences that claim no more than the number of seeds allows."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from satae.evaluation.report_section import ReportedEvaluations
from satae.messages import count_words, join_words
from satae.page.sources import STILL_RUNNING, RunCollection, waiting_text
from satae.runs.layout import RUNNING
from satae.sweeps.aggregate import SeedGroup, SeedStatistics, sort_key
from satae.sweeps.results import RunResult
from satae.sweeps.series import Comparison, Series, spread_evenly
from satae.sweeps.text import format_change, format_statistics, shorten_value
from satae.training.metric_titles import COLLAPSE, FVU, SATURATED

ENOUGH_SEEDS: Final = 3  # for a difference
MOST_LISTED_VALUES: Final = 8  # of an option that varies
MOST_CHANGES: Final = 3  # along a series
MOST_SENTENCES: Final = 8  # one for each series


def run_counts(collection: RunCollection, groups: Sequence[SeedGroup]) -> str:
    """How many runs there are, and how they ended."""
    ends = Counter(STILL_RUNNING if run.status == RUNNING else run.status for run in collection.runs)
    if collection.unreadable:
        ends["not readable"] = len(collection.unreadable)
    started = len(collection.runs) + len(collection.unreadable)
    if started == 1 and not collection.waiting:
        return f"1 run: {shorten_value(next(iter(ends)))}."
    ended = join_words((f"{n:,} {shorten_value(how)}" for how, n in ends.most_common()), "and")
    text = f"{count_words(started, 'run')} of {count_words(len(groups), 'configuration')}: {ended}."
    waiting = collection.waiting
    return f"{text} {waiting_text(waiting, waiting + started)}." if waiting else text


def varied_options(runs: Sequence[RunResult], axes: Sequence[str]) -> str:
    """In which options the runs differ."""
    if not axes:
        return "They do not differ in any option." if len(runs) > 1 else ""
    return f"They differ in {join_words((_values(key, runs) for key in axes), 'and')}."


def _values(key: str, runs: Sequence[RunResult]) -> str:
    values = sorted({run.choices[key] for run in runs if key in run.choices}, key=sort_key)
    if len(values) > MOST_LISTED_VALUES:
        shown = f"{len(values)} values, {shorten_value(values[0])} to {shorten_value(values[-1])}"
    else:
        shown = ", ".join(map(shorten_value, values))
    return f"{shorten_value(key)} ({shown})"


def summary(comparison: Comparison) -> Iterator[tuple[str, str]]:
    """The name of each series and a sentence or two about it; or about the best and the worst configuration."""
    series = [one for one in comparison.series if one.points_with(FVU)]
    if comparison.x is None:
        yield from _best_and_worst(series)
        return
    for one in series[:MOST_SENTENCES]:
        yield shorten_value(one.label) if one.values else "", _along(shorten_value(comparison.x), one)
    if len(series) > MOST_SENTENCES:
        yield "", f"{len(series) - MOST_SENTENCES} more lines are in the figures and the tables."


def _along(x: str, series: Series) -> str:
    first, *rest = series.points_with(FVU)
    if not rest:
        return f"{FVU} is {_at(first, FVU)} at {x}={first.x:g}, the only value with a finished run."
    last = rest[-1]
    change = last.change(first, FVU)
    verb = "changes" if not is_significant(change) else "rises" if change.mean > 0 else "falls"
    text = f"From {x}={first.x:g} to {last.x:g}, {FVU} {verb} from {_at(first, FVU)} to {_at(last, FVU)}"
    if first.statistics(SATURATED).n and last.statistics(SATURATED).n:
        text += f", the saturated fraction from {_at(first, SATURATED)} to {_at(last, SATURATED)}"
    return f"{text}. {_changes(x, first, rest)}"


def _at(point: SeedGroup, metric: str) -> str:
    return format_statistics(point.statistics(metric))


def _changes(x: str, base: SeedGroup, rest: Sequence[SeedGroup]) -> str:
    """How much the reconstruction error changes, and whether chance may explain it."""
    changes = {point.x: point.change(base, FVU) for point in spread_evenly(rest, MOST_CHANGES)}
    if all(change.n < ENOUGH_SEEDS for change in changes.values()):
        return f"With fewer than {ENOUGH_SEEDS} seeds in common, a change cannot be told from chance."
    counts = [change.n for change in changes.values()]
    doubts = {at: "" if is_significant(change) else " (may be chance)" for at, change in changes.items()}
    text = join_words((f"{format_change(change)} at {at:g}{doubts[at]}" for at, change in changes.items()), "and")
    n = " to ".join(dict.fromkeys([str(min(counts)), str(max(counts))]))
    return f"Compared seed by seed with {x}={base.x:g}, it changes by {text}; n = {n}."


def is_significant(change: SeedStatistics) -> bool:
    """Whether a difference has enough seeds and its interval does not contain zero."""
    return change.n >= ENOUGH_SEEDS and abs(change.mean) > change.margin


def _best_and_worst(series: Sequence[Series]) -> Iterator[tuple[str, str]]:
    ranked = sorted((one.points[0].statistics(FVU).mean, place, one) for place, one in enumerate(series))
    if len(ranked) == 1:
        point = ranked[0][2].points[0]
        text = f"{FVU} is {_at(point, FVU)}, the saturated fraction {_at(point, SATURATED)}"
        yield "", f"{text} (n = {point.statistics(FVU).n})."
    elif ranked:
        best, worst = ranked[0][2], ranked[-1][2]
        lowest, highest = (f"{_at(one.points[0], FVU)} for {shorten_value(one.label)}" for one in (best, worst))
        change = worst.points[0].change(best.points[0], FVU)
        doubt = "" if is_significant(change) else ", which may be chance"
        apart = f" Seed by seed they differ by {format_statistics(change)} (n = {change.n}{doubt})." if change.n else ""
        yield "", f"The lowest {FVU} is {lowest}, the highest {highest}.{apart}"


def interval_note(groups: Sequence[SeedGroup]) -> str:
    """How to read the numbers after ±, or in parentheses; empty if no configuration has several seeds."""
    known = ((group, {name for run in group.finished_runs for name in run.metrics}) for group in groups)
    counts = {group.statistics(name).n for group, names in known for name in names}
    notes = []
    if any(n > 2 for n in counts):
        notes.append(
            "± is half of the 95 % interval of a mean over n seeds (Student's t). It is not the standard deviation,"
            " which is in groups.csv and in the table that satae-train prints. The intervals are not corrected for"
            " their number: about one in twenty misses."
        )
    if 2 in counts:
        notes.append("Two seeds have no interval: both values are in parentheses.")
    return " ".join(notes)


def assumptions(runs: Sequence[RunResult]) -> Iterator[str]:
    """What was guessed, dropped or converted in the data, with the number of runs if it is not true of all."""
    counts = Counter(note for run in runs for note in run.record.get("assumptions", ()))
    for note, count in counts.most_common(MOST_LISTED_VALUES):
        yield note if count == len(runs) else f"{note} ({count_words(count, 'run')})"
    if len(counts) > MOST_LISTED_VALUES:
        yield f"{len(counts) - MOST_LISTED_VALUES} more are in the run.json of the runs."


def evaluated_runs(collection: RunCollection, evaluated: ReportedEvaluations) -> str:
    """How many runs were evaluated; empty if none was."""
    if not evaluated.runs and not evaluated.notes:
        return ""
    some, every = len(evaluated.runs), len(collection.runs)
    if some < every:
        which = f"{some:,} of {count_words(every, 'run')}"
    else:
        which = f"All {some:,} runs" if some > 1 else "The run"
    return f"{which} {'was' if 1 in (some, every) else 'were'} evaluated by satae-eval."


def warnings(collection: RunCollection, groups: Sequence[SeedGroup]) -> Iterator[str]:
    """What a reader must know before relying on the rest."""
    if collection.left_out:
        yield f"{collection.left_out[:1].upper()}{collection.left_out[1:]}."
    counts = [group.statistics(FVU).n for group in groups]
    if missing := sum(not group.finished_runs for group in groups):
        has = count_words(missing, "configuration has", "configurations have")
        yield f"{has} no finished run and {'is' if missing == 1 else 'are'} in no figure."
    if few := [n for n in counts if 0 < n < ENOUGH_SEEDS]:
        which, single = count_words(len(few), "configuration has", "configurations have"), few.count(1)
        if len(collection.runs) == 1:
            yield "A single run says nothing about other seeds: its numbers have no interval over seeds."
        elif single == len(few):
            yield f"{which} a single seed and so no interval."
        else:
            some = f", {single} of them a single one and so no interval" if single else ""
            yield f"{which} fewer than {ENOUGH_SEEDS} seeds{some}."
    if collapsed := sum(group.collapsed_runs for group in groups):
        yield f"{count_words(collapsed, 'finished run')} collapsed: {COLLAPSE}."
    if twice := sum(sum(run.is_finished for run in group.runs) - len(group.finished_runs) for group in groups):
        has = count_words(twice, "run has", "runs have")
        yield f"{has} the same configuration and seed as another run: each such pair counts once."
    finished = [run for run in collection.runs if run.is_finished]
    if unknown := sum(not math.isfinite(run.metrics.get(FVU, math.nan)) for run in finished):
        yield f"{count_words(unknown, 'finished run has', 'finished runs have')} no finite {FVU}."
