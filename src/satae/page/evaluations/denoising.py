"""How well noise is taken away: read, and drawn against the level of each kind."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from satae.page.evaluations import panels
from satae.page.evaluations.outcomes import Outcome, Part
from satae.page.evaluations.panels import draw_line, over_seeds
from satae.page.evaluations.stored import Evaluation, count, number, text
from satae.plots.style import COLORS, DASHES, INK, Drawing
from satae.sweeps.formatting import format_configuration, shorten_value
from satae.sweeps.groups import Spread
from satae.sweeps.series import ANY_VALUE, MOST_SERIES, Comparison, spread_evenly

if TYPE_CHECKING:
    from matplotlib.axes import Axes

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


def draw(part: Part, plan: Comparison) -> Iterator[Drawing]:
    """A figure for each measure."""
    for measure in MEASURES:
        yield from _levels(part, plan, measure)


def _levels(part: Part, plan: Comparison, measure: str) -> Iterator[Drawing]:
    """A panel for each kind of noise, with some configurations."""
    points = spread_evenly([point for line in plan.series for point in line.points if point.runs], MOST_SERIES - 1)
    found = [(shorten_value(format_configuration(point.values), 30), part.of(point)) for point in points]
    known = dict.fromkeys(kind for _, some in found for each in some for kind in each.told)
    kinds = [kind for kind in known if any(len(over_seeds(some, f"{kind}/{measure}")) > 1 for _, some in found)]
    kinds = kinds[: panels.MOST]
    if not kinds:
        return
    figure, all_axes = panels.grid(len(kinds), 2)
    for ax, kind in zip(all_axes, kinds, strict=True):
        _draw_kind(ax, kind, measure, found)
    panels.tell_all(figure)
    left = sum(bool(point.runs) for line in plan.series for point in line.points) - len(points)
    better = "less" if measure == "fvu" else "more"
    told = f"Of reconstructions from noisy inputs, held against the clean ones; {better} is better. Dotted: the noisy"
    told += " input itself, what doing nothing gives."
    told += f" {left} further configurations are left out." if left else ""
    title = f"{measure} against the level of the noise"
    yield panels.kept(figure, f"denoising_{measure}", title, told, plan, wide=True)


def _draw_kind(ax: Axes, kind: str, measure: str, found: Sequence[tuple[str, Sequence[Outcome]]]) -> None:
    """A line for each configuration, with its name and its runs; one of all for the noisy inputs where they are one."""
    for (label, some), colour, dash in zip(found, COLORS, DASHES, strict=False):
        style = {"color": colour, "ls": dash, "marker": ".", "label": label}
        draw_line(ax, over_seeds(some, f"{kind}/{measure}"), POSSIBLE.get(measure, ANY_VALUE), **style)
    noisy = [over_seeds(some, f"{kind}/{NOISY} {measure}") for _, some in found]
    if _are_alike(noisy):
        ax.plot([x for x, _ in noisy[0]], [y.mean for _, y in noisy[0]], color=INK, ls=":", label="noisy input")
    seen = {each.told[kind] for _, some in found for each in some if kind in each.told}
    told = "seen in training" if seen == {SEEN} else "not seen" if seen == {UNSEEN} else "seen by some"
    ax.set_title(f"{shorten_value(kind, 30)}: {told}", fontsize=10.5)
    ax.set(xlabel="level of the noise", ylabel=UNITS.get(measure, measure))


def _are_alike(curves: Sequence[Sequence[tuple[float, Spread]]]) -> bool:
    """Whether some curves are one, where they have the same places."""
    known = [{place: spread.mean for place, spread in curve} for curve in curves]
    first, *others = known
    return all(math.isclose(first[x], other[x], rel_tol=1e-3) for other in others for x in other if x in first)
