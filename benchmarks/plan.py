"""The measurements of an alternation, their order, and when they are repeated."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from typing import Final

from benchmarks.machine import Quiet
from benchmarks.measurement import Measurement
from benchmarks.ways import WAYS, Failed, Setting

ATTEMPTS: Final = 2  # at a measurement, if the first is disturbed
PLAN: Final = {
    "W1": ("gemm", "satae", "lightning", "satae medium", "jax", "loop", "keras on jax", "keras on torch", "side costs"),
    "W2": ("satae", "lightning", "satae bf16", "loop", "jax", "keras on jax", "keras on torch"),
    "W3": ("satae", "lightning"),
    "small": ("satae", "lightning", "loop", "jax", "keras on jax", "keras on torch"),
    "start": ("satae-train --help", "import torch"),
}
SPEEDS: Final = ("W1", "W2", "small")  # the workloads of which a single run tells a speed


def plan(only: Sequence[str]) -> list[tuple[str, str]]:
    """Workload and tool of all measurements of an alternation."""
    return [(workload, tool) for workload in only for tool in PLAN[workload]]


def measure(setting: Setting, workload: str, tool: str, alternation: int) -> Measurement:
    """Measure, or say why not."""
    shutil.rmtree(setting.folder, ignore_errors=True)
    setting.folder.mkdir(parents=True)
    try:
        quiet, found = WAYS[tool](setting, workload, tool, alternation)
        return Measurement(workload, tool, alternation, quiet, **found)
    except (Failed, OSError, ValueError, KeyError, IndexError) as error:
        return Measurement(workload, tool, alternation, Quiet(0, 0), failed=f"{type(error).__name__}: {error}")
    finally:
        shutil.rmtree(setting.folder, ignore_errors=True)


def order(tasks: Sequence[tuple[str, str]], alternation: int) -> list[tuple[str, str]]:
    """The measurements of an alternation: forth and back by turns, so that none always comes first."""
    return list(tasks) if alternation % 2 == 0 else list(reversed(tasks))


def repeated_if_disturbed(measure_once: Callable[[], Measurement], attempts: int = ATTEMPTS) -> Measurement:
    """Measure, and repeat the measurement if other programs used the machine meanwhile."""
    for _ in range(attempts):
        found = measure_once()
        if not found.quiet.disturbed:
            break
    return found
