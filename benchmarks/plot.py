"""The plot: samples a second of each tool, and how far each ratio is above its floor."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final

from benchmarks.measurement import Measurement, Quantity
from benchmarks.plan import PLAN, SPEEDS
from benchmarks.rows import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

OURS, THEIRS, LIMIT = "#0072B2", "#E69F00", "#999999"  # of Okabe and Ito: for colour-blind readers
LEAST: Final = 1e-6  # of a cost, which no logarithm takes at zero


def draw(path: Path, results: Sequence[Result], measurements: list[Measurement]) -> None:
    """Draw it into a file."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(2, 2, figsize=(14, 9), layout="constrained")
    for ax, workload in zip(axes.flat, SPEEDS, strict=False):
        _speeds(ax, workload, measurements)
    _rows(axes[1, 1], results)
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


def _speeds(ax: Axes, workload: str, measurements: list[Measurement]) -> None:
    """Bars of the medians, with the whole range."""
    found = {tool: _values(Quantity(workload, tool, "samples_per_s"), measurements) for tool in PLAN[workload]}
    found = dict(sorted(((t, v) for t, v in found.items() if v), key=lambda item: median(item[1])))
    for place, (tool, values) in enumerate(found.items()):
        colour = LIMIT if tool == "gemm" else OURS if tool.startswith("satae") else THEIRS
        middle = median(values)
        ax.barh(place, middle, color=colour, xerr=[[middle - min(values)], [max(values) - middle]], capsize=3)
        ink = "white" if colour == OURS else "black"
        ax.annotate(f"{middle:,.0f}", (0, place), xytext=(4, 0), textcoords="offset points", va="center", color=ink)
    ax.set_yticks(range(len(found)), ["limit of its products" if tool == "gemm" else tool for tool in found])
    ax.set_xlabel("samples/s: median, least and most")
    ax.set_title(workload)
    ax.set_visible(bool(found))


def _rows(ax: Axes, results: Sequence[Result]) -> None:
    """Each row in units of its floor, so that 1 is what it must reach, with its aim."""
    for place, found in enumerate(reversed(results)):
        row = found.row
        share = [row.floor / max(value, LEAST) if row.less_is_better else value / row.floor for value in found.values]
        middle, aim = median(share), row.floor / row.aim if row.less_is_better else row.aim / row.floor
        ax.hlines(place, min(share), max(share), color=OURS, linewidth=2)
        ax.plot(middle, place, "o", color=OURS, markerfacecolor="white" if found.refused else OURS)
        ax.plot(aim, place, "|", color="black", markersize=14)
    ax.axvline(1, color=LIMIT, linestyle="--")
    ax.set_yticks(range(len(results)), [found.row.title for found in reversed(results)], fontsize=8)
    ax.set_xscale("log")
    ax.xaxis.set_major_formatter("{x:g}")
    ax.xaxis.set_minor_formatter("{x:g}")
    ax.tick_params(axis="x", which="both", labelsize=8)
    ax.set_xlabel("times better than the floor (dashed); bar: aim; hollow: not valid")


def _values(quantity: Quantity, measurements: list[Measurement]) -> list[float]:
    return [m.figures[quantity.figure] for m in quantity.among(measurements) if not m.failed]
