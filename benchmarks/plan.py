"""The measurements of an alternation, their order, and when they are repeated."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from typing import Final

from benchmarks.machine import Quiet
from benchmarks.measurement import Measurement
from benchmarks.tools import AT_ONCE, TOOLS, Failed, Setting

ATTEMPTS: Final = 2  # at a measurement, if the first is disturbed
PLAN: Final = {
    "W1": (
        *("gemm", "satae", "lightning", "satae medium", "jax", "jax rbg", "loop"),
        *("keras on jax", "keras on torch", "side costs"),
    ),
    "W2": ("satae", "lightning", "satae bf16", "loop", "jax", "keras on torch"),
    "W3": ("satae", "lightning", *AT_ONCE),
    "small": ("satae", "lightning", "loop", "jax", "jax rbg", "keras on jax", "keras on torch"),
    "start": ("satae-train --help", "import torch", "satae-train epochs=100"),
}
FOR_ORIENTATION: Final = {  # no row needs them: measured in the first alternations only
    *(("W1", tool) for tool in ("keras on jax", "keras on torch")),
    *(("W2", tool) for tool in ("loop", "jax", "keras on torch")),
    *(("small", tool) for tool in PLAN["small"] if tool != "satae"),
}
ORIENTATION: Final = 2  # alternations
SPEEDS: Final = ("W1", "W2", "small")  # the workloads of which a single run tells a speed


def plan(only: Sequence[str], alternation: int) -> list[tuple[str, str]]:
    """Workload and tool of the measurements of an alternation; every second one turns their order round."""
    tasks = [(workload, tool) for workload in only for tool in PLAN[workload]]
    if alternation >= ORIENTATION:
        tasks = [task for task in tasks if task not in FOR_ORIENTATION]
    return tasks if alternation % 2 == 0 else tasks[::-1]


def measure(setting: Setting, workload: str, tool: str, alternation: int) -> Measurement:
    """Measure, or say why not."""
    shutil.rmtree(setting.folder, ignore_errors=True)
    setting.folder.mkdir(parents=True)
    try:
        quiet, found = TOOLS[tool](setting, workload, tool, alternation)
        return Measurement(workload, tool, alternation, quiet, **found)
    except (Failed, OSError, ValueError, KeyError, IndexError) as error:
        return Measurement(workload, tool, alternation, Quiet(0, 0), failed=f"{type(error).__name__}: {error}")
    finally:
        shutil.rmtree(setting.folder, ignore_errors=True)


def repeated_if_disturbed(measure_once: Callable[[], Measurement], attempts: int = ATTEMPTS) -> Measurement:
    """Measure, and repeat the measurement if other programs used the machine meanwhile."""
    for _ in range(attempts):
        found = measure_once()
        if not found.quiet.disturbed:
            break
    return found
