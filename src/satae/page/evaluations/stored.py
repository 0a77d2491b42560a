"""What satae-eval found of a run, read back without what it takes to measure: it may be torn, or from a stranger."""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from satae.config.messages import format_value
from satae.config.saved_config import read_file
from satae.config.schema import flatten
from satae.printable import clean_text
from satae.runs.layout import EVALUATION_FOLDER, MAX_JSON_BYTES
from satae.sweeps.formatting import shorten_value
from satae.sweeps.results import parse_time

FORMAT: Final = 1  # of what is read
LARGEST_NUMBER: Final = 1e100
MOST_TABLES, MOST_COLUMNS, MOST_ROWS = 20, 60, 5_000  # of a table
MOST_ENTRIES: Final = 200  # settings, figures of the headline
MOST_PICTURES: Final = 20
NO_SETTINGS: Final = ("format", "part", "weights", "inputs", "data")  # of the key of a result: what is looked at
STRANGE: Final = "it is no result of satae-eval"

Cell = str | int | float | None


class Table(NamedTuple):
    """Figures, a row for each thing that is measured."""

    name: str
    columns: list[str]
    rows: list[list[Cell]]


class Evaluation(NamedTuple):
    """A part, as it was measured."""

    part: str
    settings: dict[str, str]  # as one types them
    weights: str  # their digest
    measured: float | None  # when, in seconds; None where nobody knows
    headline: dict[str, Cell]
    tables: list[Table]
    pictures: list[str]  # names of files
    notes: list[str]

    def rows(self, table: str) -> Iterator[dict[str, Cell]]:
        """Those of the tables of a name, by column."""
        for found in self.tables:
            if found.name == table:
                yield from (dict(zip(found.columns, row, strict=True)) for row in found.rows)


def read(directory: Path, part: str) -> Evaluation | None:
    """What was found of a part; None where it was not measured.

    Args:
        directory: of the run.
        part: its name.

    Raises:
        ValueError: it is none, of another format, or too large.
        OSError: it cannot be read.
    """
    try:
        text = read_file(directory / EVALUATION_FOLDER / f"{part}.json", MAX_JSON_BYTES, follow_links=False)
    except FileNotFoundError:
        return None
    try:
        found = json.loads(text.decode("utf-8"))
        key = _mapping(found["key"])
        if key["format"] != FORMAT:
            raise ValueError(f"it is of format {clean_text(key['format'])[:20]}, not {FORMAT}; measure again")
        if key["part"] != part:
            raise ValueError(STRANGE)
        settings = {
            clean_text(name): as_typed(value) for name, value in flatten(key).items() if name not in NO_SETTINGS
        }
        weights, measured = clean_text(key.get("weights", "")), parse_time(str(found.get("measured", "")))
        headline = {sys.intern(clean_text(name)): _cell(value) for name, value in _mapping(found["headline"]).items()}
        tables = [_table(_mapping(table)) for table in _listed(found["tables"], MOST_TABLES)]
        pictures = [name for name in _listed(found["pictures"], MOST_PICTURES) if _is_picture(name, part)]
        notes = [clean_text(note) for note in _listed(found["notes"], MOST_ENTRIES)]
    except (KeyError, TypeError, AttributeError, ArithmeticError, RecursionError, UnicodeDecodeError):
        raise ValueError(STRANGE) from None
    except json.JSONDecodeError:
        raise ValueError("it is torn, or no JSON") from None
    return Evaluation(part, settings, weights, measured, headline, tables, pictures, notes)


def as_typed(setting: Any) -> str:
    """``[10,0.5]``, for 10.0, too."""
    if isinstance(setting, list):
        return f"[{','.join(map(as_typed, setting))}]"
    return clean_text(format_value(int(setting) if isinstance(setting, float) and setting.is_integer() else setting))


def _table(found: Mapping[str, Any]) -> Table:
    columns = [_word(name) for name in _listed(found["columns"], MOST_COLUMNS)]
    rows = [[_cell(value) for value in _listed(row, MOST_COLUMNS)] for row in _listed(found["rows"], MOST_ROWS)]
    if len({*columns}) < len(columns) or any(len(row) != len(columns) for row in rows):
        raise ValueError(STRANGE)
    return Table(_word(found["name"]), columns, rows)


def _mapping(found: Any) -> Mapping[str, Any]:
    if not isinstance(found, dict):
        raise ValueError(STRANGE)
    if len(found) > MOST_ENTRIES:
        raise ValueError("it is too large")
    return found


def _listed(found: Any, most: int) -> list[Any]:
    if not isinstance(found, list):
        raise ValueError(STRANGE)
    if len(found) > most:
        raise ValueError("it is too large")
    return found


def _word(found: Any) -> str:
    if not isinstance(found, str):
        raise ValueError(STRANGE)
    return sys.intern(clean_text(found))


def _cell(found: Any) -> Cell:
    """One of a table; None for a number that is not finite."""
    if found is None or isinstance(found, str):
        return found if found is None else _word(found)
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise ValueError(STRANGE)
    if not math.isfinite(found):  # a whole number that no float can be has an error of its own
        return None
    if abs(found) > LARGEST_NUMBER:
        raise ValueError("a number in it is too large")
    return found


def _is_picture(name: Any, part: str) -> bool:
    return isinstance(name, str) and re.fullmatch(rf"{part}_\w{{1,60}}\.png", name, re.ASCII) is not None


def number(cell: Cell) -> float:
    """A number of a table, which may be unknown.

    Raises:
        ValueError: it is none.
    """
    if isinstance(cell, str):
        raise ValueError(f"{shorten_value(cell)}: is no number")
    return math.nan if cell is None else float(cell)


def count(cell: Cell) -> int:
    """A number of inputs.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(cell, int):
        raise ValueError(f"{shorten_value(cell)}: is no number of inputs")
    return cell


def interval(row: Mapping[str, Cell]) -> tuple[float, float]:
    """Of the interval of an estimate; nan where there is none.

    Raises:
        ValueError: one of them is no number.
    """
    return number(row["low"]), number(row["high"])


def text(cell: Cell) -> str:
    """A name.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(cell, str):
        raise ValueError(f"{shorten_value(cell)}: is no name")
    return cell
