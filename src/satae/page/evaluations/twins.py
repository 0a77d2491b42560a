"""Models beside their twins, trained with alpha=0: a measure of both along the number that varies."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

from satae.page import figures
from satae.page.evaluations.panels import draw_line, draw_marks, tell_marks
from satae.page.evaluations.verdicts import HOLDS, OWN, TWIN
from satae.plots.scales import EDGE, scale_x_axis
from satae.plots.style import COLORS, DASHES, INK
from satae.sweeps.formatting import shorten_value
from satae.sweeps.series import ALPHA, Comparison, Point, Series

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MODELS: Final = (OWN, TWIN)


def figure(
    plan: Comparison,
    y: str,
    possible: tuple[float, float],
    verdict: Callable[[Point, str], str] | None = None,
    ends: Callable[[Point, str], tuple[float, float] | None] | None = None,
) -> Figure:
    """A colour for each line, a dash for each model; all that is possible is on the vertical axis, or 0 at least.

    Args:
        plan: what is drawn.
        y: label of the vertical axis.
        possible: its values, from 0.
        verdict: of a point, where it has one.
        ends: of the bar of a point, where that is of no seeds.
    """
    figure, all_axes = figures.comparison_axes(plan)
    for ax, panel in zip(all_axes, plan.panels, strict=True):
        for colour, line in zip(COLORS, panel.series, strict=False):
            for model, dash in zip(MODELS, DASHES, strict=False):
                known = [*_known(plan.x, line, model)]
                spreads = [(point.x, point.spread(of)) for point, of in known]
                first = {"label": shorten_value(line.label)} if len(plan.series) > 1 and model == OWN else {}
                bars = [ends(point, of) for point, of in known] if ends else []
                draw_line(ax, spreads, possible, bars, color=colour, ls=dash, **first)
                told = [verdict(point, of) if verdict else HOLDS for point, of in known]
                draw_marks(ax, [(x, found.mean, how) for (x, found), how in zip(spreads, told, strict=True)], colour)
        if panel.title:
            ax.set_title(shorten_value(panel.title, 60), fontsize=10.5)
        ax.tick_params(labelbottom=True, labelleft=True)
        ax.set_ylabel(y)
        scale_x_axis(ax, shorten_value(plan.x), [point.x for line in plan.series for point in line.points])
        for model, dash in zip(MODELS, DASHES, strict=False):
            ax.plot([], [], color=INK, ls=dash, label=model)
        if verdict:
            tell_marks(ax)
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=3, handlelength=3)
    low, high = possible  # of all panels, which share their axes
    top = high if math.isfinite(high) else all_axes[0].get_ylim()[1]
    room = EDGE * (top - low)
    all_axes[0].set_ylim(low - room, top + room)
    return figure


def _known(x: str | None, line: Series, model: str) -> Iterator[tuple[Point, str]]:
    """The points of a line at which a measure is known, and of which model: at alpha=0 one is its own twin."""
    for point in line.points:
        of = OWN if x == ALPHA and point.x == 0 else model
        if point.spread(of).n:
            yield point, of
