"""The tables on the page."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from satae.config.flat import SEED
from satae.page import words
from satae.page.sources import Source, cleaned
from satae.page.spreads import TWO
from satae.sweeps.csv_files import UNREADABLE
from satae.sweeps.groups import Group
from satae.sweeps.measures import COLUMNS, FVU

MOST_AXES: Final = 8  # columns of what varies
MOST_ROWS: Final = 5_000  # of a table on the page; the files have all
FOLDED: Final = 60  # rows from which a table opens when asked
LOGS: Final = "*.log"
INTERVAL: Final = " ± 95 %"  # which the table of the console has not


class Table(NamedTuple):
    """A table on the page; the first cell of a row names it."""

    title: str
    head: list[str]
    rows: list[list[str]]
    numbers: int  # of columns, the last ones, that hold numbers
    left_out: int
    files: str = "runs.csv and groups.csv"  # that have all rows
    caption: str = ""

    @classmethod
    def of(cls, title: str, head: Sequence[str], rows: Iterable[list[str]], numbers: int = 0) -> Table:
        """Of as many rows as the page shows."""
        all_rows = [*rows]
        return cls(title, [*head], all_rows[:MOST_ROWS], numbers, max(0, len(all_rows) - MOST_ROWS))

    @property
    def folded(self) -> bool:
        """Whether it is shown only when asked."""
        return len(self.rows) > FOLDED


def configurations(groups: Sequence[Group], axes: Sequence[str]) -> Table:
    """One row for each configuration."""
    keys, shown = keys_of(axes), _measures(groups)
    spread = INTERVAL if any(len(group.finished) > TWO for group in groups) else ""
    titles = [f"{title}{spread}" for title in shown.values()]
    head = [*(keys or ["configuration"]), "n", *titles, "collapsed", "not finished"]

    def rows() -> Iterator[list[str]]:
        for group in groups:
            runs = group.finished
            done = group._replace(runs=runs)
            collapsed = sum(run.is_collapsed for run in runs)
            unfinished = sum(not run.is_finished for run in group.runs)
            names = values_of(group, keys)
            spreads = [words.spread(done.spread(metric)) for metric in shown]
            yield [*(names or [words.ONE]), str(done.spread(FVU).n), *spreads, str(collapsed), str(unfinished)]

    return Table.of("Configurations", head, rows(), len(shown) + 3)


def runs(source: Source, groups: Sequence[Group], axes: Sequence[str]) -> Table:
    """One row for each run."""
    keys, shown = keys_of(axes), _measures(groups)
    head = ["run", *keys, "status", SEED, *shown.values(), "wall time"]

    def rows() -> Iterator[list[str]]:
        for group, run in ((of, run) for of in groups for run in of.runs):
            numbers = [words.number(run.metrics.get(metric)) for metric in shown]
            wall = words.duration(run.record.get("wall_s", math.nan))
            yield [source.name(run), *values_of(group, keys), words.short(run.status), str(run.seed), *numbers, wall]
        for unreadable in source.unreadable:
            nothing = [words.NOTHING] * len(head)
            yield [source.name(unreadable), *nothing[: len(keys)], UNREADABLE, *nothing[len(keys) + 2 :]]

    return Table.of("Runs", head, rows(), len(shown) + 2)


def failures(source: Source, groups: Sequence[Group]) -> Table:
    """What did not come to its end, and why."""

    def rows() -> Iterator[list[str]]:
        for run in (run for group in groups for run in group.runs if not run.is_finished):
            log = next(iter(sorted(run.directory.glob(LOGS))), None)
            where = f"{source.name(run)}/{cleaned(log.name)}" if log else words.NOTHING
            code = run.record.get("exit_code")
            why = run.record.get("error") or ("still running, or killed" if run.status == "running" else words.NOTHING)
            yield [source.name(run), words.short(run.status), words.NOTHING if code is None else str(code), why, where]
        for unreadable in source.unreadable:
            yield [source.name(unreadable), UNREADABLE, words.NOTHING, unreadable.reason, words.NOTHING]

    return Table.of("Runs that did not finish", ["run", "status", "exit code", "reason", "log"], rows())


def keys_of(axes: Sequence[str]) -> list[str]:
    """Those that have a column of what varies."""
    return [key for key in axes if key != SEED][:MOST_AXES]


def values_of(group: Group, keys: Sequence[str]) -> list[str]:
    """What stands in these columns."""
    return [words.short(group.values[key]) if key in group.values else words.NOTHING for key in keys]


def _measures(groups: Sequence[Group]) -> dict[str, str]:
    known = {metric for group in groups for run in group.runs for metric in run.metrics}
    return {metric: title for metric, title in COLUMNS.items() if metric in known}
