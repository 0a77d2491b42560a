"""Attacks from other libraries: AutoAttack, and foolbox's search for the smallest perturbation."""

from __future__ import annotations

import logging
import math
import os
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor, nn

from satae.config.option_types import Norm
from satae.robustness.attack_losses import AttackResult
from satae.robustness.norm_ball import NormBall, expand_like, vector_norm

MODULES: Final = {"autoattack": "pyautoattack", "foolbox": "foolbox"}  # option -> module
MAX_TARGETS: Final = 9  # target classes, as in the authors' AutoAttack
MIN_CLASSES: Final = 4  # with fewer, the targeted loss of AutoAttack is not defined
MINIMUM_NORM_ATTACKS: Final[dict[Norm, str]] = {"l2": "DDNAttack", "linf": "LInfFMNAttack"}


class MinimumNormResult(NamedTuple):
    """The smallest perturbation found for each input."""

    x: Tensor  # (N, *shape), the adversarial example; the clean input if none was found
    distance: Tensor  # (N,); 0 if the input was misclassified before, inf if nothing was found

    def within(self, epsilon: float) -> AttackResult:
        """The result of an attack in a ball of that radius."""
        return AttackResult(self.x, self.distance <= epsilon)


class _UnitRangeModel(nn.Module):
    """A model for images in [0, 1], as the libraries want it."""

    def __init__(self, model: nn.Module, ball: NormBall, shape: torch.Size) -> None:
        super().__init__()
        self.model, self.ball, self.shape = model, ball, shape

    def forward(self, unit: Tensor) -> Tensor:
        return self.model(self.to_data_range(unit))  # type: ignore[no-any-return]

    def to_data_range(self, unit: Tensor) -> Tensor:
        low, high = self.ball.low, self.ball.high
        return (low + unit * (high - low)).view(-1, *self.shape)

    def to_unit_range(self, x: Tensor) -> Tensor:
        unit = (x - self.ball.low) / (self.ball.high - self.ball.low)
        return unit if x.ndim == 4 else unit.view(len(x), 1, 1, -1)


def autoattack(
    model: nn.Module, x: Tensor, labels: Tensor, ball: NormBall, *, classes: int, seed: int = 0
) -> AttackResult:
    """The standard version of AutoAttack (Croce & Hein 2020, arXiv 2003.01690), from pyautoattack.

    Its points are projected into the ball, which rounding may have left, and count only if they still fool the model.

    Raises:
        ValueError: too few classes, or pyautoattack is not installed.
    """
    library = check_autoattack(classes)
    unit_model = _UnitRangeModel(model, ball, x.shape[1:])
    with _isolated_library(seed, x.device):
        names: dict[Norm, str] = {"linf": "Linf", "l2": "L2"}
        attack = library.AutoAttack(
            unit_model, norm=names[ball.norm], eps=ball.epsilon / (ball.high - ball.low), seed=seed, device=x.device
        )
        attack.apgd_targeted.n_target_classes = attack.fab.n_target_classes = min(MAX_TARGETS, classes - 1)
        found, _ = attack.run_standard_evaluation(unit_model.to_unit_range(x), labels, batch_size=len(x))
    points = ball.around(x).project(unit_model.to_data_range(found))
    with torch.no_grad():
        return AttackResult(points, model(points).argmax(dim=1) != labels)


def check_autoattack(classes: int) -> Any:
    """The library, after a check that it is installed and can attack a model with that number of classes.

    Raises:
        ValueError: it cannot.
    """
    if classes < MIN_CLASSES:
        raise ValueError(f"AutoAttack needs at least {MIN_CLASSES} classes, but there are {classes}; leave it out")
    return import_library("pyautoattack")


def minimum_norm(
    model: nn.Module, x: Tensor, labels: Tensor, ball: NormBall, *, steps: int, seed: int = 0
) -> MinimumNormResult:
    """The smallest perturbation that fools the model, as found by an attack of foolbox.

    For L_2 this is DDN (Rony et al. 2019, arXiv 1811.09600), for L_inf FMN (Pintor et al. 2021, arXiv 2102.12827). The
    FMN of foolbox 3.3.4 for L_2 never shortens a step and finds perturbations more than twice as large as DDN's. The
    radius of the ball is not used.

    Raises:
        ValueError: foolbox is not installed.
    """
    foolbox = import_library("foolbox")
    unit_model = _UnitRangeModel(model, ball, x.shape[1:])
    with _isolated_library(seed, x.device):
        victim = foolbox.PyTorchModel(unit_model.eval(), bounds=(0, 1), device=x.device)
        start = unit_model.to_unit_range(x).clamp(0, 1)  # foolbox refuses a rounding error outside
        attack = getattr(foolbox.attacks, MINIMUM_NORM_ATTACKS[ball.norm])(steps=steps)
        _, found, _ = attack(victim, start, labels, epsilons=None)
    points = unit_model.to_data_range(found).clamp(ball.low, ball.high)
    with torch.no_grad():
        wrong, fooled = (model(inputs).argmax(dim=1) != labels for inputs in (x, points))
    distance = vector_norm(points - x, ball.norm).masked_fill(~fooled, math.inf).masked_fill(wrong, 0.0)
    unmoved = expand_like(wrong | ~fooled, x)
    return MinimumNormResult(torch.where(unmoved, x, points), distance)


def versions(names: Iterable[str]) -> list[str]:
    """Versions of installed libraries, by their option: ``pyautoattack 0.2.0``."""
    return [f"{MODULES[name]} {version(MODULES[name])}" for name in names]


def import_library(library: str) -> Any:
    """Import ``"foolbox"`` or ``"pyautoattack"``.

    Raises:
        ValueError: it is not installed.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # warnings of their own imports
            if library == "foolbox":
                os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")  # else it needs git, which no attack uses
                import foolbox

                return foolbox
            import pyautoattack

            return pyautoattack
    except ModuleNotFoundError:
        raise ValueError(f"{library} is not installed; pip install 'satae[attacks]'") from None


@contextmanager
def _isolated_library(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch's global generator for a library and restore it afterwards; silence its warnings and its log."""
    devices = [device] if device.type == "cuda" else []
    logger = logging.getLogger("auto-attack")
    was_disabled = logger.disabled
    with torch.random.fork_rng(devices), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logger.disabled = True
        torch.manual_seed(seed)
        try:
            yield
        finally:
            logger.disabled = was_disabled
