"""Attacks of other people: AutoAttack, and attacks of foolbox that look for the smallest change."""

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

from satae.robustness.ball import Ball, Norm, each, size_of
from satae.robustness.unbroken import Attempt

MODULES: Final = {"autoattack": "pyautoattack", "foolbox": "foolbox"}
TARGETS: Final = 9  # classes that are gone after one by one, as by the authors of AutoAttack
CLASSES: Final = 4  # fewer do not give AutoAttack the ranks that its targeted loss needs
MINIMUM_NORM: Final[dict[Norm, str]] = {"l2": "DDNAttack", "linf": "LInfFMNAttack"}


class Nearest(NamedTuple):
    """The smallest change that an attack found for each input."""

    x: Tensor  # (N, *shape), where it leads; the input where nothing was found
    distance: Tensor  # (N,); 0 of what is wrong without an attack, inf where nothing was found

    def within(self, epsilon: float) -> Attempt:
        """As the outcome of an attack in a ball."""
        return Attempt(self.x, self.distance <= epsilon)


class _Unit(nn.Module):
    """A model for data in [0, 1], and for images where there were none, as the libraries want it."""

    def __init__(self, model: nn.Module, ball: Ball, shape: torch.Size) -> None:
        super().__init__()
        self.model, self.ball, self.shape = model, ball, shape

    def forward(self, unit: Tensor) -> Tensor:
        return self.model(self.restore(unit))  # type: ignore[no-any-return]

    def restore(self, unit: Tensor) -> Tensor:
        low, high = self.ball.low, self.ball.high
        return (low + unit * (high - low)).view(-1, *self.shape)

    def take(self, x: Tensor) -> Tensor:
        unit = (x - self.ball.low) / (self.ball.high - self.ball.low)
        return unit if x.ndim == 4 else unit.view(len(x), 1, 1, -1)


def autoattack(model: nn.Module, x: Tensor, labels: Tensor, ball: Ball, *, classes: int, seed: int = 0) -> Attempt:
    """The standard version of AutoAttack (Croce & Hein 2020, arXiv 2003.01690), by pyautoattack.

    What it finds is put back into the ball, from which rounding may have led it, and counts if it still fools.

    Args:
        model: in evaluation mode.
        x: inputs (N, *shape) in the range of the data.
        labels: (N,).
        ball: what may be done to them.
        classes: how many; at least four.
        seed: of its random numbers.

    Raises:
        ValueError: too few classes, or pyautoattack is not installed.
    """
    library = check_autoattack(classes)
    unit = _Unit(model, ball, x.shape[1:])
    with _left_alone(seed, x.device):
        names: dict[Norm, str] = {"linf": "Linf", "l2": "L2"}
        attack = library.AutoAttack(
            unit, norm=names[ball.norm], eps=ball.epsilon / (ball.high - ball.low), seed=seed, device=x.device
        )
        attack.apgd_targeted.n_target_classes = attack.fab.n_target_classes = min(TARGETS, classes - 1)
        found, _ = attack.run_standard_evaluation(unit.take(x), labels, batch_size=len(x))
    at = ball.project(unit.restore(found), x)
    with torch.no_grad():
        return Attempt(at, model(at).argmax(dim=1) != labels)


def check_autoattack(classes: int) -> Any:
    """The library, if it is there and can attack a model of so many classes.

    Raises:
        ValueError: it is not, or cannot.
    """
    if classes < CLASSES:
        raise ValueError(f"AutoAttack needs at least {CLASSES} classes, and there are {classes}; do without it")
    return imported("pyautoattack")


def minimum_norm(
    model: nn.Module, x: Tensor, labels: Tensor, ball: Ball, *, steps: int = 1000, seed: int = 0
) -> Nearest:
    """The smallest change that fools the model, as far as an attack of foolbox finds it.

    For L_2 that is DDN (Rony et al. 2019, arXiv 1811.09600), for L_inf FMN (Pintor et al. 2021, arXiv 2102.12827). The
    FMN of foolbox 3.3.4 for L_2 never shortens a step, and finds changes more than twice as large as DDN does.

    Args:
        model: in evaluation mode.
        x: inputs (N, *shape) in the range of the data.
        labels: (N,).
        ball: for its norm and range; its radius is not looked at.
        steps: gradients.
        seed: of its random numbers.

    Raises:
        ValueError: foolbox is not installed.
    """
    foolbox = imported("foolbox")
    unit = _Unit(model, ball, x.shape[1:])
    with _left_alone(seed, x.device):
        victim = foolbox.PyTorchModel(unit.eval(), bounds=(0, 1), device=x.device)
        start = unit.take(x).clamp(0, 1)  # a rounding error outside is refused
        _, found, _ = getattr(foolbox.attacks, MINIMUM_NORM[ball.norm])(steps=steps)(
            victim, start, labels, epsilons=None
        )
    at = unit.restore(found).clamp(ball.low, ball.high)
    with torch.no_grad():
        wrong, fooled = (model(points).argmax(dim=1) != labels for points in (x, at))
    distance = size_of(at - x, ball.norm).masked_fill(~fooled, math.inf).masked_fill(wrong, 0.0)
    unmoved = each(wrong | ~fooled, x)
    return Nearest(torch.where(unmoved, x, at), distance)


def versions(names: Iterable[str]) -> list[str]:
    """Of some libraries of ``MODULES`` that are installed: ``pyautoattack 0.2.0``."""
    return [f"{MODULES[name]} {version(MODULES[name])}" for name in names]


def imported(library: str) -> Any:
    """A library of ``MODULES`` by its module's name.

    Raises:
        ValueError: it is not installed.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what it imports itself
            if library == "foolbox":
                os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")  # it wants git itself else, which no attack uses
                import foolbox

                return foolbox
            import pyautoattack

            return pyautoattack
    except ModuleNotFoundError:
        raise ValueError(f"{library} is not installed; pip install 'satae[attacks]'") from None


@contextmanager
def _left_alone(seed: int, device: torch.device) -> Iterator[None]:
    """The libraries draw from torch's own generator, which is given back as it was, and say what the checks say."""
    devices = [device] if device.type == "cuda" else []
    logger = logging.getLogger("auto-attack")
    was = logger.disabled
    with torch.random.fork_rng(devices), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logger.disabled = True
        torch.manual_seed(seed)
        try:
            yield
        finally:
            logger.disabled = was
