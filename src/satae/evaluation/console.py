"""What a user reads of an evaluation: tables, on a terminal or in a pipe, and how far it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.segment import Segment, Segments
from rich.table import Table as Grid
from rich.text import Text

from satae import interruption
from satae.evaluation.findings import Cell, Findings, Table, shown
from satae.interruption import Interrupted
from satae.shown import brief
from satae.tracking.console import PatientConsole

T = TypeVar("T")


class Display:
    """Tables and lines; the bar goes to standard error, and to a terminal alone."""

    def __init__(self) -> None:
        self._console = PatientConsole(highlight=False, soft_wrap=True)

    def say(self, line: str) -> None:
        """A line."""
        self._console.print(line, markup=False)

    def show(self, findings: Findings) -> None:
        """The tables of a part, and what is to be known of them."""
        for table in findings.tables:
            if table.shown:
                self.table(table)
        for note in findings.notes:
            self.say(f"note: {brief(note)}")

    def table(self, table: Table) -> None:
        """In columns on a terminal; with tabs elsewhere, for other programs."""
        index = [*table.columns].index
        places = [index(name) for name in table.shown]
        rows = [[shown(row[place]) for place in places] for row in table.rows]
        if not self._console.is_terminal:
            for row in [[brief(name) for name in table.shown], *rows]:
                self._console.print(Segments([Segment("\t".join(row) + "\n")]))  # of text it would fill the tabs
            return
        grid = Grid(box=None, pad_edge=False, collapse_padding=True, header_style="bold")
        for place in places:
            is_text, title = any(isinstance(row[place], str) for row in table.rows), brief(table.columns[place])
            title = title if is_text else title.replace(" ", "\n", 1)  # numbers are narrower than what they are
            grid.add_column(Text(title), justify="left" if is_text else "right", no_wrap=is_text)
        for row in rows:
            grid.add_row(*map(Text, row))
        self._console.print(grid, soft_wrap=False)

    def tracked(self, title: str, steps: Sequence[T]) -> Iterator[T]:
        """The steps of a part, with the time that is left.

        Raises:
            Interrupted: a signal asked for it.
        """
        console = Console(stderr=True)
        with Progress(
            TextColumn("{task.description}"),
            MofNCompleteColumn(),
            BarColumn(bar_width=24),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        ) as bar:
            task = bar.add_task(title, total=len(steps))
            for step in steps:
                if (number := interruption.asked()) is not None:
                    raise Interrupted(number)
                yield step
                bar.advance(task)


def summary(runs: Mapping[str, Mapping[str, Cell]]) -> Table:
    """The runs beside one another: what stands for each part, by the name of each run."""
    columns = [*dict.fromkeys(name for found in runs.values() for name in found)]
    rows: list[list[Cell]] = [[name, *(found.get(column) for column in columns)] for name, found in runs.items()]
    return Table("runs", ["run", *columns], rows, ["run", *columns])
