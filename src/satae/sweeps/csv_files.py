"""The CSV files of a sweep: ``runs.csv`` with all runs, and ``groups.csv`` with their statistics over the seeds."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Final

from satae.config.schema import SEED
from satae.messages import format_value
from satae.sweeps.aggregate import SeedGroup
from satae.sweeps.results import RunResult, UnreadableRun
from satae.training.metric_titles import has_interval, possible_values

GROUPS_CSV_FILE: Final = "groups.csv"
RUN_COLUMNS: Final = ("wall_s", "started", "ended", "device", "threads", "jobs", "folder", "command")
STATISTICS_COLUMNS: Final = (
    "n",
    "mean",
    "standard_deviation",
    "interval95_half",
    "interval95_low",
    "interval95_high",
)
UNREADABLE: Final = "unreadable"  # stands for the status of an unreadable run


def runs_csv(found: Iterable[RunResult | UnreadableRun], name: Callable[[RunResult | UnreadableRun], str]) -> bytes:
    """A CSV file with one row for each run: status, columns of its record, choices and final metrics.

    Args:
        found: the runs.
        name: returns the name of a run.
    """
    every = [*found]
    known = [run for run in every if isinstance(run, RunResult)]
    choices = [*dict.fromkeys(key for run in known for key in run.choices)]
    metrics = [*dict.fromkeys(key for run in known for key in run.metrics)]
    options = ("device", "threads")  # whose names stand for what was chosen
    columns = [f"{column}_used" if column in options else column for column in RUN_COLUMNS]
    head = ["run", "status", "exit_code", "error", *columns, *choices, *map(metric_column, metrics)]

    def rows() -> Iterator[list[object]]:
        for run in every:
            if isinstance(run, UnreadableRun):
                yield [name(run), UNREADABLE, None, run.reason, *[None] * (len(head) - 4)]
                continue
            known_facts = [run.record.get(key) for key in ("exit_code", "error", *RUN_COLUMNS)]
            chosen = [format_value(run.choices[key]) if key in run.choices else None for key in choices]
            yield [name(run), run.status, *known_facts, *chosen, *(run.metrics.get(key) for key in metrics)]

    return encode_csv(chain([head], rows()))


def groups_csv(groups: Sequence[SeedGroup], axes: Sequence[str]) -> bytes:
    """``groups.csv``: a row for each metric of each configuration, with its statistics over the seeds.

    An interval ends where no value is possible; ``collapsed`` and times have none.
    """
    keys = [key for key in axes if key != SEED]
    head = ["configuration", *keys, "measure", *STATISTICS_COLUMNS, "collapsed", "runs", "finished"]

    def rows() -> Iterator[list[object]]:
        for group in groups:
            values = [format_value(group.values[key]) if key in group.values else None for key in keys]
            counts = [group.collapsed_runs, len(group.runs), len(group.finished_runs)]
            for metric in dict.fromkeys(key for run in group.finished_runs for key in run.metrics):
                statistics = group.statistics(metric)
                low, high = possible_values(metric)
                ends = [max(low, statistics.mean - statistics.margin), min(high, statistics.mean + statistics.margin)]
                if math.isnan(statistics.margin):
                    ends = [math.nan, math.nan]
                if not has_interval(metric):
                    statistics, ends = statistics._replace(margin=math.nan), [math.nan, math.nan]
                yield [group.name, *values, metric_column(metric), *statistics[:4], *ends, *counts]

    return encode_csv(chain([head], rows()))


def metric_column(metric: str) -> str:
    """The CSV column of a final metric; without a split, such as ``alpha``, it could be mistaken for an option."""
    return metric if "/" in metric else f"final/{metric}"


def encode_csv(rows: Iterable[Sequence[object]]) -> bytes:
    """The rows of a CSV file, the first of which may be its head."""
    file = io.StringIO(newline="")
    csv.writer(file).writerows([_csv_cell(value) for value in row] for row in rows)
    return file.getvalue().encode("utf-8", "backslashreplace")


def _csv_cell(value: object) -> object:
    """A value that no spreadsheet takes for a formula; nothing for nan."""
    if value is None or isinstance(value, int | float):
        return None if isinstance(value, float) and math.isnan(value) else value
    text = str(value)
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") and not _is_number(text) else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
