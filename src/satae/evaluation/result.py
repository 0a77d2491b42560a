"""What one part of an evaluation found: the result type, its files in a run directory, and their reader.

The report imports this file, too, so it does not import torch. Files may be torn or come from a stranger: the reader
limits their size and checks everything that it returns.
"""

from __future__ import annotations

import json
import math
import re
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from satae import atomic_write
from satae.config.saved_config import read_file
from satae.config.schema import flatten
from satae.errors import ConfigError
from satae.messages import brief, clean_text, format_value
from satae.runs.layout import MAX_JSON_BYTES
from satae.runs.provenance import git_state, package_versions
from satae.sweeps.csv_files import encode_csv
from satae.sweeps.results import parse_time

if TYPE_CHECKING:
    from torch import Tensor

    from satae.plots.style import Picture

RESULT_FORMAT: Final = 1  # version of the JSON files; results of another version are measured again
DIGITS: Final = 4  # digits of a number that a user reads
NO_SETTINGS: Final = ("format", "part", "weights", "inputs", "data")  # entries of a key that are not settings
NOT_TYPED: Final = (*NO_SETTINGS, "satae", "torch", "plugins")  # entries that no user types
MAX_NUMBER: Final = 1e100
MAX_TABLES, MAX_COLUMNS, MAX_ROWS = 20, 60, 5_000  # of one result
MAX_ENTRIES: Final = 200  # of a mapping or a list
MAX_PICTURES: Final = 20
NO_RESULT: Final = "it is not a result of satae-eval"

Cell = str | int | float | None  # a cell of a table; None if there is nothing to say
T = TypeVar("T", list[Any], dict[str, Any])
Key = Mapping[str, Any]  # everything that a result depends on, as plain data


def format_cell(cell: Cell, digits: int = DIGITS) -> str:
    """A cell as a user reads it: a number by its leading digits, a dash for nothing."""
    if cell is None or (isinstance(cell, float) and not math.isfinite(cell)):
        return "-"
    return f"{cell:.{digits}g}" if isinstance(cell, float) else brief(cell)


class ResultRow(dict[str, Cell]):
    """Cells by column. The methods read a cell of one type; a ``KeyError`` says that there is no such column."""

    def number(self, column: str) -> float:
        """A number; nan if it is unknown.

        Raises:
            ValueError: it is text.
        """
        if isinstance(cell := self[column], str):
            raise ValueError(f"{brief(format_value(cell))}: is not a number")
        return math.nan if cell is None else float(cell)

    def count(self, column: str) -> int:
        """A number of inputs.

        Raises:
            ValueError: it is not a whole number.
        """
        if not isinstance(cell := self[column], int):
            raise ValueError(f"{brief(format_value(cell))}: is not a number of inputs")
        return cell

    def text(self, column: str) -> str:
        """A name.

        Raises:
            ValueError: it is not text.
        """
        if not isinstance(cell := self[column], str):
            raise ValueError(f"{brief(format_value(cell))}: is not a name")
        return cell

    def interval(self) -> tuple[float, float]:
        """The columns ``low`` and ``high``; nan if there is no interval.

        Raises:
            ValueError: an end is text.
        """
        return self.number("low"), self.number("high")


class ResultTable(NamedTuple):
    """Measured values, one row for each thing that is measured."""

    name: str
    columns: Sequence[str]  # one of them is n: the number of inputs behind a row
    rows: Sequence[Sequence[Cell]]
    shown: Sequence[str]  # the columns that the console has room for

    def shown_rows(self) -> list[list[Cell]]:
        """The rows with only the columns that the console shows."""
        places = [[*self.columns].index(name) for name in self.shown]
        return [[row[place] for place in places] for row in self.rows]

    def dicts(self) -> Iterator[ResultRow]:
        """The rows by column."""
        return (ResultRow(zip(self.columns, row, strict=True)) for row in self.rows)


class PartResult(NamedTuple):
    """Everything that a part found. Scalars, curves, histograms and pictures are written but not read back."""

    tables: Sequence[ResultTable]
    headline: Mapping[str, Cell]  # a few values that stand for the run beside other runs
    notes: Sequence[str] = ()  # what was not measured, and why; what a reader must know
    scalars: Mapping[str, float] = {}  # for TensorBoard, by tag
    curves: Mapping[str, Sequence[tuple[float, float]]] = {}  # for TensorBoard: (place, value) with rising places
    histograms: Mapping[str, Tensor] = {}  # for TensorBoard: numbers of any shape
    pictures: Mapping[str, Picture] = {}


class StoredResult(NamedTuple):
    """A result as it was read from a run directory."""

    part: str
    key: Key
    settings: dict[str, str]  # the settings in the key, as a user types them
    weights: str  # SHA-256 of the weights
    measured: float | None  # time in seconds; None if the file does not say it
    result: PartResult
    pictures: list[str]  # file names

    @property
    def headline(self) -> ResultRow:
        """The few values that stand for the run."""
        return ResultRow(self.result.headline)

    def rows(self, table: str) -> Iterator[ResultRow]:
        """The rows of all tables of one name, by column."""
        return (row for found in self.result.tables if found.name == table for row in found.dicts())


# Writing


def write_result(folder: Path, part: str, key: Key, result: PartResult, duration: float) -> None:
    """Replace the files of a part. The JSON file is written last, so that it vouches for all others.

    Args:
        folder: the evaluation folder of a run.
        part: name of the part.
        key: everything that the result depends on.
        result: what the part found.
        duration: seconds that the measurement took.

    Raises:
        OSError: a file cannot be written; the error names it.
    """
    from satae.evaluation.events import write_events  # imports torch

    now, file = time.time(), folder / f"{part}.json"
    pictures = {f"{part}_{name}.png": picture for name, picture in result.pictures.items()}
    file.unlink(missing_ok=True)
    for old in folder.glob(f"{part}_*.png"):
        old.unlink()
    for name, picture in pictures.items():
        atomic_write.replace(folder / name, picture.png)
    atomic_write.replace(folder / f"{part}.csv", tables_as_csv(result.tables))
    write_events(folder, part, result, now)
    content = {
        "key": {"format": RESULT_FORMAT, **key},
        "measured": datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds"),
        "seconds": round(duration, 3),
        "versions": package_versions(),
        "sources": git_state(),
        "headline": result.headline,
        "notes": result.notes,
        "tables": [table._asdict() for table in result.tables],
        "curves": result.curves,
        "pictures": [*pictures],
    }
    atomic_write.replace(file, (json.dumps(_as_json(content), indent=2) + "\n").encode())


def tables_as_csv(tables: Iterable[ResultTable]) -> bytes:
    """All tables as one CSV file: a column for the name of the table, and every column that any table has."""
    tables = [*tables]
    columns = [*dict.fromkeys(column for table in tables for column in table.columns)]
    rows = ([table.name, *(row.get(column) for column in columns)] for table in tables for row in table.dicts())
    return encode_csv([["table", *columns], *rows])


def _as_json(found: Any) -> Any:
    """Plain JSON data: lists for tuples, null for numbers that are not finite."""
    if isinstance(found, Mapping):
        return {key: _as_json(value) for key, value in found.items()}
    if isinstance(found, list | tuple):
        return [_as_json(value) for value in found]
    return None if isinstance(found, float) and not math.isfinite(found) else found


# Reading


def read_result(folder: Path, part: str) -> StoredResult | None:
    """The stored result of a part; None if there is no file.

    Args:
        folder: the evaluation folder of a run.
        part: name of the part.

    Raises:
        ValueError: the file is not a result, is of another format, or is too large.
        OSError: it cannot be read.
    """
    try:
        text = read_file(folder / f"{part}.json", MAX_JSON_BYTES, follow_links=False)
    except FileNotFoundError:
        return None
    try:
        found = json.loads(text.decode("utf-8"))
        key = _check_size(found["key"], dict, MAX_ENTRIES)
        if key["format"] != RESULT_FORMAT:
            raise ValueError(f"it is of format {clean_text(key['format'])[:20]}, not {RESULT_FORMAT}; measure again")
        if key["part"] != part:
            raise ValueError(NO_RESULT)
        settings = {
            clean_text(name): as_typed(value) for name, value in flatten(key).items() if name not in NO_SETTINGS
        }
        headline = _check_size(found["headline"], dict, MAX_ENTRIES)
        headline = {_word(name): _cell(value) for name, value in headline.items()}
        tables = [_table(table) for table in _check_size(found["tables"], list, MAX_TABLES)]
        notes = [clean_text(note) for note in _check_size(found["notes"], list, MAX_ENTRIES)]
        is_picture = re.compile(rf"{part}_\w{{1,60}}\.png", re.ASCII).fullmatch
        names = _check_size(found["pictures"], list, MAX_PICTURES)
        pictures = [name for name in names if isinstance(name, str) and is_picture(name)]
        weights, measured = clean_text(key.get("weights", "")), parse_time(str(found.get("measured", "")))
    except (KeyError, TypeError, AttributeError, ArithmeticError, RecursionError, UnicodeDecodeError):
        raise ValueError(NO_RESULT) from None
    except json.JSONDecodeError:
        raise ValueError("it is torn, or not JSON") from None
    return StoredResult(part, key, settings, weights, measured, PartResult(tables, headline, notes), pictures)


def read_if_current(folder: Path, part: str, key: Key) -> PartResult | None:
    """The stored result of a part, if it depends on the same key; None if not, or if it is torn.

    Raises:
        ConfigError: the system refuses to read it.
    """
    found = _read_or_none(folder, part)
    return found.result if found and found.key == _as_json({"format": RESULT_FORMAT, **key}) else None


def describe_replaced(folder: Path, part: str, key: Key) -> str:
    """A line about a stored result with other settings, which a new result will replace.

    It is empty if there is no such result, or if only weights, inputs or the program differ.

    Raises:
        ConfigError: the system refuses to read the stored result.
    """
    found = _read_or_none(folder, part)
    if found is None:
        return ""
    before, now = flatten(found.key), flatten(_as_json(key))
    names = [name for name in before if name in now and name not in NOT_TYPED and before[name] != now[name]]
    settings = ", ".join(f"{name}={format_value(before[name])}" for name in names)
    when = "an unknown day" if found.measured is None else f"{datetime.fromtimestamp(found.measured, UTC):%Y-%m-%d}"
    return brief(f"replaces what was measured on {when} with other settings ({settings})") if names else ""


def _read_or_none(folder: Path, part: str) -> StoredResult | None:
    """The stored result of a part; None if it is missing, or cannot be used and may be replaced.

    Raises:
        ConfigError: the system refuses to read it; it may be whole.
    """
    try:
        return read_result(folder, part)
    except OSError as error:
        raise ConfigError(f"{folder / part}.json: cannot be read ({error.strerror}); check it") from None
    except ValueError:
        return None


def as_typed(setting: Any) -> str:
    """A setting as a user types it: ``[10,0.5]``, also for ``[10.0, 0.5]``."""
    if isinstance(setting, list):
        return f"[{','.join(map(as_typed, setting))}]"
    return clean_text(format_value(int(setting) if isinstance(setting, float) and setting.is_integer() else setting))


def _table(found: Any) -> ResultTable:
    entries = _check_size(found, dict, MAX_ENTRIES)
    columns = [_word(name) for name in _check_size(entries["columns"], list, MAX_COLUMNS)]
    rows = _check_size(entries["rows"], list, MAX_ROWS)
    rows = [[_cell(value) for value in _check_size(row, list, MAX_COLUMNS)] for row in rows]
    shown = [_word(name) for name in _check_size(entries.get("shown", []), list, MAX_COLUMNS)]
    if len({*columns}) < len(columns) or any(len(row) != len(columns) for row in rows) or not {*shown} <= {*columns}:
        raise ValueError(NO_RESULT)
    return ResultTable(_word(entries["name"]), columns, rows, shown)


def _check_size(found: Any, kind: type[T], most: int) -> T:
    """Check the type and the length of a list or a mapping; returns it."""
    if not isinstance(found, kind):
        raise ValueError(NO_RESULT)
    if len(found) > most:
        raise ValueError("it is too large")
    return found


def _word(found: Any) -> str:
    if not isinstance(found, str):
        raise ValueError(NO_RESULT)
    return sys.intern(clean_text(found))


def _cell(found: Any) -> Cell:
    """A cell of a table; None for a number that is not finite."""
    if found is None or isinstance(found, str):
        return found if found is None else _word(found)
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise ValueError(NO_RESULT)
    if not math.isfinite(found):  # OverflowError for a whole number that no float can hold
        return None
    if abs(found) > MAX_NUMBER:
        raise ValueError("a number in it is too large")
    return found
