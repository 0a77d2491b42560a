"""All numbers, as CSV files for other programs."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from satae.config.messages import show
from satae.report.series import COLLAPSED
from satae.report.sources import Source, finished
from satae.report.tables import UNREADABLE
from satae.sweep.groups import SEED, Group, Spread

FACTS: Final = ("wall_s", "started", "ended", "device", "threads", "jobs", "folder", "command")


def runs(source: Source, groups: Sequence[Group]) -> bytes:
    """Every run: how it ended, what it chose, what came of it.

    A measure that has no split is called ``final/...``, since choices have such names, too.
    """
    all_runs = [run for group in groups for run in group.runs]
    choices = [*dict.fromkeys(key for run in all_runs for key in run.choices)]
    measures = [*dict.fromkeys(key for run in all_runs for key in run.metrics)]
    head = ["run", "status", "exit_code", "error", *FACTS, *choices, *(_final(key) for key in measures)]

    def rows() -> Iterator[list[object]]:
        for run in all_runs:
            facts = [run.record.get(key) for key in ("exit_code", "error", *FACTS)]
            chosen = [show(run.choices[key]) if key in run.choices else None for key in choices]
            yield [source.name(run), run.status, *facts, *chosen, *(run.metrics.get(key) for key in measures)]
        for unreadable in source.unreadable:
            yield [source.name(unreadable), UNREADABLE, None, unreadable.reason]

    return _csv(head, rows())


def configurations(groups: Sequence[Group], axes: Sequence[str]) -> bytes:
    """Each measure of each configuration: a row with n, mean, standard deviation and 95 % interval."""
    keys = [key for key in axes if key != SEED]
    head = ["configuration", *keys, "measure", *Spread._fields, "low", "high", "collapsed", "runs"]

    def rows() -> Iterator[list[object]]:
        for group in groups:
            done = group._replace(runs=finished(group.runs))
            values = [show(group.values[key]) if key in group.values else None for key in keys]
            collapsed = sum(run.metrics.get(COLLAPSED, 0) > 0 for run in done.runs)
            for measure in dict.fromkeys(key for run in done.runs for key in run.metrics):
                spread = done.spread(measure)
                ends = [spread.mean - spread.margin, spread.mean + spread.margin]
                yield [group.name, *values, _final(measure), *spread, *ends, collapsed, len(group.runs)]

    return _csv(head, rows())


def _final(measure: str) -> str:
    return measure if "/" in measure else f"final/{measure}"


def _csv(head: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    file = io.StringIO(newline="")
    writer = csv.writer(file)
    writer.writerow([_cell(cell) for cell in head])
    for row in rows:
        writer.writerow([_cell(cell) for cell in [*row, *[None] * (len(head) - len(row))]])
    return file.getvalue().encode("utf-8", "backslashreplace")


def _cell(value: object) -> object:
    """A value as spreadsheets take it for what it is: nothing that is not known, and no text for a formula."""
    if isinstance(value, float) and math.isnan(value):
        return None
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") and not _is_number(value):
        return f"'{value}"
    return value


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
