"""The record of a run, read back: it may be torn, or from a stranger."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from satae.config import ConfigError
from satae.printable import first_line
from satae.runs.layout import LARGEST, RUN

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
