"""The part ``code``: what the encoder does with clean inputs. The report shows it in numbers only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from satae.config.option_types import Count
from satae.config.registries import EVALUATION_PARTS
from satae.evaluation.part import EvaluationPart, Track
from satae.evaluation.report_section import BRACKETS, PartSummary
from satae.evaluation.result import StoredResult, count, interval, number

if TYPE_CHECKING:
    from satae.evaluation.result import PartResult
    from satae.evaluation.subject import Subject

Neighbors = Annotated[int, Field(ge=1, le=1000)]
Distance = Annotated[float, Field(gt=0, le=1)]


@EVALUATION_PARTS.register("code")
@dataclass(frozen=True, kw_only=True)
class Code(EvaluationPart):
    """Saturation, binarity, entropy, slope, and how much of the labels the code keeps."""

    description = (
        "What the last encoder layer does with clean inputs: the share of its units that is saturated, the slope of"
        " the code, and the accuracy of a linear probe of it, where there are labels. (The saturated fraction of the"
        " summary is another one: of all encoder layers, on validation data with the noise of the training.) In"
        f" brackets, of the slope and the probe, the {BRACKETS}."
    )
    pictures: ClassVar[Mapping[str, str]] = {
        "code_pre_activations": "distribution of what goes into the activation of each encoder layer; grey: where it"
        " is flat",
        "code_slope": "distribution over the inputs of the norm of the derivative of the code",
    }

    near: Distance
    jacobians: Count
    train: Count
    neighbours: Neighbors

    def measure(self, subject: Subject, track: Track) -> PartResult:
        """Describe each encoder layer and probe the code."""
        from satae.evaluation.parts.code_measure import measure_code

        return measure_code(subject, self, track)

    @classmethod
    def summarize(cls, stored: StoredResult) -> PartSummary:
        """Saturation, slope and probe, as far as they were measured."""
        summary, rows = PartSummary.of(stored), {(row["of"], row["measure"]): row for row in stored.rows("code")}
        inputs = next((count(row["n"]) for row in rows.values()), 0)
        estimates = {"slope": ("encoder", "slope"), "probe": ("code", "linear probe")}
        for name in ("saturated", *estimates):
            if name in stored.result.headline:
                row = rows[estimates[name]] if name in estimates else None
                value, n = number(stored.result.headline[name]), inputs if row is None else count(row["n"])
                summary.add(name, value, n, None if row is None else interval(row))
        return summary
