"""The tables on the page."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final

from satae.config.schema import SEED
from satae.page.sources import Source
from satae.printable import clean_text
from satae.sweeps.aggregate import SeedGroup
from satae.sweeps.formatting import (
    ALL_RUNS,
    NOTHING,
    TextTable,
    format_duration,
    format_number,
    format_statistics,
    shorten_value,
    table_keys,
    table_values,
)
from satae.sweeps.results import FVU, METRIC_COLUMNS
from satae.sweeps.table import UNREADABLE

LOGS: Final = "*.log"
INTERVAL: Final = " ± 95 %"  # which the table of the console has not


def configurations(groups: Sequence[SeedGroup], axes: Sequence[str]) -> TextTable:
    """One row for each configuration."""
    keys, shown = table_keys(axes), _measures(groups)
    spread = INTERVAL if any(len(group.finished) > 2 for group in groups) else ""
    titles = [f"{title}{spread}" for title in shown.values()]
    head = [*(keys or ["configuration"]), "n", *titles, "collapsed", "not finished"]

    def rows() -> Iterator[list[str]]:
        for group in groups:
            runs = group.finished
            done = group.with_runs(runs)
            collapsed = sum(run.is_collapsed for run in runs)
            unfinished = sum(not run.is_finished for run in group.runs)
            names = table_values(group, keys)
            spreads = [format_statistics(done.statistics(metric)) for metric in shown]
            yield [*(names or [ALL_RUNS]), str(done.statistics(FVU).n), *spreads, str(collapsed), str(unfinished)]

    return TextTable.limited("Configurations", head, rows(), len(shown) + 3)


def runs(source: Source, groups: Sequence[SeedGroup], axes: Sequence[str]) -> TextTable:
    """One row for each run."""
    keys, shown = table_keys(axes), _measures(groups)
    head = ["run", *keys, "status", SEED, *shown.values(), "wall time"]

    def rows() -> Iterator[list[str]]:
        for group, run in ((of, run) for of in groups for run in of.runs):
            numbers = [format_number(run.metrics.get(metric)) for metric in shown]
            wall = format_duration(run.record.get("wall_s", math.nan))
            yield [
                source.name(run),
                *table_values(group, keys),
                shorten_value(run.status),
                str(run.seed),
                *numbers,
                wall,
            ]
        for unreadable in source.unreadable:
            nothing = [NOTHING] * len(head)
            yield [source.name(unreadable), *nothing[: len(keys)], UNREADABLE, *nothing[len(keys) + 2 :]]

    return TextTable.limited("Runs", head, rows(), len(shown) + 2)


def failures(source: Source, groups: Sequence[SeedGroup]) -> TextTable:
    """What did not come to its end, and why."""

    def rows() -> Iterator[list[str]]:
        for run in (run for group in groups for run in group.runs if not run.is_finished):
            log = next(iter(sorted(run.directory.glob(LOGS))), None)
            where = f"{source.name(run)}/{clean_text(log.name)}" if log else NOTHING
            code = run.record.get("exit_code")
            why = run.record.get("error") or ("still running, or killed" if run.status == "running" else NOTHING)
            yield [source.name(run), shorten_value(run.status), NOTHING if code is None else str(code), why, where]
        for unreadable in source.unreadable:
            yield [source.name(unreadable), UNREADABLE, NOTHING, unreadable.reason, NOTHING]

    return TextTable.limited("Runs that did not finish", ["run", "status", "exit code", "reason", "log"], rows())


def _measures(groups: Sequence[SeedGroup]) -> dict[str, str]:
    known = {metric for group in groups for run in group.runs for metric in run.metrics}
    return {metric: title for metric, title in METRIC_COLUMNS.items() if metric in known}
