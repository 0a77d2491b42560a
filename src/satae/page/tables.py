"""The tables of the page, the facts about how its runs were made, and all numbers as CSV files."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from satae.config.schema import EXECUTION_OPTIONS, SEED, is_among
from satae.evaluation.reported_evaluations import ReportedEvaluations
from satae.evaluation.result import read_result
from satae.messages import clean_text, count_words, format_compact
from satae.page.sources import EARLY, STILL_RUNNING, RunCollection
from satae.runs.layout import EVALUATION_FOLDER, RUNNING, find_log
from satae.sweeps.aggregate import SeedGroup
from satae.sweeps.csv_files import UNREADABLE, encode_csv
from satae.sweeps.text import (
    NOTHING,
    TextTable,
    distinct_labels,
    format_duration,
    format_number,
    format_statistics,
    shorten_value,
    table_keys,
    table_values,
)
from satae.training.metric_titles import SATURATED, TABLE_METRICS, TITLES, column_title, split_title

MAX_LAYERS: Final = 6  # that have a column; groups.csv has all
MAX_DIFFERENT_VALUES: Final = 4  # of a fact
SIDE_BY_SIDE: Final = frozenset(f"valid/{name}" for name in TITLES)  # metrics of the table of a few runs
EVALUATION_COLUMNS: Final = ("run", "configuration", "seed", "part", "in_means", "table")


def configurations_table(groups: Sequence[SeedGroup], axes: Sequence[str]) -> TextTable:
    """One row for each configuration; the saturated fraction of each encoder layer is beside that of all layers."""
    keys, metrics = table_keys(axes), _known_metrics(groups, with_layers=True)
    interval = " ± 95 %" if any(len(group.finished_runs) > 2 for group in groups) else ""
    titles = [f"{title}{interval}" for title in metrics.values()]
    head = [*(keys or ["configuration"]), "n", *titles, "collapsed", "not finished"]

    def rows() -> Iterator[list[str]]:
        for group in groups:
            numbers = [f"{format_statistics(group.statistics(metric))}{group.coverage(metric)}" for metric in metrics]
            unfinished = sum(not run.is_finished for run in group.runs)
            yield [
                *table_values(group, keys),
                str(len(group.finished_runs)),
                *numbers,
                str(group.collapsed_runs),
                str(unfinished),
            ]

    return TextTable.from_rows("Configurations", head, rows(), len(metrics) + 3)


def runs_table(collection: RunCollection, groups: Sequence[SeedGroup], axes: Sequence[str]) -> TextTable:
    """One row for each run."""
    keys, metrics = table_keys(axes), _known_metrics(groups)
    head = ["run", *keys, "status", SEED, *metrics.values(), "wall time"]

    def rows() -> Iterator[list[str]]:
        for group in groups:
            for run in group.runs:
                numbers = [format_number(run.metrics.get(metric)) for metric in metrics]
                wall_time = format_duration(run.record.get("wall_s", math.nan))
                status = EARLY if run.is_early else shorten_value(run.status)
                cells = [*(table_values(group, keys) if keys else []), status, str(run.seed)]
                yield [collection.name(run), *cells, *numbers, wall_time]
        for unreadable in collection.unreadable:
            unknown = [NOTHING] * (len(metrics) + 2)
            yield [collection.name(unreadable), *[NOTHING] * len(keys), UNREADABLE, *unknown]

    return TextTable.from_rows("Runs", head, rows(), len(metrics) + 2)


def failures_table(collection: RunCollection, groups: Sequence[SeedGroup]) -> TextTable:
    """One row for each run that did not finish, with the reason."""

    def rows() -> Iterator[list[str]]:
        for run in (run for group in groups for run in group.runs if not run.is_finished):
            log = find_log(run.directory)
            place = f"{collection.name(run)}/{clean_text(log.name)}" if log else NOTHING
            code = run.record.get("exit_code")
            reason = run.failure or (STILL_RUNNING if run.status == RUNNING else NOTHING)
            cells = [shorten_value(run.status), NOTHING if code is None else str(code)]
            yield [collection.name(run), *cells, reason, place]
        for unreadable in collection.unreadable:
            yield [collection.name(unreadable), UNREADABLE, NOTHING, unreadable.reason, NOTHING]

    return TextTable.from_rows("Runs that did not finish", ["run", "status", "exit code", "reason", "log"], rows())


def resumes_table(collection: RunCollection) -> TextTable:
    """One row for each time that a run was resumed."""

    def rows() -> Iterator[list[str]]:
        for run in collection.runs:
            for resume in run.record.get("resumed", ()):
                cells = [resume.get(name, NOTHING) for name in ("at", "command", "device", "threads")]
                yield [collection.name(run), *cells]

    head = ["run", "resumed at", "with the command", "device before", "threads before"]
    return TextTable.from_rows("Resumed runs", head, rows())._replace(files="the run.json of the runs")


def side_by_side_table(collection: RunCollection, axes: Sequence[str]) -> TextTable:
    """The options in which a few runs differ, and their metrics: a column for each run.

    Of two runs, the last column is what the second has more than the first.
    """
    runs = collection.runs
    names = [collection.name(run) for run in runs]

    def rows() -> Iterator[list[str]]:
        for key in axes:
            labels = distinct_labels(format_compact(run.choices[key]) for run in runs if key in run.choices)
            yield [key, *(labels[format_compact(run.choices[key])] if key in run.choices else NOTHING for run in runs)]
        if not all(run.is_finished for run in runs):
            yield ["status", *(shorten_value(run.status) for run in runs)]
        for metric in dict.fromkeys(metric for run in runs for metric in run.metrics if metric in SIDE_BY_SIDE):
            values = [run.metrics.get(metric, math.nan) for run in runs]
            yield [split_title(metric), *map(format_number, values), _difference(*values) if len(values) == 2 else ""]
        yield ["wall time", *(format_duration(run.record.get("wall_s", math.nan)) for run in runs)]

    head = ["", *names, *(["difference"] if len(runs) == 2 else [])]
    cells = [[*row, ""][: len(head)] for row in rows()]
    return TextTable.from_rows("Side by side", head, cells, len(head) - 1)


def _difference(first: float, second: float) -> str:
    difference = second - first
    return f"{'+' * (difference > 0)}{format_number(difference)}" if math.isfinite(difference) else NOTHING


def provenance(collection: RunCollection) -> dict[str, str]:
    """How the runs were made: facts by their names."""
    records = [run.record for run in collection.runs]
    walls = [float(wall) for record in records if math.isfinite(wall := record.get("wall_s", math.nan))]
    times = [str(record[key]) for record in records for key in ("started", "ended") if record.get(key)]
    found = {
        "folder of the runs": clean_text(collection.root),
        "options" if len(records) == 1 else "options of all runs": _common([run.choices for run in collection.runs]),
        "versions": _distinct(records, "versions"),
        "sources": _distinct(records, "sources", "commit {}".format),
        "device": _distinct(records, "device"),
        "threads per run": _distinct(records, "threads"),
        "runs at once": _distinct(records, "jobs"),
        "started in folder": _distinct(records, "folder"),
        "first start, last end": f"{min(times)}, {max(times)}" if times else "",
    }
    if len(walls) == 1:
        found["wall time"] = format_duration(walls[0])
    elif walls:
        mean = format_duration(sum(walls) / len(walls))
        found["wall time"] = f"{format_duration(sum(walls))} for all runs together, {mean} per run"
    return {name: value for name, value in found.items() if value}


def _common(choices: Sequence[Mapping[str, Any]]) -> str:
    """The options that all runs share, without those that only say how a run is computed."""
    if not choices:
        return ""
    first, *others = choices
    shared = [key for key in first if all(key in one and one[key] == first[key] for one in others)]
    return ", ".join(f"{key}={format_compact(first[key])}" for key in shared if not is_among(key, EXECUTION_OPTIONS))


def _distinct(records: Sequence[Mapping[str, Any]], key: str, text: Callable[[Any], str] = str) -> str:
    """The different values of a fact; if there are several, with the number of runs for each."""
    values = [text(record[key]) for record in records if record.get(key) is not None]
    kinds = [*dict.fromkeys(values)]
    if len(kinds) <= 1:
        return "".join(kinds)
    more = f"; {len(kinds) - MAX_DIFFERENT_VALUES} more" if len(kinds) > MAX_DIFFERENT_VALUES else ""
    shown = (f"{kind} ({count_words(values.count(kind), 'run')})" for kind in kinds[:MAX_DIFFERENT_VALUES])
    return f"{'; '.join(shown)}{more}"


def _known_metrics(groups: Sequence[SeedGroup], *, with_layers: bool = False) -> dict[str, str]:
    """The metrics with a column that at least one run has, and the titles of their columns."""
    known = dict.fromkeys(metric for group in groups for run in group.runs for metric in run.metrics)
    layers = [metric for metric in known if metric.startswith(f"{SATURATED}/")]
    titles = dict[str, str]()
    for metric in TABLE_METRICS:
        if metric in known:
            titles[metric] = column_title(metric)
        if metric == SATURATED and with_layers and len(layers) > 1:
            titles |= {layer: shorten_value(f"in {layer.rpartition('/')[2]}") for layer in layers[:MAX_LAYERS]}
    return titles


def encode_evaluations(
    collection: RunCollection, groups: Sequence[SeedGroup], evaluated: ReportedEvaluations
) -> Iterator[bytes]:
    """``evaluation.csv``: a row for each row of each table of each evaluation.

    The evaluations are read a second time, one by one: together they may not fit in memory.
    """
    own = EVALUATION_COLUMNS
    head = [*own, *(f"row/{column}" if column in own else column for column in evaluated.columns)]
    yield encode_csv([head])
    for group in groups:
        for run in group.runs:
            for part in evaluated.runs.get(run.directory, ()):
                in_means = "yes" if evaluated.counts(run.directory, part) else "no"
                first = [collection.name(run), group.name, run.seed, part, in_means]
                yield encode_csv(_evaluation_rows(run.directory, part, first, evaluated.columns))


def _evaluation_rows(directory: Path, part: str, first: list[object], columns: Sequence[str]) -> Iterator[list[object]]:
    try:
        evaluation = read_result(directory / EVALUATION_FOLDER, part)
    except (OSError, ValueError):  # satae-eval replaced it since it was first read
        return
    for table in evaluation.result.tables if evaluation else ():
        for row in table.dicts():
            yield [*first, table.name, *(row.get(column) for column in columns)]
