"""What run directories, the files in them and the states of a run are called, and how large a file can be."""

from __future__ import annotations

from pathlib import Path
from typing import Final

OUTPUTS: Final = "outputs"  # where runs go by default: below it they can be compared
CONFIG: Final = "config.yaml"
RUN: Final = "run.json"
HISTORY: Final = "metrics.jsonl"
METRICS: Final = "metrics.json"
EVALUATION: Final = "evaluation"
CHECKPOINTS: Final = "checkpoints"
OLD_CHECKPOINT: Final = "checkpoint.pt"  # of format 1
PICTURES: Final = "pictures"
LOG: Final = "satae-train.log"
LOCK: Final = ".lock"
SWEEP_NOTES: Final = "sweep.json"  # in the folder of a sweep
LARGEST: Final = 2**24  # bytes of a record, metrics, notes or the result of an evaluation: more is not read

RUNNING, FINISHED, INTERRUPTED, FAILED = "running", "finished", "interrupted", "failed"  # how a run stands


def shorten(path: Path) -> Path:
    """The path as seen from here, where it lies below."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
