"""How well noise is taken away: read, and drawn against the level of each kind."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final

from satae.page.evaluations.outcomes import Outcome, Part
from satae.page.evaluations.panels import MOST_CHART_PANELS, mean_curve, over_seeds
from satae.page.evaluations.stored import Evaluation, count, number, text
from satae.plots.charts import Chart, Curve, Panel
from satae.plots.style import COLORS, DASHES, SMALL_PANEL_SIZE
from satae.sweeps.aggregate import SeedStatistics
from satae.sweeps.formatting import format_configuration, shorten_value
from satae.sweeps.series import ANY_VALUE, MOST_SERIES, Comparison, spread_evenly

WHAT: Final = "How well noise is taken away: with the noise of the training, without any where it had none."
MEASURES: Final = ("fvu", "psnr")
NOISY: Final = "noisy"
SEEN, UNSEEN = "seen", "no"
POSSIBLE: Final = {"fvu": (0.0, math.inf)}
UNITS: Final = {"psnr": "psnr, dB"}
FIGURES: Final = tuple(f"denoising_{measure}" for measure in MEASURES)
REPEATED: Final = "denoising_curves"
PICTURES: Final = {
    REPEATED: "error and similarity of the reconstruction, and of the noisy input itself, against the level of each"
    " kind of noise; a star: as in training",
    "denoising_reconstructions": "clean inputs, noisy ones of each kind, and their reconstructions",
}


def read(found: Evaluation) -> Outcome:
    """Both measures against the level of each kind of noise, and those of the noisy inputs themselves."""
    told, rows = Outcome.empty(found), [*found.rows("denoising")]
    for row in rows:
        kind = text(row["noise"])
        for measure in (*MEASURES, *(f"{NOISY} {measure}" for measure in MEASURES)):
            places = told.curves.setdefault(f"{kind}/{measure}", {})
            places[number(row["level"])] = number(row[measure])
        if told.told.get(kind) != SEEN:
            told.told[kind] = UNSEEN if row["seen"] == UNSEEN else SEEN
    for measure in MEASURES if rows else ():
        told.numbers[measure] = number(found.headline[measure])
        told.inputs[measure] = count(rows[0]["n"])
    return told


def charts(part: Part, comparison: Comparison) -> Iterator[Chart]:
    """A chart for each measure, with a panel for each kind of noise."""
    all_points = [point for point in comparison.points if point.runs]
    points = spread_evenly(all_points, MOST_SERIES - 1)
    found = [(shorten_value(format_configuration(point.values), 30), part.of(point)) for point in points]
    known = dict.fromkeys(kind for _, some in found for each in some for kind in each.told)
    for measure in MEASURES:
        kinds = [kind for kind in known if any(len(over_seeds(some, f"{kind}/{measure}")) > 1 for _, some in found)]
        if not kinds:
            continue
        left = len(all_points) - len(points)
        caption = (
            "Of reconstructions from noisy inputs, held against the clean ones;"
            f" {'less' if measure == 'fvu' else 'more'} is better. Dotted: the noisy input itself, what doing nothing"
            f" gives.{f' {left} more configurations are left out.' if left else ''}{comparison.bars_caption()}"
        )
        panels = [_noise_panel(kind, measure, found) for kind in kinds[:MOST_CHART_PANELS]]
        title, name = f"{measure} against the level of the noise", f"denoising_{measure}"
        yield Chart(name, title, caption, panels, 2, SMALL_PANEL_SIZE, legend="all panels")


def _noise_panel(kind: str, measure: str, found: Sequence[tuple[str, Sequence[Outcome]]]) -> Panel:
    """A curve for each configuration, and one for the noisy inputs if all configurations had the same."""
    curves = []
    for (label, some), color, dash in zip(found, COLORS, DASHES, strict=False):
        statistics = over_seeds(some, f"{kind}/{measure}")
        possible = POSSIBLE.get(measure, ANY_VALUE)
        curves.append(mean_curve(statistics, possible, color=color, dash=dash, marker=".", label=label))
    noisy = [over_seeds(some, f"{kind}/{NOISY} {measure}") for _, some in found]
    if _are_alike(noisy):
        curves.append(Curve([x for x, _ in noisy[0]], [y.mean for _, y in noisy[0]], "noisy input", dash=":"))
    seen = {each.told[kind] for _, some in found for each in some if kind in each.told}
    known = "seen in training" if seen == {SEEN} else "not seen" if seen == {UNSEEN} else "seen by some"
    title = f"{shorten_value(kind, 30)}: {known}"
    return Panel(curves, "level of the noise", UNITS.get(measure, measure), title)


def _are_alike(curves: Sequence[Sequence[tuple[float, SeedStatistics]]]) -> bool:
    """Whether the curves agree at the places that they share."""
    known = [{place: one.mean for place, one in curve} for curve in curves]
    first, *others = known
    return all(math.isclose(first[x], other[x], rel_tol=1e-3) for other in others for x in other if x in first)
