"""``metrics.jsonl``: the metrics of a run, one line an epoch; the last line may be torn, the file may be hostile."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Final

from satae import atomic_write

MAX_EPOCH: Final = 2**63 - 1  # the largest step that TensorBoard can store
MAX_LINE_BYTES: Final = 2**20  # a network of a hundred layers needs a hundredth of that


def append_epoch(path: Path, epoch: int, metrics: Mapping[str, float]) -> None:
    """Append the metrics of one epoch, with its number under ``epoch``."""
    atomic_write.append(path, _encode_line({"epoch": epoch, **metrics}))


def truncate(path: Path, epochs: int) -> dict[str, float]:
    """Keep the first ``epochs`` lines of the log; returns the metrics of the last one, empty if none is left.

    Raises:
        ValueError: one of these epochs is missing.
    """
    kept = [*islice(read_epochs(path), epochs)]
    if [line["epoch"] for line in kept] != [*range(1, epochs + 1)]:
        raise ValueError(f"{path}: the first {epochs} epochs are not complete; train again")
    atomic_write.replace(path, b"".join(map(_encode_line, kept)))
    return {key: value for key, value in kept[-1].items() if key != "epoch"} if kept else {}


def read_epochs(path: Path) -> Iterator[dict[str, float]]:
    """Yield the metrics of each epoch, with its number under ``epoch``; nan if a metric was not finite.

    Reading stops at the first line that is torn, too long, or holds anything but numbers.
    """
    if not path.is_file():
        return
    with path.open("rb") as file:
        while len(line := file.readline(MAX_LINE_BYTES + 1)) <= MAX_LINE_BYTES:
            try:
                found = json.loads(line.decode("utf-8", "replace"))
            except (ValueError, RecursionError):
                return
            if not _is_epoch(found):
                return
            yield nan_for_null(found)


def null_for_nan(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The metrics as JSON allows them: None for every number that is not finite."""
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in metrics.items()}


def nan_for_null(found: Mapping[str, Any]) -> dict[str, Any]:
    """The metrics read back from JSON: nan for every None."""
    return {key: math.nan if value is None else value for key, value in found.items()}


def _encode_line(metrics: Mapping[str, float]) -> bytes:
    return f"{json.dumps(null_for_nan(metrics))}\n".encode()


def _is_epoch(found: object) -> bool:
    """Whether a parsed line has the number of an epoch, and numbers that a float can hold."""
    if not isinstance(found, dict) or type(found.get("epoch")) is not int or abs(found["epoch"]) > MAX_EPOCH:
        return False
    # a whole number in a file may have any number of digits
    return all(
        value is None or isinstance(value, float) or (isinstance(value, int) and abs(value) <= sys.float_info.max)
        for value in found.values()
    )
