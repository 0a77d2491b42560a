"""The parts of an evaluation by name: what each measures, how it is read and how it is drawn."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final, NamedTuple

from satae.page.evaluations import codes, defence, denoising, manifold, perturbation
from satae.page.evaluations.outcomes import Outcome, Part
from satae.page.evaluations.stored import Evaluation
from satae.plots.charts import Chart
from satae.printable import clean_text
from satae.sweeps.series import Comparison


class Telling(NamedTuple):
    """How a part is told."""

    what: str  # it measures
    read: Callable[[Evaluation], Outcome]  # of a run; a KeyError where something is lacking
    pictures: Mapping[str, str]  # what each shows that satae-eval draws of a run, by the name of its file
    charts: Callable[[Part, Comparison], Iterator[Chart]] | None = None
    figures: tuple[str, ...] = ()  # names of files
    repeated: str = ""  # the picture of a run that the figures tell of all runs


TOLD: Final[Mapping[str, Telling]] = {
    "denoising": Telling(
        denoising.WHAT, denoising.read, denoising.PICTURES, denoising.charts, denoising.FIGURES, denoising.REPEATED
    ),
    "code": Telling(codes.WHAT, codes.read, codes.PICTURES),
    "manifold": Telling(manifold.WHAT, manifold.read, manifold.PICTURES, manifold.charts, manifold.FIGURES),
    "perturbation": Telling(
        perturbation.WHAT,
        perturbation.read,
        perturbation.PICTURES,
        perturbation.charts,
        perturbation.FIGURES,
        perturbation.REPEATED,
    ),
    defence.DEFENCE: Telling(
        defence.WHAT, defence.read, defence.PICTURES, defence.charts, defence.FIGURES, defence.REPEATED
    ),
}
FIGURES: Final = tuple(name for telling in TOLD.values() for name in telling.figures)  # of files


def charts(part: Part, comparison: Comparison) -> Iterator[Chart]:
    """The charts of a part.

    Args:
        part: what was found.
        comparison: of its configurations.
    """
    make = TOLD[part.name].charts
    if make and any(point.runs for point in comparison.points):
        yield from make(part, comparison)


def outcome(found: Evaluation) -> Outcome:
    """What an evaluation says.

    Raises:
        ValueError: it lacks what its part has.
    """
    try:
        return TOLD[found.part].read(found)
    except KeyError as error:
        raise ValueError(f"it lacks {clean_text(error.args[0])}") from None
