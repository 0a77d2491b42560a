"""What the report's charts of evaluations share: curves over seeds, marks of verdicts, models beside baselines."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

from satae.config.messages import join_words
from satae.evaluation.part import BASELINE, OWN
from satae.evaluation.report_section import HOLDS, INCONCLUSIVE, MASKED, PartSummary, interval_over_seeds
from satae.plots.charts import Curve, Panel
from satae.plots.style import COLORS, DASHES
from satae.sweeps.aggregate import SeedStatistics
from satae.sweeps.series import ALPHA, ANY_VALUE, Comparison, Point, Series, error_bars, spread_evenly
from satae.sweeps.table import shorten_value

MOST_CHART_PANELS: Final = 6
MOST_PLACES: Final = 100  # on a curve
VERDICT_MARKS: Final[dict[str, dict[str, Any]]] = {
    HOLDS: {"marker": "o", "marker_size": 6},
    INCONCLUSIVE: {"marker": "D", "marker_size": 6, "is_hollow": True},
    MASKED: {"marker": "X", "marker_size": 9},
}
MODELS: Final = (OWN, BASELINE)


def curve_over_seeds(summaries: Sequence[PartSummary], name: str) -> list[tuple[float, SeedStatistics]]:
    """The statistics over the seeds at each place of a curve."""
    curves = [summary.curves.get(name, {}) for summary in summaries]
    places = sorted({place for curve in curves for place in curve if math.isfinite(place)})
    statistics = [
        (place, SeedStatistics.from_values(curve.get(place, math.nan) for curve in curves)) for place in places
    ]
    return spread_evenly([(place, one) for place, one in statistics if one.n], MOST_PLACES)


def mean_curve(
    found: Sequence[tuple[float, SeedStatistics]],
    possible: tuple[float, float] = ANY_VALUE,
    ends: Sequence[tuple[float, float] | None] = (),
    **style: Any,
) -> Curve:
    """A curve of means with their error bars.

    Args:
        found: the statistics by place.
        possible: the values that the numbers can have.
        ends: of the bar at each place, where it is not an interval over the seeds.
        style: other fields of the curve.
    """
    statistics = [one for _, one in found]
    down, up = error_bars(statistics, possible)
    for place, end in enumerate(ends):
        if end is not None:
            mean = statistics[place].mean
            down[place], up[place] = max(0.0, mean - end[0]), max(0.0, end[1] - mean)
    return Curve([x for x, _ in found], [one.mean for one in statistics], y_bars=(down, up), **style)


def verdict_marks(marked: Iterable[tuple[float, float, str]], color: str) -> Iterator[Curve]:
    """A mark for each point, by its verdict."""
    points = [*marked]
    for verdict, mark in VERDICT_MARKS.items():
        if some := [(x, y) for x, y, of in points if of == verdict]:
            yield Curve([x for x, _ in some], [y for _, y in some], color=color, dash="none", **mark)


def verdict_legend() -> list[Curve]:
    """Entries of the legend that explain the marks."""
    return [Curve([], [], f"verdict: {verdict}", dash="none", **mark) for verdict, mark in VERDICT_MARKS.items()]


def interval_of_one_run(
    summaries: Sequence[PartSummary], name: str, place: float | None = None
) -> tuple[float, float] | None:
    """The interval over the inputs; None for several runs, whose bars are over the seeds."""
    return interval_over_seeds(summaries, name, place) if len(summaries) == 1 else None


def bars_caption(comparison: Comparison, over_inputs_always: Sequence[str] = ()) -> str:
    """The sentence about bars: over the seeds, but over the inputs for one run, and for some models always."""
    seeds = {len(point.runs) for point in comparison.points}
    if max(seeds) == 1:
        return " Bars: 95 % intervals over other draws of the inputs."
    others = [*(["of one run"] if 1 in seeds else []), *(f"of {name}" for name in over_inputs_always)]
    more = f" Those {join_words(others, 'and')} are over other draws of the inputs." if others else ""
    return f"{comparison.bars_caption()}{more}"


def baseline_panels(
    comparison: Comparison,
    y_label: str,
    possible: tuple[float, float],
    verdict: Callable[[Point, str], str] | None = None,
    ends: Callable[[Point, str], tuple[float, float] | None] | None = None,
) -> list[Panel]:
    """Models beside their baselines, trained with alpha=0: a color for each series, a dash for each model.

    Args:
        comparison: what is drawn.
        y_label: of the vertical axis.
        possible: the values that the numbers can have, from 0; the axis shows all, or starts at 0.
        verdict: gives the verdict on a model at a point.
        ends: gives the ends of a bar that is not an interval over the seeds.
    """
    models = [Curve([], [], model, dash=dash) for model, dash in zip(MODELS, DASHES, strict=False)]
    ticks = [point.x for point in comparison.points]
    panels = []
    for panel in comparison.panels:
        curves, marks = list[Curve](), list[Curve]()
        for color, series in zip(COLORS, panel.series, strict=False):
            for model, dash in zip(MODELS, DASHES, strict=False):
                known = [*_known_points(comparison.x, series, model)]
                statistics = [(point.x, point.statistics(of)) for point, of in known]
                is_named = len(comparison.series) > 1 and model == OWN
                label = shorten_value(series.label) if is_named else ""
                bars = [ends(point, of) for point, of in known] if ends else []
                curves.append(mean_curve(statistics, possible, bars, color=color, dash=dash, label=label))
                verdicts = [verdict(point, of) if verdict else HOLDS for point, of in known]
                marked = [(x, one.mean, how) for (x, one), how in zip(statistics, verdicts, strict=True)]
                marks += verdict_marks(marked, color)
        curves += [*marks, *models, *(verdict_legend() if verdict else [])]
        title = shorten_value(panel.title, 60) if panel.title else ""
        x_label = shorten_value(comparison.x)
        panels.append(Panel(curves, x_label, y_label, title, ticks, y_possible=possible, shows_all_possible=True))
    return panels


def _known_points(x: str | None, series: Series, model: str) -> Iterator[tuple[Point, str]]:
    """The points at which the number of a model is known; a model trained with alpha=0 is its own baseline."""
    for point in series.points:
        of = OWN if x == ALPHA and point.x == 0 else model
        if point.statistics(of).n:
            yield point, of
