"""The figures."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from satae.config.messages import listed
from satae.page import words
from satae.page.drawing import DASHES, PAPER, SIZE, Drawing, drawn, empty, panels
from satae.page.scales import keep_to, scale
from satae.page.series import Line, Panel, Plan
from satae.page.spreads import SHARE, reach
from satae.plots.palette import COLOURS
from satae.sweeps.measures import FVU, IN_FULL, SATURATED

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARKERS: Final = "osD^vP*"
DOT: Final = 0.28  # inches, of a configuration in a list of them
MOST_DOTS: Final = 40
TRADE_OFF: Final = "trade_off"
NAMES: Final = (*(metric.replace("/", "_") for metric in (FVU, SATURATED)), TRADE_OFF)  # of files
BEHIND: Final[Any] = {"facecolor": PAPER, "edgecolor": "none", "alpha": 0.7, "pad": 0.5}  # of a text
POSSIBLE: Final = {FVU: (0.0, math.inf), SATURATED: SHARE}


def draw(plan: Plan) -> Iterator[Drawing]:
    """All figures that can be drawn, the most important one first."""
    shown = [metric for metric in (FVU, SATURATED) if any(line.having(metric) for line in plan.lines)]
    if sum(len(line.points) for line in plan.lines) < 2:
        return
    for metric in shown:
        yield _against(plan, metric) if plan.x else _dots(plan, metric)
    if len(shown) == 2:
        yield _trade_off(plan)


def _against(plan: Plan, metric: str) -> Drawing:
    x = words.short(plan.x)
    where = [point.x for line in plan.lines for point in line.having(metric)]
    figure, all_axes = panels(plan)
    for ax, panel in zip(all_axes, plan.panels, strict=True):
        for style, line in _styled(panel):
            points = line.having(metric)
            spreads = [point.spread(metric) for point in points]
            at, means = [point.x for point in points], [spread.mean for spread in spreads]
            ax.errorbar(at, means, reach(spreads, POSSIBLE[metric]), capsize=3, **style)
            hollow = [(point.x, mean) for point, mean in zip(points, means, strict=True) if point.collapsed]
            _hollow(ax, hollow, style)
        ax.set_ylabel(metric)
        scale(ax, x, where)
    keep_to(all_axes[0], "y", POSSIBLE[metric], _means(plan, metric))  # which all panels share
    name = IN_FULL[metric]
    told = f"{metric}, the {name} on validation data, against {x}{_each(plan)}."
    return drawn(figure, metric.replace("/", "_"), f"{name.capitalize()} against {x}", told, plan)


def _trade_off(plan: Plan) -> Drawing:
    figure, all_axes = panels(plan)
    for ax, panel in zip(all_axes, plan.panels, strict=True):
        for style, line in _styled(panel):
            points = [point for point in line.having(FVU) if point.spread(SATURATED).n]
            found = {metric: [point.spread(metric) for point in points] for metric in (SATURATED, FVU)}
            xs, ys = ([spread.mean for spread in spreads] for spreads in found.values())
            xerr, yerr = (reach(spreads, POSSIBLE[metric]) for metric, spreads in found.items())
            ax.errorbar(xs, ys, yerr, xerr, **style | {"elinewidth": 0.8, "ls": style["ls"] if plan.x else "none"})
            for point, x, y in zip(points, xs, ys, strict=True):
                _hollow(ax, [(x, y)] * bool(point.collapsed), style)
                if plan.x:
                    ax.text(x, y, f"{point.x:g}", fontsize=9, bbox=BEHIND, in_layout=False)
        ax.set(xlabel=SATURATED, ylabel=FVU)
        ax.margins(0.08)
    keep_to(all_axes[0], "x", POSSIBLE[SATURATED], _means(plan, SATURATED))
    keep_to(all_axes[0], "y", POSSIBLE[FVU], _means(plan, FVU))
    number = words.short(plan.x) if plan.x else ""
    told = f"{FVU} against {SATURATED}{_each(plan)}"
    told += f", the points in the order of {number}, which stands beside them where there is room." if number else "."
    return drawn(figure, TRADE_OFF, "Reconstruction against saturation", told, plan)


def _dots(plan: Plan, metric: str) -> Drawing:
    """Where no number varies: one row for each configuration."""
    lines = [line for line in plan.lines if line.having(metric)]
    figure = empty(SIZE[0], max(1.6, 0.9 + DOT * min(len(lines), MOST_DOTS)))
    ax = figure.add_subplot()
    for place, line in enumerate(lines[:MOST_DOTS]):
        spread = line.points[0].spread(metric)
        style: dict[str, Any] = {"color": COLOURS[0], "fmt": "o"}
        ax.errorbar([spread.mean], [place], xerr=reach([spread], POSSIBLE[metric]), capsize=3, **style)
        _hollow(ax, [(spread.mean, place)] * bool(line.points[0].collapsed), style)
    ax.set_yticks(range(len(lines[:MOST_DOTS])), [words.short(line.label) for line in lines[:MOST_DOTS]])
    ax.set_ylim(len(lines[:MOST_DOTS]) - 0.5, -0.5)
    ax.set_xlabel(metric)
    keep_to(ax, "x", POSSIBLE[metric], _means(plan, metric))
    name = IN_FULL[metric]
    told = f"{metric}, the {name} on validation data, of each configuration."
    if len(lines) > MOST_DOTS:
        told += f" {len(lines) - MOST_DOTS} further ones are in the table alone."
    return drawn(figure, metric.replace("/", "_"), name.capitalize(), told, plan._replace(left_out="", panels=[]))


def _each(plan: Plan) -> str:
    keys = dict.fromkeys(key for line in plan.lines for key in line.values)
    return words.short(f"; one {'line' if plan.x else 'point'} for each {listed(keys, 'and')}", 80) if keys else ""


def _styled(panel: Panel) -> Iterator[tuple[dict[str, Any], Line]]:
    for colour, marker, dash, line in zip(COLOURS, MARKERS, DASHES, panel.lines, strict=False):
        yield (
            {"color": colour, "marker": marker, "ls": dash, "ms": 6, "lw": 1.7, "label": words.short(line.label)},
            line,
        )


def _hollow(ax: Axes, at: Sequence[tuple[float, float]], style: dict[str, Any]) -> None:
    marker = style.get("marker", "o")
    for x, y in at:
        ax.plot(x, y, marker, color=style["color"], markerfacecolor=PAPER, ms=6, zorder=5)


def _means(plan: Plan, metric: str) -> list[float]:
    return [point.spread(metric).mean for line in plan.lines for point in line.having(metric)]
