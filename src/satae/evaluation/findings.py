"""What a part of an evaluation gives: plain data, and pictures."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple, Protocol, TypeVar

from torch import Tensor

from satae.plots.style import Picture
from satae.printable import brief

T = TypeVar("T")
DIGITS: Final = 4  # that are told of a number
Cell = str | int | float | None  # of a table; None where there is nothing to tell


def shown(cell: Cell, digits: int = DIGITS) -> str:
    """As a user reads it: a number by its leading digits, a dash where there is none."""
    if cell is None or (isinstance(cell, float) and not math.isfinite(cell)):
        return "-"
    return f"{cell:.{digits}g}" if isinstance(cell, float) else brief(cell)


class Table(NamedTuple):
    """Figures, a row for each thing that is measured."""

    name: str
    columns: Sequence[str]  # one of them is n: of how many inputs a row is
    rows: Sequence[Sequence[Cell]]
    shown: Sequence[str]  # those of the columns that the console has room for


class Findings(NamedTuple):
    """All that a part found."""

    tables: Sequence[Table]
    headline: Mapping[str, Cell]  # what stands for the run beside others, by a word or two
    notes: Sequence[str] = ()  # what was not measured, and why; what a reader must know
    scalars: Mapping[str, float] = {}  # for TensorBoard, by tag
    curves: Mapping[str, Sequence[tuple[float, float]]] = {}  # likewise: (place, value), the places rising
    histograms: Mapping[str, Tensor] = {}  # likewise: numbers of any shape
    pictures: Mapping[str, Picture] = {}  # by name


class Track(Protocol):
    """Goes through the steps of a part, and shows how far it is; a signal ends the program between two of them."""

    def __call__(self, steps: Sequence[T]) -> Iterator[T]:
        """Each of the steps."""
        ...
