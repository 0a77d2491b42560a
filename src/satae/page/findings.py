"""What the runs show, in sentences that claim no more than the number of seeds allows."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from satae.evaluation.reported_evaluations import ReportedEvaluations
from satae.messages import count_words, format_compact, join_words
from satae.page.sources import EARLY, STILL_RUNNING, RunCollection, waiting_text
from satae.runs.layout import RUNNING
from satae.sweeps.aggregate import COVERAGE_NOTE, ENOUGH_SEEDS, SeedGroup, sort_key
from satae.sweeps.results import RunResult
from satae.sweeps.series import Comparison, Series, series_labels, spread_evenly
from satae.sweeps.text import distinct_labels, format_change, format_statistics, shorten_value
from satae.training.metric_titles import COLLAPSE, FVU, SATURATED, SENSITIVITY, long_title

SENSITIVITY_TITLE: Final = long_title(SENSITIVITY)
FVU_WORDS: Final = "validation fvu"
MAX_LISTED_VALUES: Final = 8  # of an option that varies
MAX_CHANGES: Final = 3  # along a series
MAX_SENTENCES: Final = 8  # one for each series


def run_counts(collection: RunCollection, groups: Sequence[SeedGroup]) -> str:
    """How many runs there are, and how they ended."""
    names = {RUNNING: STILL_RUNNING}
    ends = Counter(EARLY if run.is_early else names.get(run.status, run.status) for run in collection.runs)
    if collection.unreadable:
        ends["not readable"] = len(collection.unreadable)
    started = len(collection.runs) + len(collection.unreadable)
    if started == 1 and not collection.waiting:
        return f"1 run: {shorten_value(next(iter(ends)))}."
    ended = join_words((f"{n:,} {shorten_value(how)}" for how, n in ends.most_common()), "and")
    text = f"{count_words(started, 'run')} of {count_words(len(groups), 'configuration')}: {ended}."
    waiting = collection.waiting
    return f"{text} {waiting_text(waiting, waiting + started)}." if waiting else text


def trained_model(run: RunResult) -> str:
    """What was trained, in a line: the chosen options that matter most, as far as the run's configuration has them."""
    known = {key: shorten_value(value) for key, value in run.choices.items() if value is not None}
    widths = f" with widths {known['arch.widths']}" if "arch.widths" in known else ""
    level = f" of {known['noise.level']}" if "noise.level" in known else ""
    noise = "no" if known.get("noise") == "none" else known.get("noise", "").replace("_", " ")
    parts = {
        "data": f"data {known.get('data')}",
        "arch": f"architecture {known.get('arch')}{widths}",
        "act": f"activation {known.get('act')}",
        "alpha": f"alpha {known.get('alpha')}",
        "noise": f"{noise} noise{level}",
        "epochs": f"epochs {known.get('epochs')}",
    }
    texts = [text for key, text in parts.items() if key in known]
    return f"Trained: {', '.join(texts)}." if texts else ""


def varied_options(runs: Sequence[RunResult], axes: Sequence[str]) -> str:
    """In which options the runs differ."""
    if not axes:
        return "They do not differ in any option." if len(runs) > 1 else ""
    return f"They differ in {join_words((_values(key, runs) for key in axes), 'and')}."


def _values(key: str, runs: Sequence[RunResult]) -> str:
    values = sorted({run.choices[key] for run in runs if key in run.choices}, key=sort_key)
    texts = [*map(format_compact, values)]
    labels = distinct_labels(texts)
    if len(values) > MAX_LISTED_VALUES:
        shown = f"{len(values)} values, {labels[texts[0]]} to {labels[texts[-1]]}"
    else:
        shown = ", ".join(labels[text] for text in texts)
    return f"{shorten_value(key)} ({shown})"


def summary(comparison: Comparison) -> Iterator[tuple[str, str]]:
    """The name of each series and a sentence or two about it; or about the best and the worst configuration."""
    series = [one for one in comparison.series if one.points_with(FVU)]
    if comparison.x is None:
        yield from _best_and_worst(series)
    else:
        for one, label in zip(series[:MAX_SENTENCES], series_labels(series), strict=False):
            yield label if one.values else "", _along(shorten_value(comparison.x), one)
        if len(series) > MAX_SENTENCES:
            yield "", f"{len(series) - MAX_SENTENCES} more lines are in the figures and the tables."
    if sentence := _sensitivity(comparison):
        yield SENSITIVITY_TITLE.capitalize(), sentence


def _sensitivity(comparison: Comparison) -> str:
    """How the sensitivity of the code to small noise changes, in one sentence; empty if it was not measured."""
    series = [one for one in comparison.series if one.points_with(SENSITIVITY)]
    if comparison.x is None:
        ranked = sorted((one.points[0].statistics(SENSITIVITY).mean, place) for place, one in enumerate(series))
        if len(ranked) < 2:
            return f"{_at(series[0].points[0], SENSITIVITY)}." if series else ""
        ends, labels = [series[place] for _, place in (ranked[0], ranked[-1])], series_labels(series)
        lowest, highest = (
            f"{_at(series[at].points[0], SENSITIVITY)} for {labels[at]}" for _, at in (ranked[0], ranked[-1])
        )
        change = ends[1].points[0].change(ends[0].points[0], SENSITIVITY)
        doubt = "" if change.is_settled else f"; the difference is not settled with {count_words(change.n, 'seed')}"
        return f"The lowest is {lowest}, the highest {highest}{doubt}."
    x, courses = shorten_value(comparison.x), list[str]()
    for one, label in zip(series, series_labels(series), strict=True):
        first, *rest = one.points_with(SENSITIVITY)
        if not rest:
            continue
        change = rest[-1].change(first, SENSITIVITY)
        verb = "not settled" if not change.is_settled else "rises" if change.mean > 0 else "falls"
        numbers = f"from {_at(first, SENSITIVITY)} at {format_compact(first.x)} to {_at(rest[-1], SENSITIVITY)}"
        seeds = count_words(change.n, "seed")
        whose = f"{label}: " if len(series) > 1 else ""
        courses.append(f"{whose}{verb}, {numbers} at {format_compact(rest[-1].x)} ({seeds} in common)")
    more = f"; {len(courses) - MAX_SENTENCES} more are in its figure" if len(courses) > MAX_SENTENCES else ""
    return f"Along {x}, {'; '.join(courses[:MAX_SENTENCES])}{more}." if courses else ""


def _along(x: str, series: Series) -> str:
    first, *rest = series.points_with(FVU)
    if not rest:
        at = format_compact(first.x)
        return f"The {FVU_WORDS} is {_at(first, FVU)} at {x}={at}, the only value with a finished run."
    last = rest[-1]
    change = last.change(first, FVU)
    verb = "changes" if not change.is_settled else "rises" if change.mean > 0 else "falls"
    text = f"From {x}={format_compact(first.x)} to {format_compact(last.x)}, the {FVU_WORDS} {verb}"
    text += f" from {_at(first, FVU)} to {_at(last, FVU)}"
    if first.statistics(SATURATED).n and last.statistics(SATURATED).n:
        text += f", the saturated fraction from {_at(first, SATURATED)} to {_at(last, SATURATED)}"
    return f"{text}. {_changes(x, first, rest)}"


def _at(point: SeedGroup, metric: str) -> str:
    return format_statistics(point.statistics(metric))


def _changes(x: str, base: SeedGroup, rest: Sequence[SeedGroup]) -> str:
    """How much the reconstruction error changes, and whether chance may explain it."""
    changes = {point.x: point.change(base, FVU) for point in spread_evenly(rest, MAX_CHANGES)}
    if all(change.n < ENOUGH_SEEDS for change in changes.values()):
        return f"With fewer than {ENOUGH_SEEDS} seeds in common, a change cannot be told from chance."
    counts = [change.n for change in changes.values()]
    doubts = {at: "" if change.is_settled else " (may be chance)" for at, change in changes.items()}
    texts = (f"{format_change(change)} at {format_compact(at)}{doubts[at]}" for at, change in changes.items())
    text = join_words(texts, "and")
    n = " to ".join(dict.fromkeys([str(min(counts)), str(max(counts))]))
    return f"Compared seed by seed with {x}={format_compact(base.x)}, the {FVU_WORDS} changes by {text}; n = {n}."


def _best_and_worst(series: Sequence[Series]) -> Iterator[tuple[str, str]]:
    ranked = sorted((one.points[0].statistics(FVU).mean, place, one) for place, one in enumerate(series))
    if len(ranked) == 1:
        point = ranked[0][2].points[0]
        text = f"The {FVU_WORDS} is {_at(point, FVU)}, the saturated fraction {_at(point, SATURATED)}"
        yield "", f"{text} (n = {point.statistics(FVU).n})."
    elif ranked:
        best, worst = ranked[0][2], ranked[-1][2]
        labels = series_labels([best, worst])
        ends = zip((best, worst), labels, strict=True)
        lowest, highest = (f"{_at(one.points[0], FVU)} for {label}" for one, label in ends)
        change = worst.points[0].change(best.points[0], FVU)
        doubt = "" if change.is_settled else ", which may be chance"
        apart = f" Seed by seed they differ by {format_statistics(change)} (n = {change.n}{doubt})." if change.n else ""
        yield "", f"The lowest {FVU_WORDS} is {lowest}, the highest {highest}.{apart}"


def interval_note(groups: Sequence[SeedGroup]) -> str:
    """How to read the numbers after ±, or in parentheses; empty if no configuration has several seeds."""
    known = [
        (group, name) for group in groups for name in {name for run in group.finished_runs for name in run.metrics}
    ]
    counts = {group.statistics(name).n for group, name in known}
    notes = []
    if any(n > 2 for n in counts):
        notes.append(
            "± is half of the 95 % interval of a mean over n seeds (Student's t). It is not the standard deviation,"
            " which is in groups.csv and in the table that satae-train prints. About one in twenty of these"
            " intervals misses the true value."
        )
    if 2 in counts:
        notes.append("Two seeds have no interval: both values are in parentheses.")
    if any(group.statistics(name).n and group.coverage(name) for group, name in known):
        notes.append(f"{COVERAGE_NOTE.capitalize()}.")
    return " ".join(notes)


def assumptions(runs: Sequence[RunResult]) -> Iterator[str]:
    """What was guessed, dropped or converted, and what the runs were warned of, with the number of runs if not all."""
    counts = Counter[str]()
    for run in runs:
        counts.update(dict.fromkeys([*run.record.get("assumptions", ()), *run.record.get("warnings", ())], 1))
    for note, count in counts.most_common(MAX_LISTED_VALUES):
        yield note if count == len(runs) else f"{note} ({count_words(count, 'run')})"
    if len(counts) > MAX_LISTED_VALUES:
        yield f"{len(counts) - MAX_LISTED_VALUES} more are in the run.json of the runs."


def evaluated_runs(collection: RunCollection, evaluated: ReportedEvaluations) -> str:
    """How many runs were evaluated; empty if none was."""
    if not evaluated.runs and not evaluated.notes:
        return ""
    every = len(collection.runs)
    counts = {section.name: evaluated.count_measured(section.name) for section in evaluated.sections}
    some = max(counts.values(), default=0)
    if len({number for number in counts.values() if number}) > 1:
        each = "; ".join(f"{name}: {number:,} of {count_words(every, 'run')}" for name, number in counts.items())
        return f"satae-eval has not measured the same of all runs ({each})."
    if some < every:
        which = f"{some:,} of {count_words(every, 'run')}"
    else:
        which = f"All {some:,} runs" if some > 1 else "The run"
    return f"{which} {'was' if 1 in (some, every) else 'were'} evaluated by satae-eval."


def warnings(collection: RunCollection, groups: Sequence[SeedGroup], axes: Sequence[str]) -> Iterator[str]:
    """What a reader must know before relying on the rest.

    Args:
        collection: the runs.
        groups: their configurations.
        axes: options in which the runs differ.
    """
    if collection.left_out:
        yield f"{collection.left_out[:1].upper()}{collection.left_out[1:]}."
    if differ := [group for group in ("data", "noise") if any(key.partition(".")[0] == group for key in axes)]:
        remedy = "" if "data" in differ else "; satae-eval evaluation=denoising measures all with the same noise"
        own = (
            f"The runs differ in {join_words(differ, 'and')}, and the losses, fvu and saturation of each are of its own"
        )
        yield f"{own} inputs, so they do not show which model is better{remedy}."
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
        yield f"{count_words(unknown, 'finished run has', 'finished runs have')} no finite {FVU_WORDS}."
