"""The part ``denoising``: how well noise is removed, against the level of each kind."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, ClassVar, Final

from satae.config.option_types import Level, Share
from satae.config.registries import EVALUATION_PARTS
from satae.evaluation.part import EvaluationPart, Track
from satae.evaluation.report_charts import MOST_CHART_PANELS, curve_over_seeds, mean_curve
from satae.evaluation.report_section import PartSummary, ReportSection
from satae.evaluation.result import StoredResult, count, number, text
from satae.plots.charts import Chart, Curve, Panel
from satae.plots.style import COLORS, DASHES, SMALL_PANEL_SIZE
from satae.sweeps.aggregate import SeedStatistics
from satae.sweeps.series import ANY_VALUE, MOST_SERIES, Comparison, spread_evenly
from satae.sweeps.table import format_configuration, shorten_value

if TYPE_CHECKING:
    from satae.evaluation.result import PartResult
    from satae.evaluation.subject import Subject

MEASURES: Final = ("fvu", "psnr")
NOISY: Final = "noisy"
SEEN, UNSEEN = "seen", "no"

POSSIBLE_VALUES: Final = {"fvu": (0.0, math.inf)}
UNITS: Final = {"psnr": "psnr, dB"}


@EVALUATION_PARTS.register("denoising")
@dataclass(frozen=True, kw_only=True)
class Denoising(EvaluationPart):
    """Error, PSNR and SSIM against the level of each kind of noise."""

    description = "How well noise is taken away: with the noise of the training, without any where it had none."
    figures = tuple(f"denoising_{measure}" for measure in MEASURES)
    repeated_picture = "denoising_curves"
    pictures: ClassVar[Mapping[str, str]] = {
        repeated_picture: "error and similarity of the reconstruction, and of the noisy input itself, against the level"
        " of each kind of noise; a star: as in training",
        "denoising_reconstructions": "clean inputs, noisy ones of each kind, and their reconstructions",
    }

    gaussian: list[Level]
    uniform: list[Level]
    masking: list[Share]
    salt_and_pepper: list[Share]

    def levels(self) -> Mapping[str, list[float]]:
        """The chosen levels of each kind of noise."""
        return asdict(self)

    def measure(self, subject: Subject, track: Track) -> PartResult:
        """Reconstruct clean inputs from noisy ones."""
        from satae.evaluation.parts.denoising_measure import measure_denoising

        return measure_denoising(subject, self, track)

    @classmethod
    def summarize(cls, stored: StoredResult) -> PartSummary:
        """Both measures against the level of each kind of noise, and those of the noisy inputs themselves."""
        summary, rows = PartSummary.of(stored), [*stored.rows("denoising")]
        for row in rows:
            kind = text(row["noise"])
            for measure in (*MEASURES, *(f"{NOISY} {measure}" for measure in MEASURES)):
                places = summary.curves.setdefault(f"{kind}/{measure}", {})
                places[number(row["level"])] = number(row[measure])
            if summary.noise_seen.get(kind) != SEEN:
                summary.noise_seen[kind] = UNSEEN if row["seen"] == UNSEEN else SEEN
        for measure in MEASURES if rows else ():
            summary.add(measure, number(stored.result.headline[measure]), count(rows[0]["n"]))
        return summary

    @classmethod
    def charts(cls, section: ReportSection, comparison: Comparison) -> Iterator[Chart]:
        """A chart for each measure, with a panel for each kind of noise."""
        all_points = [point for point in comparison.points if point.runs]
        points = spread_evenly(all_points, MOST_SERIES - 1)
        found = [(shorten_value(format_configuration(point.values), 30), section.of(point)) for point in points]
        known = dict.fromkeys(kind for _, some in found for each in some for kind in each.noise_seen)
        left = len(all_points) - len(points)
        for measure in MEASURES:
            kinds = [
                kind for kind in known if any(len(curve_over_seeds(some, f"{kind}/{measure}")) > 1 for _, some in found)
            ]
            if not kinds:
                continue
            caption = (
                "Of reconstructions from noisy inputs, held against the clean ones;"
                f" {'less' if measure == 'fvu' else 'more'} is better. Dotted: the noisy input itself, what doing"
                f" nothing gives.{f' {left} more configurations are left out.' if left else ''}"
                f"{comparison.bars_caption()}"
            )
            panels = [_noise_panel(kind, measure, found) for kind in kinds[:MOST_CHART_PANELS]]
            title, name = f"{measure} against the level of the noise", f"denoising_{measure}"
            yield Chart(name, title, caption, panels, 2, SMALL_PANEL_SIZE, legend="all panels")


def _noise_panel(kind: str, measure: str, found: Sequence[tuple[str, Sequence[PartSummary]]]) -> Panel:
    """A curve for each configuration, and one for the noisy inputs if all configurations had the same."""
    curves = []
    for (label, some), color, dash in zip(found, COLORS, DASHES, strict=False):
        statistics = curve_over_seeds(some, f"{kind}/{measure}")
        possible = POSSIBLE_VALUES.get(measure, ANY_VALUE)
        curves.append(mean_curve(statistics, possible, color=color, dash=dash, marker=".", label=label))
    noisy = [curve_over_seeds(some, f"{kind}/{NOISY} {measure}") for _, some in found]
    if _are_alike(noisy):
        curves.append(Curve([x for x, _ in noisy[0]], [y.mean for _, y in noisy[0]], "noisy input", dash=":"))
    seen = {each.noise_seen[kind] for _, some in found for each in some if kind in each.noise_seen}
    known = "seen in training" if seen == {SEEN} else "not seen" if seen == {UNSEEN} else "seen by some"
    return Panel(curves, "level of the noise", UNITS.get(measure, measure), f"{shorten_value(kind, 30)}: {known}")


def _are_alike(curves: Sequence[Sequence[tuple[float, SeedStatistics]]]) -> bool:
    """Whether the curves agree at the places that they share."""
    first, *others = ({place: one.mean for place, one in curve} for curve in curves)
    return all(math.isclose(first[x], other[x], rel_tol=1e-3) for other in others for x in other if x in first)
