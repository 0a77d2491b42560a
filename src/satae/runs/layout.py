"""Names inside the directories of runs and sweeps, the states of a run, and how large a stored file may be."""

from __future__ import annotations

from pathlib import Path
from typing import Final

OUTPUTS_FOLDER: Final = "outputs"  # runs go here unless another folder is given; runs below it can be compared
CONFIG_FILE: Final = "config.yaml"
RECORD_FILE: Final = "run.json"
METRICS_LOG_FILE: Final = "metrics.jsonl"
METRICS_FILE: Final = "metrics.json"
EVALUATION_FOLDER: Final = "evaluation"
PICTURES_FOLDER: Final = "pictures"
LOG_FILE: Final = "satae-train.log"
LOCK_FILE: Final = ".lock"
MANIFEST_FILE: Final = "sweep.json"  # in the folder of a sweep
MAX_JSON_BYTES: Final = 2**24  # a larger record, metrics file, manifest or evaluation result is not read

RUNNING, FINISHED, INTERRUPTED, FAILED = "running", "finished", "interrupted", "failed"  # the status of a run


def shorten(path: Path) -> Path:
    """The path relative to the current folder if it lies below it, else the path itself."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
