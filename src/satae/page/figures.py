"""The figures."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from satae.config.messages import listed
from satae.plots.scales import limit_axis, scale_x_axis
from satae.plots.style import (
    COLORS,
    DASHES,
    MARKERS,
    PANEL_SIZE,
    PAPER,
    Drawing,
    empty_figure,
    panel_grid,
    save_drawing,
)
from satae.sweeps.formatting import shorten_value
from satae.sweeps.measures import FVU, IN_FULL, SATURATED
from satae.sweeps.series import SHARE, Comparison, Series, SeriesPanel, error_bars

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DOT: Final = 0.28  # inches, of a configuration in a list of them
MOST_DOTS: Final = 40
TRADE_OFF: Final = "trade_off"
NAMES: Final = (*(metric.replace("/", "_") for metric in (FVU, SATURATED)), TRADE_OFF)  # of files
BEHIND: Final[Any] = {"facecolor": PAPER, "edgecolor": "none", "alpha": 0.7, "pad": 0.5}  # of a text
POSSIBLE: Final = {FVU: (0.0, math.inf), SATURATED: SHARE}


def draw(plan: Comparison) -> Iterator[Drawing]:
    """All figures that can be drawn, the most important one first."""
    shown = [metric for metric in (FVU, SATURATED) if any(line.having(metric) for line in plan.series)]
    if sum(len(line.points) for line in plan.series) < 2:
        return
    for metric in shown:
        yield _against(plan, metric) if plan.x else _dots(plan, metric)
    if len(shown) == 2:
        yield _trade_off(plan)


def _against(plan: Comparison, metric: str) -> Drawing:
    x = shorten_value(plan.x)
    where = [point.x for line in plan.series for point in line.having(metric)]
    figure, all_axes = comparison_axes(plan)
    for ax, panel in zip(all_axes, plan.panels, strict=True):
        for style, line in _styled(panel):
            points = line.having(metric)
            spreads = [point.spread(metric) for point in points]
            at, means = [point.x for point in points], [spread.mean for spread in spreads]
            ax.errorbar(at, means, error_bars(spreads, POSSIBLE[metric]), capsize=3, **style)
            hollow = [(point.x, mean) for point, mean in zip(points, means, strict=True) if point.collapsed]
            _hollow(ax, hollow, style)
        ax.set_ylabel(metric)
        scale_x_axis(ax, x, where)
    limit_axis(all_axes[0], "y", POSSIBLE[metric], _means(plan, metric))  # which all panels share
    name = IN_FULL[metric]
    told = f"{metric}, the {name} on validation data, against {x}{_each(plan)}."
    return _save(figure, metric.replace("/", "_"), f"{name.capitalize()} against {x}", told, plan)


def _trade_off(plan: Comparison) -> Drawing:
    figure, all_axes = comparison_axes(plan)
    for ax, panel in zip(all_axes, plan.panels, strict=True):
        for style, line in _styled(panel):
            points = [point for point in line.having(FVU) if point.spread(SATURATED).n]
            found = {metric: [point.spread(metric) for point in points] for metric in (SATURATED, FVU)}
            xs, ys = ([spread.mean for spread in spreads] for spreads in found.values())
            xerr, yerr = (error_bars(spreads, POSSIBLE[metric]) for metric, spreads in found.items())
            ax.errorbar(xs, ys, yerr, xerr, **style | {"elinewidth": 0.8, "ls": style["ls"] if plan.x else "none"})
            for point, x, y in zip(points, xs, ys, strict=True):
                _hollow(ax, [(x, y)] * bool(point.collapsed), style)
                if plan.x:
                    ax.text(x, y, f"{point.x:g}", fontsize=9, bbox=BEHIND, in_layout=False)
        ax.set(xlabel=SATURATED, ylabel=FVU)
        ax.margins(0.08)
    limit_axis(all_axes[0], "x", POSSIBLE[SATURATED], _means(plan, SATURATED))
    limit_axis(all_axes[0], "y", POSSIBLE[FVU], _means(plan, FVU))
    number = shorten_value(plan.x) if plan.x else ""
    told = f"{FVU} against {SATURATED}{_each(plan)}"
    told += f", the points in the order of {number}, which stands beside them where there is room." if number else "."
    return _save(figure, TRADE_OFF, "Reconstruction against saturation", told, plan)


def _dots(plan: Comparison, metric: str) -> Drawing:
    """Where no number varies: one row for each configuration."""
    lines = [line for line in plan.series if line.having(metric)]
    figure = empty_figure(PANEL_SIZE[0], max(1.6, 0.9 + DOT * min(len(lines), MOST_DOTS)))
    ax = figure.add_subplot()
    for place, line in enumerate(lines[:MOST_DOTS]):
        spread = line.points[0].spread(metric)
        style: dict[str, Any] = {"color": COLORS[0], "fmt": "o"}
        ax.errorbar([spread.mean], [place], xerr=error_bars([spread], POSSIBLE[metric]), capsize=3, **style)
        _hollow(ax, [(spread.mean, place)] * bool(line.points[0].collapsed), style)
    ax.set_yticks(range(len(lines[:MOST_DOTS])), [shorten_value(line.label) for line in lines[:MOST_DOTS]])
    ax.set_ylim(len(lines[:MOST_DOTS]) - 0.5, -0.5)
    ax.set_xlabel(metric)
    limit_axis(ax, "x", POSSIBLE[metric], _means(plan, metric))
    name = IN_FULL[metric]
    told = f"{metric}, the {name} on validation data, of each configuration."
    if len(lines) > MOST_DOTS:
        told += f" {len(lines) - MOST_DOTS} further ones are in the table alone."
    return _save(figure, metric.replace("/", "_"), name.capitalize(), told, plan._replace(left_out="", panels=[]))


def _each(plan: Comparison) -> str:
    keys = dict.fromkeys(key for line in plan.series for key in line.values)
    return shorten_value(f"; one {'line' if plan.x else 'point'} for each {listed(keys, 'and')}", 80) if keys else ""


def _styled(panel: SeriesPanel) -> Iterator[tuple[dict[str, Any], Series]]:
    for colour, marker, dash, line in zip(COLORS, MARKERS, DASHES, panel.series, strict=False):
        yield (
            {"color": colour, "marker": marker, "ls": dash, "ms": 6, "lw": 1.7, "label": shorten_value(line.label)},
            line,
        )


def _hollow(ax: Axes, at: Sequence[tuple[float, float]], style: dict[str, Any]) -> None:
    marker = style.get("marker", "o")
    for x, y in at:
        ax.plot(x, y, marker, color=style["color"], markerfacecolor=PAPER, ms=6, zorder=5)


def _means(plan: Comparison, metric: str) -> list[float]:
    return [point.spread(metric).mean for line in plan.series for point in line.having(metric)]


def comparison_axes(comparison: Comparison) -> tuple[Figure, list[Axes]]:
    """A figure with axes for each panel of a comparison, all with the same ranges."""
    return panel_grid(len(comparison.panels), 2, PANEL_SIZE, shared=True)


def _save(figure: Figure, name: str, title: str, caption: str, plan: Comparison) -> Drawing:
    for ax, panel in zip(figure.axes, plan.panels, strict=False):
        if len(plan.series) > 1:
            _legend(ax, panel)
    hollow = any(point.collapsed for point in plan.points)
    caption += f"{plan.bars_caption()}{' Hollow: a run collapsed.' if hollow else ''}{plan.left_out_caption()}"
    lines = ", ".join(shorten_value(series.label) for panel in plan.panels for series in panel.series)
    return save_drawing(figure, name, title, caption, lines, wide=len(plan.panels) > 1)


def _legend(ax: Axes, panel: SeriesPanel) -> None:
    ax.tick_params(labelbottom=True, labelleft=True)
    if panel.title:
        ax.set_title(shorten_value(panel.title, 60), fontsize=10.5)
    longest = max(len(shorten_value(series.label)) for series in panel.series)
    columns = max(1, min(len(panel.series), 4, 56 // (longest + 6)))
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=columns, handlelength=3.2)
