"""The part ``perturbation``: how far a small perturbation moves the code and the reconstruction."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from satae.config.option_types import Count, Positive
from satae.config.registries import EVALUATION_PARTS
from satae.evaluation.part import BASELINE, OWN, EvaluationPart, Track
from satae.evaluation.report_charts import baseline_panels
from satae.evaluation.report_section import PartSummary, ReportSection
from satae.evaluation.result import StoredResult, count, number, text
from satae.plots.charts import Chart
from satae.sweeps.series import Comparison
from satae.sweeps.table import shorten_value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from satae.evaluation.result import PartResult
    from satae.evaluation.subject import Subject, TrainedRun


@EVALUATION_PARTS.register("perturbation")
@dataclass(frozen=True, kw_only=True)
class Perturbation(EvaluationPart):
    """How far an attack moves code and reconstruction, beside what is certified."""

    description = (
        "The largest change of the code that an attack finds, in mean distances between the codes of two"
        " inputs, in the largest ball that was tried. An attack may miss a larger one."
    )
    figures = ("perturbation_code",)
    repeated_picture = "perturbation_curves"
    pictures: ClassVar[Mapping[str, str]] = {
        repeated_picture: "largest change found, of the code and of the reconstruction, against epsilon"
    }

    linf: list[Positive]
    l2: list[Positive]
    samples: Count
    steps: Count
    restarts: Count

    def __post_init__(self) -> None:
        """Refuse radii in other units."""
        check_radii("linf", self.linf, 1.0)

    def check(self, run: TrainedRun) -> None:
        """Refuse radii of l2 beyond the change of every element by the whole range."""
        check_radii("l2", self.l2, math.sqrt(math.prod(run.shape)))

    def measure(self, subject: Subject, track: Track) -> PartResult:
        """Attack and certify the code and the reconstruction."""
        from satae.evaluation.parts.perturbation_measure import measure_perturbation

        return measure_perturbation(subject, self, track)

    @classmethod
    def summarize(cls, stored: StoredResult) -> PartSummary:
        """The change of the code in the largest ball of the first norm."""
        rows = [row for row in stored.rows("perturbation") if row["output"] == "code"]
        rows = [row for row in rows if row["norm"] == rows[0]["norm"]]
        epsilon = max((number(row["epsilon"]) for row in rows), default=math.nan)
        label = f"change of the code, {text(rows[0]['norm'])}, epsilon {epsilon:g}" if rows else ""
        summary = PartSummary.of(stored, label=label)
        for row in rows:
            if (model := text(row["model"])) in (OWN, BASELINE) and row["epsilon"] == epsilon:
                summary.add(model, number(row["change share"]), count(row["n"]))
        return summary

    @classmethod
    def charts(cls, section: ReportSection, comparison: Comparison) -> Iterator[Chart]:
        """The change of the code, if a number varies."""
        if comparison.x is None:
            return
        caption = (
            f"The largest {section.label}, that an attack finds, in mean distances between the codes of two inputs;"
            " dashed: the twin trained with alpha=0. An attack may miss a larger one."
            f"{comparison.bars_caption()}{comparison.left_out_caption()}"
        )
        panels = baseline_panels(comparison, "largest change of the code", (0.0, math.inf))
        title = f"Change of the code against {shorten_value(comparison.x)}"
        yield Chart(cls.figures[0], title, caption, panels, is_shared=True)


def check_radii(option: str, radii: Sequence[float], largest: float) -> None:
    """Refuse radii that are larger than any change can be.

    Args:
        option: name of the option.
        radii: chosen radii, as shares of the range.
        largest: size of the largest change; in the norm linf that of the whole range, 1.

    Raises:
        ValueError: a radius is larger.
    """
    if max(radii, default=0) > largest:
        typed = ",".join(f"{radius:g}" for radius in radii)
        share = "a radius is a share of the range of the data, such as 8/255, which is 0.0314"
        raise ValueError(f"{option}=[{typed}]: each must be at most {largest:.4g}; {share}")
