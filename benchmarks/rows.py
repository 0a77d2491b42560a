"""The rows of the table: what is compared with what, and how much it should be."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Final, NamedTuple

from benchmarks.measurement import Measurement, Quantity
from benchmarks.tools import AT_ONCE
from benchmarks.validity import refusals


class Row(NamedTuple):
    """A ratio, or a figure of its own, with the least that will do and what is aimed at."""

    title: str
    over: Quantity
    under: Quantity | None
    floor: float
    aim: float
    unit: str = "x"  # or % or s
    less_is_better: bool = False


class Result(NamedTuple):
    """A row with what was found."""

    row: Row
    values: tuple[float, ...]  # one an alternation
    refused: tuple[str, ...]  # why they are not valid

    @property
    def median(self) -> float:
        """The median over the alternations."""
        return median(self.values)

    @property
    def verdict(self) -> str:
        """Whether the median reaches the floor or the aim, or why the values are not valid."""
        if self.refused:
            return "not valid: " + "; ".join(self.refused)
        sign = -1 if self.row.less_is_better else 1
        reached = sign * self.median
        return "aim" if reached >= sign * self.row.aim else "floor" if reached >= sign * self.row.floor else "missed"


def speed(workload: str, ours: str, theirs: str, floor: float, aim: float) -> Row:
    """Samples a second against a peer's."""
    one, other = Quantity(workload, ours, "samples_per_s"), Quantity(workload, theirs, "samples_per_s")
    return Row(f"{workload} {ours}, samples/s against {theirs}", one, other, floor, aim)


def time(title: str, workload: str, ours: str, theirs: str, floor: float, aim: float) -> Row:
    """A peer's whole time over ours."""
    return Row(title, Quantity(workload, theirs, "wall_s"), Quantity(workload, ours, "wall_s"), floor, aim)


def under(title: str, workload: str, ours: str, theirs: str, floor: float, aim: float, figure: str = "wall_s") -> Row:
    """Our time, or memory, over another's: it should be small."""
    one, other = Quantity(workload, ours, figure), Quantity(workload, theirs, figure)
    return Row(title, one, other, floor, aim, less_is_better=True)


def cost(title: str, quantity: Quantity, unit: str, floor: float, aim: float) -> Row:
    """A figure that should be small."""
    return Row(title, quantity, None, floor, aim, unit, less_is_better=True)


ROWS: Final = (
    speed("W1", "satae", "lightning", 2.9, 3.6),
    speed("W1", "satae", "jax", 0.8, 1.0),
    speed("W1", "satae", "jax rbg", 0.8, 1.0),
    Row(
        "W1 satae, samples/s against the limit of its nine products by the quicker library",
        Quantity("W1", "satae", "samples_per_s"),
        Quantity("W1", "gemm", "samples_per_s"),
        0.50,
        0.65,
    ),
    speed("W1", "satae medium", "lightning", 3.9, 5.0),
    time("W1 satae, whole process against loop", "W1", "satae", "loop", 1.5, 1.9),
    speed("W2", "satae", "lightning", 1.6, 1.8),
    speed("W2", "satae bf16", "lightning", 2.0, 2.4),
    time("W3 satae, whole sweep against lightning, one by one", "W3", "satae", "lightning", 6.0, 10.0),
    *(time(f"W3 satae, whole sweep against {tool}", "W3", "satae", tool, 3.0, 5.0) for tool in AT_ONCE),
    under("satae-train --help over python -c 'import torch'", "start", "satae-train --help", "import torch", 0.3, 0.25),
    under(
        "satae-train epochs=100 on the digits over python -c 'import torch'",
        *("start", "satae-train epochs=100", "import torch", 2.0, 1.7),
    ),
    under("W2 satae, peak memory over lightning", "W2", "satae", "lightning", 1.0, 0.8, "peak_mb"),
    cost("W1 satae, logging and checkpoints of an epoch", Quantity("W1", "side costs", "logging"), "%", 0.05, 0.02),
    cost("W3 satae, overhead of a run", Quantity("W3", "satae", "overhead_s"), "s", 1.5, 0.3),
)


def ratios(over: Sequence[Measurement], under: Sequence[Measurement] | None, row: Row) -> tuple[float, ...]:
    """The value of a row in each alternation in which both were measured."""
    tops = {m.alternation: m.figures[row.over.figure] for m in over if not m.failed}
    if under is None or row.under is None:
        return tuple(tops.values())
    bottoms = {m.alternation: m.figures[row.under.figure] for m in under if not m.failed}
    return tuple(tops[n] / bottoms[n] for n in sorted(tops.keys() & bottoms.keys()))


def result(row: Row, measurements: list[Measurement], limit: int | None = None) -> Result | None:
    """The row as it was found; None where there is nothing to tell."""
    over = row.over.among(measurements)
    under = row.under.among(measurements) if row.under else None
    values = ratios(over, under, row)
    return Result(row, values, tuple(refusals(over, under, limit))) if values else None
