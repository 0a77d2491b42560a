"""Whether the energy tells the data from what is no data: read, and drawn along the number that varies."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from satae.page.evaluations.outcomes import BRACKETS, Outcome, Part
from satae.page.evaluations.panels import MOST_CHART_PANELS, bars_caption, mean_curve, of_one_run
from satae.page.evaluations.stored import Evaluation, count, interval, number, text
from satae.plots.charts import Chart, Panel
from satae.plots.style import COLORS, DASHES, SMALL_PANEL_SIZE
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


def charts(part: Part, comparison: Comparison) -> Iterator[Chart]:
    """A panel for each kind of input that is not data, where a number varies."""
    names = dict.fromkeys(name for found in part.outcomes.values() for name in found.numbers)
    shown = [name for name in names if any(series.having(name) for series in comparison.series)][:MOST_CHART_PANELS]
    if comparison.x is None or not shown:
        return
    lines = spread_evenly(comparison.series, MOST_SERIES)
    ticks = [point.x for series in lines for point in series.points]
    panels = []
    for name in shown:
        curves = []
        for color, dash, series in zip(COLORS, DASHES, lines, strict=False):
            known = series.having(name)
            statistics = [(point.x, point.statistics(name)) for point in known]
            ends = [of_one_run(part.of(point), name) for point in known]
            label = shorten_value(series.label, 30) if len(lines) > 1 else ""
            style = {"color": color, "dash": dash, "marker": "o", "marker_size": 5, "label": label}
            curves.append(mean_curve(statistics, SHARE, ends, **style))
        x_label, title = shorten_value(comparison.x), shorten_value(f"against {name}")
        panels.append(Panel(curves, x_label, AUROC, title, ticks, y_possible=SHARE, shows_all_possible=True, level=0.5))
    left = len(comparison.series) - len(lines)
    caption = (
        "The probability that what is not data has a higher energy than the data: 1 tells them apart, at 0.5 (the thin"
        " line) it is chance, below it the model reconstructs what is no data better."
        f"{f' {left} more lines are left out.' if left else ''}{bars_caption(comparison)}"
    )
    title = f"AUROC of the energy against {shorten_value(comparison.x)}"
    yield Chart(AREA, title, caption, panels, 3, SMALL_PANEL_SIZE, legend="all panels")
