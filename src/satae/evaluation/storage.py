"""What was found, in the directory of its run: written whole, and read back where nothing has changed."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from satae import atomic_write as files
from satae.config.messages import format_value
from satae.config.schema import flatten
from satae.evaluation import board
from satae.evaluation.findings import Cell, Findings, Table
from satae.printable import brief
from satae.runs.layout import MAX_JSON_BYTES
from satae.runs.provenance import git_state, package_versions
from satae.sweeps.table import csv_file

FORMAT: Final = 1  # of what is written; another one is measured anew
KEY: Final = "key"
BESIDE: Final = ("weights", "inputs", "sources", "torch")  # in a key, which are no settings

Key = Mapping[str, Any]  # all that findings depend on, as plain data


def stored(folder: Path, part: str, key: Key) -> Findings | None:
    """What was found of a part before, without its pictures and what is for TensorBoard.

    Args:
        folder: of the evaluations of a run.
        part: its name.
        key: what it depends on now.

    Returns:
        None where nothing is there, it depended on something else, or it cannot be read.
    """
    try:
        found = _read(folder, part)
        if found is None or found[KEY] != _plain({"format": FORMAT, **key}):
            return None
        tables = [_table(each) for each in found["tables"]]
        return Findings(tables, _headline(found["headline"]), [str(note) for note in found["notes"]])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):  # torn, or from a stranger
        return None


def replaced(folder: Path, part: str, key: Key) -> str:
    """A line on what was found of a part with other settings, which what is found now will replace.

    Nothing where nothing was found, or with the same settings: of other weights or inputs, or with another program.

    Args:
        folder: of the evaluations of a run.
        part: its name.
        key: what the other one depends on.
    """
    try:
        found = _read(folder, part)
        if found is None:
            return ""
        before, now = flatten(found[KEY]), flatten(_plain(key))
        names = [name for name in before if name in now and name not in BESIDE and before[name] != now[name]]
        told = ", ".join(f"{name}={format_value(before[name])}" for name in names)
        when = str(found["measured"])[:10]
        return brief(f"replaces what was measured on {when} with other settings ({told})") if names else ""
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):  # as above
        return ""


def write(folder: Path, part: str, key: Key, findings: Findings, seconds: float) -> None:
    """Put what was found in the place of what was found before; the result itself last, so that it stands for all.

    Args:
        folder: of the evaluations of a run.
        part: its name.
        key: what it depends on.
        findings: of the part.
        seconds: that it took.

    Raises:
        OSError: something cannot be written, with its name.
    """
    now = time.time()
    _result(folder, part).unlink(missing_ok=True)
    for old in folder.glob(f"{part}_*.png"):
        old.unlink()
    for name, picture in findings.pictures.items():
        files.replace(folder / picture_name(part, name), picture.png)
    files.replace(folder / f"{part}.csv", csv(findings.tables))
    board.write(folder, part, findings, now)
    told = {
        KEY: {"format": FORMAT, **key},
        "measured": datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds"),
        "seconds": round(seconds, 3),
        "versions": package_versions(),
        "sources": git_state(),
        "headline": findings.headline,
        "notes": findings.notes,
        "tables": [table._asdict() for table in findings.tables],
        "curves": findings.curves,
        "pictures": [picture_name(part, name) for name in findings.pictures],
    }
    files.replace(_result(folder, part), (json.dumps(_plain(told), indent=2) + "\n").encode())


def picture_name(part: str, name: str) -> str:
    """Of the file of a picture."""
    return f"{part}_{name}.png"


def csv(tables: Sequence[Table]) -> bytes:
    """All tables as one: a column for the name of each, and for each column that any of them has."""
    columns = [*dict.fromkeys(column for table in tables for column in table.columns)]

    def rows() -> Iterator[list[object]]:
        for table in tables:
            for row in table.rows:
                cells: dict[str, Cell] = dict(zip(table.columns, row, strict=True))
                yield [table.name, *(cells.get(column) for column in columns)]

    return csv_file(["table", *columns], rows())


def _read(folder: Path, part: str) -> Any:
    """None where nothing is there, or more than can be."""
    path = _result(folder, part)
    if not path.is_file() or path.stat().st_size > MAX_JSON_BYTES:
        return None
    return json.loads(path.read_text("utf-8"))


def _result(folder: Path, part: str) -> Path:
    return folder / f"{part}.json"


def _table(found: Mapping[str, Any]) -> Table:
    """A table from a file.

    Raises:
        ValueError: it is none.
    """
    table = Table(**found)
    cells = [cell for row in table.rows for cell in row]
    known = isinstance(table.name, str) and {*table.shown} <= {*table.columns}
    if not known or not all(isinstance(cell, str | int | float | None) for cell in [*table.columns, *cells]):
        raise ValueError(table.name)
    if any(len(row) != len(table.columns) for row in table.rows):
        raise ValueError(table.name)
    return table


def _plain(found: Any) -> Any:
    """As JSON has it: lists for tuples, null for numbers that are not finite."""
    if isinstance(found, Mapping):
        return {key: _plain(value) for key, value in found.items()}
    if isinstance(found, list | tuple):
        return [_plain(value) for value in found]
    return None if isinstance(found, float) and not math.isfinite(found) else found


def _headline(found: Mapping[str, Any]) -> Mapping[str, Cell]:
    if not all(isinstance(value, str | int | float | None) for value in found.values()):
        raise ValueError("headline")
    return found
