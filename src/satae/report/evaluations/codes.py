"""What the code of clean inputs is like: read; it is told in numbers alone."""

from __future__ import annotations

from typing import Final

from satae.report.evaluations.outcomes import Outcome
from satae.report.evaluations.stored import Evaluation, count, number

WHAT: Final = (
    "What the last encoder layer does with clean inputs: the share of its units that is saturated, the slope of"
    " the code, and the accuracy of a linear probe of it, where there are labels. (The saturated fraction of the"
    " summary is another one: of all encoder layers, on validation data with the noise of the training.)"
)
PICTURES: Final = {
    "code_pre_activations": "distribution of what goes into the activation of each encoder layer; grey: where it is"
    " flat",
    "code_slope": "distribution over the inputs of the norm of the derivative of the code",
}


def read(found: Evaluation) -> Outcome:
    """Saturation, slope and probe, as far as they were measured."""
    told, rows = Outcome.empty(found), [*found.rows("code")]
    behind = {(row["of"], row["measure"]): count(row["n"]) for row in rows}
    of_inputs = count(rows[0]["n"]) if rows else 0
    places = {"slope": ("encoder", "slope"), "probe": ("code", "linear probe")}
    for name in ("saturated", *places):
        if name in found.headline:
            told.numbers[name] = number(found.headline[name])
            told.inputs[name] = behind[places[name]] if name in places else of_inputs
    return told
