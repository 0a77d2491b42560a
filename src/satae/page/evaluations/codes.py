"""What the code of clean inputs is like: read; it is told in numbers alone."""

from __future__ import annotations

from typing import Final

from satae.page.evaluations.outcomes import BRACKETS, Outcome
from satae.page.evaluations.stored import Evaluation, count, interval, number

WHAT: Final = (
    "What the last encoder layer does with clean inputs: the share of its units that is saturated, the slope of"
    " the code, and the accuracy of a linear probe of it, where there are labels. (The saturated fraction of the"
    " summary is another one: of all encoder layers, on validation data with the noise of the training.) In brackets,"
    f" of the slope and the probe, the {BRACKETS}."
)
PICTURES: Final = {
    "code_pre_activations": "distribution of what goes into the activation of each encoder layer; grey: where it is"
    " flat",
    "code_slope": "distribution over the inputs of the norm of the derivative of the code",
}


def read(found: Evaluation) -> Outcome:
    """Saturation, slope and probe, as far as they were measured."""
    told, rows = Outcome.empty(found), {(row["of"], row["measure"]): row for row in found.rows("code")}
    of_inputs = next((count(row["n"]) for row in rows.values()), 0)
    estimates = {"slope": ("encoder", "slope"), "probe": ("code", "linear probe")}
    for name in ("saturated", *estimates):
        if name not in found.headline:
            continue
        told.numbers[name], told.inputs[name] = number(found.headline[name]), of_inputs
        if name in estimates:
            row = rows[estimates[name]]
            told.inputs[name], told.intervals[name] = count(row["n"]), interval(row)
    return told
