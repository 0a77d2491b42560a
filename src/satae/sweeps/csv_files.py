"""Numbers as CSV files for other programs."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Final

from satae.config.messages import show
from satae.sweeps.results import Result, Unreadable

RUNS: Final = "runs.csv"
FACTS: Final = ("wall_s", "started", "ended", "device", "threads", "jobs", "folder", "command")
USED: Final = ("device", "threads")  # of these the choices have columns, too: what was asked for
UNREADABLE: Final = "unreadable"  # the status of a run of which nothing can be told


def runs(found: Iterable[Result | Unreadable], name: Callable[[Result | Unreadable], str]) -> bytes:
    """Every run: how it ended, what it chose, what came of it.

    A measure that has no split is called ``final/...``, since choices have such names, too.

    Args:
        found: the runs.
        name: gives that of each.
    """
    every = [*found]
    known = [run for run in every if isinstance(run, Result)]
    choices = [*dict.fromkeys(key for run in known for key in run.choices)]
    measures = [*dict.fromkeys(key for run in known for key in run.metrics)]
    head = ["run", "status", "exit_code", "error", *map(_fact, FACTS), *choices, *map(final, measures)]

    def rows() -> Iterator[list[object]]:
        for run in every:
            if isinstance(run, Unreadable):
                yield [name(run), UNREADABLE, None, run.reason]
                continue
            facts = [run.record.get(key) for key in ("exit_code", "error", *FACTS)]
            chosen = [show(run.choices[key]) if key in run.choices else None for key in choices]
            yield [name(run), run.status, *facts, *chosen, *(run.metrics.get(key) for key in measures)]

    return encoded(head, rows())


def _fact(name: str) -> str:
    """What the column of a fact is called."""
    return f"{name}_used" if name in USED else name


def final(measure: str) -> str:
    """What the column of a final measure is called."""
    return measure if "/" in measure else f"final/{measure}"


def encoded(head: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    """The content of a file; a row may end before its time."""
    return lines(chain([head], rows), len(head))


def lines(rows: Iterable[Sequence[object]], width: int) -> bytes:
    """Some lines of a file of so many columns; a row may end before its time."""
    file = io.StringIO(newline="")
    writer = csv.writer(file)
    for row in rows:
        writer.writerow([cell(value) for value in [*row, *[None] * (width - len(row))]])
    return file.getvalue().encode("utf-8", "backslashreplace")


def cell(value: object) -> object:
    """A value as spreadsheets take it for what it is: nothing that is not known, and no text for a formula."""
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
