"""Models beside their twins, trained with alpha=0: a measure of both along the number that varies."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from satae.colours import COLOURS, INK
from satae.report import drawing, words
from satae.report.drawing import DASHES
from satae.report.evaluations.panels import draw_line, draw_marks, tell_marks
from satae.report.evaluations.verdicts import HOLDS
from satae.report.scales import keep_to, scale
from satae.report.series import ALPHA, Line, Plan, Point

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def figure(
    plan: Plan,
    named: Mapping[str, str],
    y: str,
    possible: tuple[float, float],
    verdict: Callable[[Point, str], str] | None = None,
) -> Figure:
    """A colour for each line, a dash for each measure.

    Args:
        plan: what is drawn.
        named: the measures, that of the model itself first, and what the legend calls them.
        y: label of the vertical axis.
        possible: its values.
        verdict: of a point, where it has one.
    """
    figure, all_axes = drawing.panels(plan)
    own = next(iter(named))
    for ax, panel in zip(all_axes, plan.panels, strict=True):
        means = []
        for colour, line in zip(COLOURS, panel.lines, strict=False):
            for measure, dash in zip(named, DASHES, strict=False):
                known = [*_known(plan.x, line, measure, own)]
                spreads = [(point.x, point.spread(of)) for point, of in known]
                is_told = len(plan.lines) > 1 and measure == own
                first = {"label": words.short(line.label)} if is_told else {}
                draw_line(ax, spreads, color=colour, ls=dash, **first)
                told = [verdict(point, of) if verdict else HOLDS for point, of in known]
                draw_marks(ax, [(x, found.mean, how) for (x, found), how in zip(spreads, told, strict=True)], colour)
                means += [found.mean for _, found in spreads]
        if panel.title:
            ax.set_title(words.short(panel.title, 60), fontsize=10.5)
        ax.tick_params(labelbottom=True, labelleft=True)
        ax.set_ylabel(y)
        scale(ax, words.short(plan.x), [point.x for line in plan.lines for point in line.points])
        keep_to(ax, "y", possible, means)
        for name, dash in zip(named.values(), DASHES, strict=False):
            ax.plot([], [], color=INK, ls=dash, label=name)
        tell_marks(ax, verdict is not None)
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=3, handlelength=3)
    return figure


def _known(x: str | None, line: Line, measure: str, own: str) -> Iterator[tuple[Point, str]]:
    """The points of a line at which a measure is known, and its name there: at alpha=0 a model is its own twin."""
    for point in line.points:
        of = own if x == ALPHA and point.x == 0 else measure
        if point.spread(of).n:
            yield point, of
