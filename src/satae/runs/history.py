"""The history of a run, a line for each epoch: written, and read back, where it may be torn, or from a stranger."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Final

from satae import atomic_write as files

LAST: Final = 2**63 - 1  # epoch that TensorBoard can count to
LONGEST: Final = 2**20  # bytes of a line; one of a hundred layers has a hundredth of that


def add(path: Path, epoch: int, metrics: Mapping[str, float]) -> None:
    """Write the line of an epoch, its number under ``epoch``, after the others."""
    files.append(path, _line({"epoch": epoch, **as_json(metrics)}))


def cut(path: Path, epochs: int) -> dict[str, float]:
    """Take back the lines of later epochs than the first ones; the metrics of the last that is left.

    Args:
        path: of the history.
        epochs: that are left.

    Raises:
        ValueError: earlier ones are missing.
    """
    kept = [*islice(lines(path), epochs)]
    if [line["epoch"] for line in kept] != [*range(1, epochs + 1)]:
        raise ValueError(f"{path}: has not the {epochs} epochs that are done; train again")
    files.replace(path, b"".join(map(_line, kept)))
    last = kept[-1] if kept else {"epoch": 0}
    return {key: value for key, value in numbers(last).items() if key != "epoch"}


def lines(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of a history that are whole: the last one may be torn; a measure that was not finite is None."""
    if not path.is_file():
        return
    with path.open("rb") as file:
        while len(line := file.readline(LONGEST + 1)) <= LONGEST:
            try:
                found = json.loads(line.decode("utf-8", "replace"))
            except (ValueError, RecursionError):
                return
            if not _is_line(found):
                return
            yield found


def numbers(found: Mapping[str, Any]) -> dict[str, float]:
    """Measures as they were before they were written: null stands for what was not finite."""
    return {key: math.nan if value is None else value for key, value in found.items()}


def as_json(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Measures as JSON allows them: null for numbers that are not finite."""
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in metrics.items()}


def _line(found: Mapping[str, Any]) -> bytes:
    return f"{json.dumps(found)}\n".encode()


def _is_line(found: object) -> bool:
    """Whether it is of an epoch, and has numbers alone."""
    if not isinstance(found, dict) or type(found.get("epoch")) is not int or abs(found["epoch"]) > LAST:
        return False
    return all(value is None or isinstance(value, float) or _fits(value) for value in found.values())


def _fits(value: object) -> bool:
    """Whether it is a whole number that a float can hold: in a file it may have any length."""
    return isinstance(value, int) and abs(value) <= sys.float_info.max
