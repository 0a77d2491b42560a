"""What the figures of evaluations consist of: panels, lines over the seeds, marks of verdicts, legends, captions."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from satae.config.messages import listed
from satae.page.evaluations.outcomes import Outcome, over_inputs
from satae.page.evaluations.verdicts import HOLDS, INCONCLUSIVE, MASKED
from satae.plots.scales import EDGE
from satae.plots.style import INK, PAPER, SMALL_PANEL_SIZE, Drawing, panel_grid, save_drawing
from satae.sweeps.formatting import shorten_value
from satae.sweeps.groups import Spread
from satae.sweeps.series import ANY_VALUE, MOST_SERIES, SHARE, Comparison, error_bars, spread_evenly

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST: Final = 6  # panels of a figure
MOST_COLUMNS: Final = 3
MOST_PLACES: Final = 100  # of a curve
VERDICT: Final = "verdict: "
MARKS: Final[Mapping[str, dict[str, Any]]] = {
    HOLDS: {"marker": "o", "ms": 6},
    INCONCLUSIVE: {"marker": "D", "ms": 6, "markerfacecolor": PAPER},
    MASKED: {"marker": "X", "ms": 9},
}


def over_seeds(found: Sequence[Outcome], name: str) -> list[tuple[float, Spread]]:
    """A curve over the seeds, by place."""
    curves = [outcome.curves.get(name, {}) for outcome in found]
    places = sorted({place for curve in curves for place in curve if math.isfinite(place)})
    spreads = [(place, Spread.of(curve.get(place, math.nan) for curve in curves)) for place in places]
    return spread_evenly([(place, spread) for place, spread in spreads if spread.n], MOST_PLACES)


def draw_line(
    ax: Axes,
    found: Sequence[tuple[float, Spread]],
    possible: tuple[float, float] = ANY_VALUE,
    ends: Sequence[tuple[float, float] | None] = (),
    **style: Any,
) -> None:
    """A line of means with their bars.

    Args:
        ax: to draw on.
        found: by place.
        possible: values.
        ends: of the bar at each place, where it is of no seeds.
        style: of the line.
    """
    spreads = [spread for _, spread in found]
    down, up = error_bars(spreads, possible)
    for place, end in enumerate(ends):
        if end is not None:
            down[place], up[place] = (
                max(0.0, side) for side in (spreads[place].mean - end[0], end[1] - spreads[place].mean)
            )
    ax.errorbar([x for x, _ in found], [spread.mean for spread in spreads], (down, up), capsize=3, lw=1.7, **style)


def draw_marks(ax: Axes, marked: Iterable[tuple[float, float, str]], colour: str) -> None:
    """Marks by verdict."""
    for x, y, verdict in marked:
        ax.plot(x, y, color=colour, ls="none", zorder=5, **MARKS[verdict])


def tell_marks(ax: Axes) -> None:
    """Have the legend tell the marks."""
    for verdict, mark in MARKS.items():
        ax.plot([], [], color=INK, ls="none", label=f"{VERDICT}{verdict}", **mark)


def tell_all(figure: Figure) -> None:
    """One legend for all panels: the lines of each, then the marks."""
    found = {label: handle for ax in figure.axes for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)}
    labels = sorted(found, key=lambda label: label.startswith(VERDICT))
    figure.legend([found[label] for label in labels], labels, loc="outside lower center", ncols=3, handlelength=3)


def show_shares(ax: Axes) -> None:
    """All that a share can be, on the vertical axis."""
    low, high = SHARE
    ax.set_ylim(low - EDGE, high + EDGE)


def of_one_run(found: Sequence[Outcome], name: str, place: float | None = None) -> tuple[float, float] | None:
    """The ends of a bar that is of the inputs, since there is one run alone."""
    return over_inputs(found, name, place) if len(found) == 1 else None


def told_of_bars(plan: Comparison, always: Sequence[str] = ()) -> str:
    """What is said of bars: over the seeds, but those of one run, and of some models always, over the inputs."""
    seeds = {len(point.runs) for line in plan.series for point in line.points}
    if max(seeds) == 1:
        return " Bars: 95 % intervals over other draws of the inputs."
    others = [*(["of one run"] if 1 in seeds else []), *(f"of {name}" for name in always)]
    more = f" Those {listed(others, 'and')} are over other draws of the inputs." if others else ""
    return f"{plan.bars_caption()}{more}"


def grid(number: int, columns: int = MOST_COLUMNS) -> tuple[Figure, list[Axes]]:
    """A figure with a number of panels."""
    width, height = SMALL_PANEL_SIZE
    if min(columns, number) < MOST_COLUMNS:
        width *= MOST_COLUMNS / 2
    return panel_grid(number, columns, (width, height), more_height=0.7)


def kept(
    figure: Figure,
    name: str,
    title: str,
    told: str,
    plan: Comparison,
    *,
    bars: str | None = None,
    more: str = "",
    wide: bool = False,
) -> Drawing:
    """A figure with all that is said about it.

    Args:
        figure: with what it shows.
        name: of its files.
        title: over it.
        told: what it shows.
        plan: of the configurations in it.
        bars: what is said of its bars, where they are not of the seeds alone.
        more: what is said last.
        wide: whether it has more than one panel, where the plan has one.
    """
    lines = ", ".join(shorten_value(line.label) for line in plan.series[:MOST_SERIES])
    caption = f"{told}{plan.bars_caption() if bars is None else bars}{more}"
    return save_drawing(figure, name, title, caption, lines, wide=wide or len(plan.panels) > 1)
