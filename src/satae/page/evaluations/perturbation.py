"""How far a small perturbation moves the code: read, and drawn beside the twins along the number that varies."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

from satae.page.evaluations.outcomes import Outcome, Part
from satae.page.evaluations.panels import MODELS, twin_panels
from satae.page.evaluations.stored import Evaluation, count, number, text
from satae.plots.charts import Chart
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
        if (name := text(row["model"])) in MODELS and row["epsilon"] == epsilon:
            told.numbers[name], told.inputs[name] = number(row["change share"]), count(row["n"])
    return told._replace(label=f"change of the code, {text(rows[0]['norm'])}, epsilon {epsilon:g}") if rows else told


def charts(part: Part, comparison: Comparison) -> Iterator[Chart]:
    """The change of the code, where a number varies."""
    if comparison.x is None:
        return
    caption = (
        f"The largest {part.label}, that an attack finds, in mean distances between the codes of two inputs; dashed:"
        " the twin trained with alpha=0. An attack may miss a larger one."
        f"{comparison.bars_caption()}{comparison.left_out_caption()}"
    )
    panels = twin_panels(comparison, "largest change of the code", (0.0, math.inf))
    yield Chart(CODE, f"Change of the code against {shorten_value(comparison.x)}", caption, panels, is_shared=True)
