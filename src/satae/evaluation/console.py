"""What a user reads of an evaluation: tables, on a terminal or in a pipe, and how far it is."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Final, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.segment import Segment, Segments

from satae import signals
from satae.evaluation.columns import Shown, grids, told
from satae.evaluation.findings import Findings
from satae.loggers.console import MAX_SILENT_SECONDS, PipeSafeConsole
from satae.printable import brief

T = TypeVar("T")
LONGEST: Final = 12  # name of a part


class Display:
    """Tables and lines; how far it is goes to standard error: on a terminal a bar, elsewhere now and then a line."""

    def __init__(self) -> None:
        self._console = PipeSafeConsole(highlight=False, soft_wrap=True)

    def say(self, line: str) -> None:
        """A line, which a terminal has broken between words."""
        self._console.print(line, markup=False, soft_wrap=not self._console.is_terminal)

    def show(self, findings: Findings) -> None:
        """The tables of a part, and what is to be known of them."""
        for table in findings.tables:
            if table.shown:
                places = [[*table.columns].index(name) for name in table.shown]
                self.table(table.shown, [[row[place] for place in places] for row in table.rows])
        for note in findings.notes:
            self.say(f"note: {brief(note)}")

    def brief(self, part: str, findings: Findings, remark: str = "") -> None:
        """What stands for a part, in a line; or why nothing does."""
        found = "  ".join(f"{brief(name)} {told(value)}" for name, value in findings.headline.items())
        self.say(f"  {part:{LONGEST}}  {found or brief('; '.join(findings.notes))}{remark}")

    def table(self, titles: Sequence[str], rows: Sequence[Sequence[Shown]]) -> None:
        """In columns on a terminal; with tabs elsewhere, for other programs."""
        if self._console.is_terminal:
            for grid in grids(titles, rows, self._console.width):
                self._console.print(grid, soft_wrap=False)
            return
        for row in [[brief(title) for title in titles], *([told(value) for value in row] for row in rows)]:
            self._console.print(Segments([Segment("\t".join(row) + "\n")]))  # of text it would fill the tabs

    def tracked(self, title: str, steps: Sequence[T]) -> Iterator[T]:
        """The steps of a part, with the time that is left.

        Raises:
            Interrupted: a signal asked for it.
        """
        console, since = Console(stderr=True, highlight=False, soft_wrap=True), time.monotonic()
        with Progress(
            TextColumn("{task.description}"),
            MofNCompleteColumn(),
            BarColumn(bar_width=24),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            disable=not (steps and console.is_terminal),
            transient=True,
        ) as bar:
            task = bar.add_task(title, total=len(steps))
            for done, step in enumerate(steps):
                signals.raise_pending()
                if not console.is_terminal and time.monotonic() - since > MAX_SILENT_SECONDS:
                    console.print(f"{title} {done}/{len(steps)}", markup=False)
                    since = time.monotonic()
                yield step
                bar.advance(task)
