"""The part ``manifold``: whether the energy separates the data from what is not data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

from satae.config.registries import EVALUATION_PARTS
from satae.evaluation.part import EvaluationPart, Track
from satae.evaluation.report_charts import MOST_CHART_PANELS, bars_caption, interval_of_one_run, mean_curve
from satae.evaluation.report_section import BRACKETS, PartSummary, ReportSection
from satae.evaluation.result import StoredResult, count, interval, number, text
from satae.plots.charts import Chart, Panel
from satae.plots.style import COLORS, DASHES, SMALL_PANEL_SIZE
from satae.sweeps.series import MOST_SERIES, SHARE, Comparison, spread_evenly
from satae.sweeps.table import shorten_value

if TYPE_CHECKING:
    from satae.evaluation.result import PartResult
    from satae.evaluation.subject import Subject, TrainedRun

AUTO: Final = "auto"
NO_OTHER: Final = "none"


@EVALUATION_PARTS.register("manifold")
@dataclass(frozen=True, kw_only=True)
class Manifold(EvaluationPart):
    """Energy of the data against what is not data: AUROC."""

    description = (
        "Whether the energy tells the data from what is no data: the area under the curve, 0.5 is chance; in brackets,"
        f" the {BRACKETS}."
    )
    pictures: ClassVar[Mapping[str, str]] = {
        "manifold_energies": "distribution of the energy of the data, and of each kind of what is not data",
        "manifold_map": "energy over the plane",
    }
    figures = ("manifold_auroc",)

    other: str

    def check(self, run: TrainedRun) -> None:
        """Refuse another data set that is not there, or does not fit."""
        from satae.evaluation.parts.manifold_measure import other_data_set

        other_data_set(self.other, run.config.data.name, run.shape)

    def measure(self, subject: Subject, track: Track) -> PartResult:
        """Measure the AUROC of the energy against each kind of what is not data."""
        from satae.evaluation.parts.manifold_measure import measure_manifold

        return measure_manifold(subject, self, track)

    @classmethod
    def summarize(cls, stored: StoredResult) -> PartSummary:
        """The area under the curve against each kind of what is not data."""
        summary = PartSummary.of(stored, label="AUROC against")
        for row in stored.rows("manifold"):
            summary.add(text(row["against"]), number(row["auroc"]), count(row["n"]), interval(row))
        return summary

    @classmethod
    def charts(cls, section: ReportSection, comparison: Comparison) -> Iterator[Chart]:
        """A panel for each kind of input that is not data, if a number varies."""
        names = dict.fromkeys(name for summary in section.summaries.values() for name in summary.numbers)
        shown = [name for name in names if any(series.having(name) for series in comparison.series)]
        if comparison.x is None or not shown:
            return
        lines = spread_evenly(comparison.series, MOST_SERIES)
        ticks = [point.x for series in lines for point in series.points]
        panels = []
        for name in shown[:MOST_CHART_PANELS]:
            curves = []
            for color, dash, series in zip(COLORS, DASHES, lines, strict=False):
                known = series.having(name)
                statistics = [(point.x, point.statistics(name)) for point in known]
                ends = [interval_of_one_run(section.of(point), name) for point in known]
                label = shorten_value(series.label, 30) if len(lines) > 1 else ""
                style = {"color": color, "dash": dash, "marker": "o", "marker_size": 5, "label": label}
                curves.append(mean_curve(statistics, SHARE, ends, **style))
            labels = shorten_value(comparison.x), "AUROC", shorten_value(f"against {name}")
            panels.append(Panel(curves, *labels, ticks, y_possible=SHARE, shows_all_possible=True, level=0.5))
        left = len(comparison.series) - len(lines)
        caption = (
            "The probability that what is not data has a higher energy than the data: 1 tells them apart, at 0.5 (the"
            " thin line) it is chance, below it the model reconstructs what is no data better."
            f"{f' {left} more lines are left out.' if left else ''}{bars_caption(comparison)}"
        )
        title = f"AUROC of the energy against {shorten_value(comparison.x)}"
        yield Chart(cls.figures[0], title, caption, panels, 3, SMALL_PANEL_SIZE, legend="all panels")
