"""The parts of an evaluation, by name."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from satae.config import ConfigError
from satae.config.evaluation import Defence, Perturbation, beyond
from satae.evaluation.codes import code
from satae.evaluation.defence import check_libraries, defence
from satae.evaluation.denoising import denoising
from satae.evaluation.findings import Findings, Track
from satae.evaluation.manifold import check_other, manifold
from satae.evaluation.perturbation import perturbation
from satae.evaluation.subject import Subject, Trained


def _fits(chosen: Any, trained: Trained) -> None:
    """A part that can be measured of every run."""


def _check_perturbation(chosen: Perturbation, trained: Trained) -> None:
    _check_radii("perturbation.l2", chosen.l2, trained)


def _check_defence(chosen: Defence, trained: Trained) -> None:
    if chosen.norm == "l2":
        _check_radii("defence.epsilons", chosen.epsilons, trained)
    check_libraries(chosen)


def _check_radii(name: str, radii: Sequence[float], trained: Trained) -> None:
    """Refuse radii of l2 beyond the change of every element by the whole range.

    Raises:
        ConfigError: there is one.
    """
    if line := beyond(name, radii, math.sqrt(math.prod(trained.shape))):
        raise ConfigError(line)


class Part(NamedTuple):
    """Something that is measured of a run, given its section of the configuration."""

    measure: Callable[[Subject, Any, Track], Findings]
    # raises ConfigError for a run of which it cannot be measured; called before anything is
    check: Callable[[Any, Trained], None] = _fits


PARTS: Final[dict[str, Part]] = {
    "denoising": Part(denoising),
    "code": Part(code),
    "manifold": Part(manifold, check_other),
    "perturbation": Part(perturbation, _check_perturbation),
    "defence": Part(defence, _check_defence),
}
