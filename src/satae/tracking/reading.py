"""What stands in a run directory, read back: it may be torn, or from a stranger."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from satae.config import ConfigError
from satae.run_directory import LARGEST, RUN
from satae.shown import first_line

LAST: Final = 2**63 - 1  # epoch that TensorBoard can count to
LONGEST: Final = 2**20  # bytes of a line of a history; one of a hundred layers has a hundredth of that
TYPES: Final[dict[str, type]] = {
    **{"status": str, "command": str, "folder": str, "overrides": list, "resumed": list},
    **{"started": str, "wall_s": float, "exit_code": int},
}


def read(directory: Path) -> dict[str, Any]:
    """What is known of a run.

    Raises:
        ConfigError: nothing, or nothing that can be read.
    """
    path = directory / RUN
    try:
        if not path.is_file() or path.stat().st_size > LARGEST:
            raise ValueError("no file, or too large a one")
        run = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: cannot be read ({first_line(error)})") from None
    if not isinstance(run, dict) or not all(isinstance(run.get(key, kind()), kind) for key, kind in TYPES.items()):
        raise ConfigError(f"{path}: is not the record of a run")
    if not {"status", "command", "overrides"} <= {*run} or not all(isinstance(word, str) for word in run["overrides"]):
        raise ConfigError(f"{path}: is not the record of a run")
    return run


def history(path: Path) -> Iterator[dict[str, Any]]:
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


def _is_line(found: object) -> bool:
    """Whether it is of an epoch, and has numbers alone."""
    if not isinstance(found, dict) or type(found.get("epoch")) is not int or abs(found["epoch"]) > LAST:
        return False
    return all(value is None or isinstance(value, float) or _fits(value) for value in found.values())


def _fits(value: object) -> bool:
    """Whether it is a whole number that a float can hold: in a file it may have any length."""
    return isinstance(value, int) and abs(value) <= sys.float_info.max
