"""What the files of a run directory are called."""

from __future__ import annotations

from typing import Final

CONFIG: Final = "config.yaml"
RUN: Final = "run.json"
HISTORY: Final = "metrics.jsonl"
METRICS: Final = "metrics.json"
LOCK: Final = ".lock"
