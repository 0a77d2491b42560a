"""The parts of an evaluation, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from satae.evaluation.codes import code
from satae.evaluation.defence import check_libraries, defence
from satae.evaluation.denoising import denoising
from satae.evaluation.findings import Findings, Track
from satae.evaluation.manifold import check_other, manifold
from satae.evaluation.perturbation import perturbation
from satae.evaluation.subject import Subject, Trained


def _fits(chosen: Any, trained: Trained) -> None:
    """A part that can be measured of every run."""


class Part(NamedTuple):
    """Something that is measured of a run, given its section of the configuration."""

    measure: Callable[[Subject, Any, Track], Findings]
    # raises ConfigError for a run of which it cannot be measured; called before anything is
    check: Callable[[Any, Trained], None] = _fits


PARTS: Final[dict[str, Part]] = {
    "denoising": Part(denoising),
    "code": Part(code),
    "manifold": Part(manifold, check_other),
    "perturbation": Part(perturbation),
    "defence": Part(defence, check_libraries),
}
