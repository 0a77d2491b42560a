"""Rows for a terminal of some width: no number is cut, and no column is lost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from rich.cells import cell_len
from rich.table import Table as Grid
from rich.text import Text

from satae.evaluation.findings import DIGITS, Cell, shown
from satae.printable import brief
from satae.sweeps.aggregate import SeedStatistics

FEWER: Final = (DIGITS, DIGITS - 1)  # digits that are told of a number: fewer where the columns fit with them
DEVIATION: Final = 2  # digits of a standard deviation
WIDEST: Final = 24  # letters that text has beside one another, however narrow the terminal

Shown = Cell | SeedStatistics


class Column(NamedTuple):
    """A column of a table, as it is told."""

    title: str
    cells: list[str]
    is_text: bool

    @classmethod
    def of(cls, title: str, values: Sequence[Shown], digits: int) -> Column:
        """Tell of some values; the titles of numbers, which are narrower, stand in two lines."""
        is_text, title = any(isinstance(value, str) for value in values), brief(title)
        cells = [told(value, digits) for value in values]
        return cls(title if is_text else title.replace(" ", "\n", 1), cells, is_text)

    @property
    def least(self) -> int:
        """The width that it must have: text can be broken into lines, numbers cannot."""
        needed = max(cell_len(part) for part in [*self.title.splitlines(), *self.cells])
        return min(needed, WIDEST) if self.is_text else needed


def told(value: Shown, digits: int = DIGITS) -> str:
    """A value in words; over several seeds with its standard deviation."""
    if isinstance(value, SeedStatistics):
        mean = told(value.mean, digits)
        return f"{mean} ± {told(value.deviation, DEVIATION)}" if value.n > 1 else mean
    return shown(value, digits)


def grids(titles: Sequence[str], rows: Sequence[Sequence[Shown]], width: int) -> Iterator[Grid]:
    """Rows as a table; as several, one below the other, where the columns do not fit beside one another.

    Args:
        titles: of the columns.
        rows: a value for each.
        width: of the terminal, in letters.
    """
    each = list(zip(*rows, strict=True)) or [()] * len(titles)
    every = [[Column.of(*column, digits) for column in zip(titles, each, strict=True)] for digits in FEWER]
    whole = next((columns for columns in every if _width(columns) <= width), None)
    if whole is not None:
        yield _grid(whole)
        return
    count = _telling_apart(rows)
    keys, part = every[0][:count], list[Column]()
    for column in every[0][count:]:
        if part and _width([*keys, *part, column]) > width:
            yield _grid([*keys, *part])
            part = []
        part.append(column)
    yield _grid([*keys, *part])


def _width(columns: Sequence[Column]) -> int:
    return sum(column.least for column in columns) + len(columns) - 1


def _telling_apart(rows: Sequence[Sequence[Shown]]) -> int:
    """How many of the first columns it takes to tell the rows apart."""
    most = max(map(len, rows), default=0)
    return next((count for count in range(1, most) if len({tuple(row[:count]) for row in rows}) == len(rows)), most)


def _grid(columns: Sequence[Column]) -> Grid:
    grid = Grid(box=None, pad_edge=False, collapse_padding=True, header_style="bold")
    for column in columns:
        justify = "left" if column.is_text else "right"
        grid.add_column(Text(column.title), justify=justify, no_wrap=not column.is_text, overflow="fold")  # type: ignore[arg-type]
    for cells in zip(*(column.cells for column in columns), strict=True):
        grid.add_row(*map(Text, cells))
    return grid
