"""Whether the energy tells the data from what is no data: read, and drawn along the number that varies."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from satae.page.evaluations import panels
from satae.page.evaluations.outcomes import BRACKETS, Outcome, Part
from satae.page.evaluations.stored import Evaluation, count, interval, number, text
from satae.plots.scales import scale_x_axis
from satae.plots.style import COLORS, DASHES, INK, Drawing
from satae.sweeps.formatting import shorten_value
from satae.sweeps.series import MOST_SERIES, SHARE, Comparison, spread_evenly

WHAT: Final = (
    "Whether the energy tells the data from what is no data: the area under the curve, 0.5 is chance; in brackets, the"
    f" {BRACKETS}."
)
AUROC: Final = "AUROC"
AREA: Final = "manifold_auroc"
FIGURES: Final = (AREA,)
PICTURES: Final = {
    "manifold_energies": "distribution of the energy of the data, and of each kind of what is not data",
    "manifold_map": "energy over the plane",
}


def read(found: Evaluation) -> Outcome:
    """The area under the curve against each of what is no data."""
    told = Outcome.empty(found)._replace(label=f"{AUROC} against")
    for row in found.rows("manifold"):
        name = text(row["against"])
        told.numbers[name], told.inputs[name] = number(row["auroc"]), count(row["n"])
        told.intervals[name] = interval(row)
    return told


def draw(part: Part, plan: Comparison) -> Iterator[Drawing]:
    """A panel for each of what is not data, where a number varies."""
    names = dict.fromkeys(name for found in part.outcomes.values() for name in found.numbers)
    names = dict.fromkeys([name for name in names if any(line.having(name) for line in plan.series)][: panels.MOST])
    if plan.x is None or not names:
        return
    lines = spread_evenly(plan.series, MOST_SERIES)
    figure, all_axes = panels.grid(len(names))
    for place, (ax, name) in enumerate(zip(all_axes, names, strict=True)):
        for colour, dash, line in zip(COLORS, DASHES, lines, strict=False):
            known = line.having(name)
            spreads = [(point.x, point.spread(name)) for point in known]
            own = [panels.of_one_run(part.of(point), name) for point in known]
            style = {"color": colour, "ls": dash, "marker": "o", "ms": 5, "label": shorten_value(line.label, 30)}
            panels.draw_line(ax, spreads, SHARE, own, **style)
        ax.axhline(0.5, color=INK, lw=1, alpha=0.5)
        ax.set_title(shorten_value(f"against {name}"), fontsize=10.5)
        scale_x_axis(ax, "", [point.x for line in lines for point in line.points])
        ax.set_xlabel(shorten_value(plan.x))
        panels.show_shares(ax)
        if place % panels.MOST_COLUMNS == 0:
            ax.set_ylabel(AUROC)
    if len(lines) > 1:
        panels.tell_all(figure)
    told = (
        "The probability that what is not data has a higher energy than the data: 1 tells them apart, at 0.5 (the thin"
        " line) it is chance, below it the model reconstructs what is no data better."
    )
    told += f" {len(plan.series) - len(lines)} further lines are left out." if len(lines) < len(plan.series) else ""
    title = f"AUROC of the energy against {shorten_value(plan.x)}"
    yield panels.kept(figure, AREA, title, told, plan, bars=panels.told_of_bars(plan), wide=len(names) > 1)
