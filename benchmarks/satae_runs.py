"""Figures from satae-train's own record of a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

from benchmarks.workloads import ALPHA


class Run(NamedTuple):
    """A run that has ended."""

    samples_per_s: float  # of the last epoch
    epoch_s: float  # time of its training pass
    loss: float  # final validation total
    busy_s: float  # training, measuring and drawing; not starting, building or keeping
    versions: dict[str, str]


def read(folder: Path) -> Run:
    """A run from its directory."""
    record = json.loads((folder / "run.json").read_text("utf-8"))
    last = json.loads((folder / "metrics.jsonl").read_text("utf-8").splitlines()[-1])
    loss = last["valid/reconstruction"] + ALPHA * last["valid/saturation"]
    speed = last["samples_per_s"]
    return Run(speed, record["data"]["train"] / speed, loss, busy(folder), record["versions"])


def busy(folder: Path) -> float:
    """Seconds from the text before the first epoch to the numbers of the last one, by TensorBoard's events."""
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    (path,) = folder.glob("events.out.tfevents.*.[0-9]")
    began, ended = 0.0, 0.0
    for event in EventFileLoader(str(path)).Load():
        tags = [value.tag for value in event.summary.value]
        began = event.wall_time if "run/text_summary" in tags else began
        ended = event.wall_time if "valid/total" in tags else ended
    if not 0 < began < ended:
        raise ValueError(f"{path}: tells no beginning and end of a training")
    return ended - began


def overhead(wall_s: float, jobs: int, busy_s: list[float]) -> float:
    """Seconds of a worker that a run takes beside what it is busy with: (jobs * wall - sum of busy) / runs.

    A sweep of ``jobs`` workers has ``jobs`` seconds to give in each second. What the start of the program, the
    workers, their waiting for the last run and the final table take is shared by the runs, and with it all of a run
    that does not count as busy.
    """
    return (jobs * wall_s - sum(busy_s)) / len(busy_s)
