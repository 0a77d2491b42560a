"""Prints the results of evaluations to a terminal or a pipe: tables, headlines and progress."""

from __future__ import annotations

import textwrap
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.segment import Segment, Segments
from rich.table import Table

from satae import signals
from satae.config.saved_config import read_config_values
from satae.config.schema import flatten
from satae.evaluation.result import DIGITS, Cell, PartResult, format_cell
from satae.loggers.console import MAX_SILENT_SECONDS, PipeSafeConsole
from satae.messages import brief, format_compact
from satae.runs.layout import CONFIG_FILE, FINISHED
from satae.sweeps import manifest
from satae.sweeps.aggregate import SeedGroup, SeedStatistics, group_runs
from satae.sweeps.results import RunResult
from satae.sweeps.table import Column, fit_columns, total_width
from satae.sweeps.text import format_deviation

T = TypeVar("T")
NAME_WIDTH: Final = 12  # letters, for the name of a part
TIE: Final = "\N{NO-BREAK SPACE}"  # printed as a space
DIGIT_CHOICES: Final = (DIGITS, DIGITS - 1)  # digits of a number; fewer if the columns then fit side by side
COLUMN_GAP: Final = 1  # letters
WIDEST_TEXT: Final = 24  # letters that a text column keeps, however narrow the terminal is
RADIUS: Final = "epsilon"  # headline entry that says where a run was measured; it is not a measure itself

SeedCell = Cell | SeedStatistics  # a value of one run, or a number over several seeds
Headlines = Mapping[str, Mapping[str, Cell]]  # the headline of each part of one run


class ResultPrinter:
    """Prints tables and lines to standard output, and progress to standard error.

    Progress is a bar on a terminal, and elsewhere a line now and then.
    """

    def __init__(self) -> None:
        self._console = PipeSafeConsole(highlight=False, soft_wrap=True)

    def print_line(self, line: str, indent: int = 4) -> None:
        """Print a line; on a terminal it is broken between words, and all lines but the first are indented."""
        if self._console.is_terminal:
            wrapper = textwrap.TextWrapper(
                self._console.width, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False
            )
            line = "\n".join(map(wrapper.fill, line.split("\n")))
        self._console.print(line.replace(TIE, " "), markup=False, soft_wrap=True)

    def print_result(self, result: PartResult) -> None:
        """Print the tables and the notes of a part."""
        for table in result.tables:
            if table.shown:
                self.print_table(table.shown, table.shown_rows())
        for note in result.notes:
            self.print_line(f"note: {brief(note)}")

    def print_headline(self, part: str, result: PartResult, remark: str = "") -> None:
        """Print the headline of a part in one line; without a headline, its notes."""
        pairs = (f"{brief(name)} {format_seed_cell(value)}" for name, value in result.headline.items())
        found = "  ".join(pair.replace(" ", TIE) for pair in pairs)  # a line is not broken within a pair
        self.print_line(f"  {part:{NAME_WIDTH}}  {found or brief('; '.join(result.notes))}{remark}", NAME_WIDTH + 4)

    def print_table(self, titles: Sequence[str], rows: Sequence[Sequence[SeedCell]]) -> None:
        """Print a table: aligned on a terminal, elsewhere separated by tabs for other programs."""
        if self._console.is_terminal:
            for grid in layout_table(titles, rows, self._console.width):
                self._console.print(grid, soft_wrap=False)
            return
        for row in [[brief(title) for title in titles], *([format_seed_cell(value) for value in row] for row in rows)]:
            self._console.print(Segments([Segment("\t".join(row) + "\n")]))  # rich would expand tabs in text

    def track(self, title: str, steps: Sequence[T]) -> Iterator[T]:
        """Go through the steps of a part and show the progress.

        Raises:
            Interrupted: a signal arrived; it is raised between two steps.
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


# Tables on a terminal: no number is cut, and no column is lost


def format_seed_cell(value: SeedCell, digits: int = DIGITS) -> str:
    """A value as text; over several seeds with its standard deviation."""
    if not isinstance(value, SeedStatistics):
        return format_cell(value, digits)
    if value.n < 2:
        return format_cell(value.mean, digits)
    return format_deviation(value.mean, value.deviation).replace("\N{NO-BREAK SPACE}", " ")


def _column(title: str, values: Sequence[SeedCell], digits: int) -> Column:
    """Format some values. Titles of number columns are broken into two lines, since numbers are narrow."""
    cells, title = [format_seed_cell(value, digits) for value in values], brief(title)
    if any(isinstance(value, str) for value in values):
        return Column(title, cells, WIDEST_TEXT)
    return Column(title.replace(" ", "\n", 1), cells)


def layout_table(titles: Sequence[str], rows: Sequence[Sequence[SeedCell]], width: int) -> Iterator[Table]:
    """One table, or several below each other if the columns do not fit side by side.

    Args:
        titles: titles of the columns.
        rows: a value for each column.
        width: width of the terminal, in letters.
    """
    by_column = list(zip(*rows, strict=True)) or [()] * len(titles)
    choices = [[_column(*column, digits) for column in zip(titles, by_column, strict=True)] for digits in DIGIT_CHOICES]
    columns = next((some for some in choices if total_width(some, COLUMN_GAP) <= width), choices[0])
    most = max(map(len, rows), default=0)
    tells_apart = (count for count in range(1, most) if len({tuple(row[:count]) for row in rows}) == len(rows))
    count = next(tells_apart, most)  # the first columns, which are in every table
    return fit_columns(columns[:count], columns[count:], width, COLUMN_GAP)


# Several runs: one table a part, one row a configuration


class HeadlineTable(NamedTuple):
    """The headlines of one part, over the seeds of each configuration."""

    title: str
    columns: list[str]
    rows: list[list[SeedCell]]


def headline_tables(found: Mapping[Path, Headlines]) -> list[HeadlineTable]:
    """A table for each part.

    Args:
        found: headlines of each run, by its directory.
    """
    runs = [RunResult(run, flatten(read_config_values(run / CONFIG_FILE)), {"status": FINISHED}, {}) for run in found]
    homes = {run.parent for run in found}
    groups = group_runs(runs, manifest.read_manifest_or_empty(homes.pop()).varied if len(homes) == 1 else ())
    parts = dict.fromkeys(part for headlines in found.values() for part, headline in headlines.items() if headline)
    return [_headline_table(part, groups, {run: each.get(part, {}) for run, each in found.items()}) for part in parts]


def _headline_table(part: str, groups: Sequence[SeedGroup], found: Mapping[Path, Mapping[str, Cell]]) -> HeadlineTable:
    keys = list(dict.fromkeys(key for group in groups for key in group.values))
    names = list(dict.fromkeys(name for headline in found.values() for name in headline))
    rows = [
        (group, same) for group in groups for same in _by_radius([found[run.directory] for run in group.one_per_seed])
    ]
    over_seeds = any(len(same) > 1 for _, same in rows)
    cells: list[list[SeedCell]] = [
        [
            *(format_compact(group.values[key]) if key in group.values else "-" for key in keys),
            *([len(same)] if over_seeds else []),
            *(_over_seeds([headline[name] for headline in same if name in headline], name) for name in names),
        ]
        for group, same in rows
    ]
    title = f"{part}: mean ± standard deviation over the seeds (page: 95 % interval)" if over_seeds else part
    return HeadlineTable(title, [*keys, *(["seeds"] if over_seeds else []), *names], cells)


def _by_radius(headlines: Sequence[Mapping[str, Cell]]) -> Iterator[list[Mapping[str, Cell]]]:
    """Group headlines by the radius that they were measured at: a mean over several radii would mean nothing."""
    measured = [headline for headline in headlines if headline]
    for radius in dict.fromkeys(headline.get(RADIUS) for headline in measured):
        yield [headline for headline in measured if headline.get(RADIUS) == radius]


def _over_seeds(values: Sequence[Cell], name: str) -> SeedCell:
    numbers = [float(value) for value in values if isinstance(value, int | float)]
    if name == RADIUS or not values:
        return values[0] if values else None
    if numbers:
        return SeedStatistics.from_values(numbers)
    counts = Counter(str(value) for value in values if value is not None)
    return ", ".join(counts if len(counts) == 1 else (f"{count} {word}" for word, count in counts.items())) or None
