"""How far a small perturbation moves the code: read, and drawn beside the twins along the number that varies."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

from satae.page.evaluations import panels, twins
from satae.page.evaluations.outcomes import Outcome, Part
from satae.page.evaluations.stored import Evaluation, count, number, text
from satae.plots.style import Drawing
from satae.sweeps.formatting import shorten_value
from satae.sweeps.series import Comparison

WHAT: Final = (
    "The largest change of the code that an attack finds, in mean distances between the codes of two"
    " inputs, in the largest ball that was tried. An attack may miss a larger one."
)
CODE: Final = "perturbation_code"
FIGURES: Final = (CODE,)
REPEATED: Final = "perturbation_curves"
PICTURES: Final = {REPEATED: "largest change found, of the code and of the reconstruction, against epsilon"}


def read(found: Evaluation) -> Outcome:
    """The change of the code in the largest ball of the first norm."""
    told, rows = Outcome.empty(found), [row for row in found.rows("perturbation") if row["output"] == "code"]
    rows = [row for row in rows if row["norm"] == rows[0]["norm"]]
    epsilon = max((number(row["epsilon"]) for row in rows), default=math.nan)
    for row in rows:
        if (name := text(row["model"])) in twins.MODELS and row["epsilon"] == epsilon:
            told.numbers[name], told.inputs[name] = number(row["change share"]), count(row["n"])
    return told._replace(label=f"change of the code, {text(rows[0]['norm'])}, epsilon {epsilon:g}") if rows else told


def draw(part: Part, plan: Comparison) -> Iterator[Drawing]:
    """The change of the code, where a number varies."""
    if plan.x is None:
        return
    figure = twins.figure(plan, "largest change of the code", (0.0, math.inf))
    told = (
        f"The largest {part.label}, that an attack finds, in mean distances between the codes of two inputs; dashed:"
        " the twin trained with alpha=0. An attack may miss a larger one."
    )
    title = f"Change of the code against {shorten_value(plan.x)}"
    yield panels.kept(figure, CODE, title, told, plan, more=plan.left_out_caption())
