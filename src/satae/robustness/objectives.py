"""What an attack drives up, and its gradient."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

Model = Callable[[Tensor], Tensor]  # inputs (N, *shape) in the data's range -> logits (N, classes)
Objective = Callable[[Tensor, Tensor], Tensor]  # (logits (N, classes), labels (N,)) -> (N,), to be maximised

SMALL: Final = 1e-12  # keeps the ratio of dlr finite, as its authors do
LINEAR: Final = -12.0  # below it, log(log(1 + e^m)) is m to the last digit of a float32


def margin(logits: Tensor, labels: Tensor) -> Tensor:
    """max of the other logits - the logit of the label: positive where the label is not the answer.

    Carlini & Wagner (2017), arXiv 1608.04644. Its gradient does not fade as the model grows confident.
    """
    return others(logits, labels).amax(dim=1) - own(logits, labels)


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """The logarithm of the cross-entropy, which rises with it and in the same direction.

        log(log(1 + e^m)),   m = log(sum over the other classes of e^logit) - logit of the label

    Cross-entropy itself is 0 in float32 from a gap between the logits of 17, and its gradient from 104; this is not.
    """
    gap = others(logits, labels).logsumexp(dim=1) - own(logits, labels)
    exact = functional.softplus(gap.clamp_min(LINEAR)).log()
    return torch.where(gap < LINEAR, gap, exact)


def dlr(logits: Tensor, labels: Tensor) -> Tensor:
    """Difference of logits ratio: the margin over the gap between the largest logit and the third.

    Croce & Hein (2020), arXiv 2003.01690. It does not change with the scale of the logits.

    Raises:
        ValueError: fewer than three classes.
    """
    if logits.shape[1] < 3:
        raise ValueError(f"dlr needs at least 3 classes, and there are {logits.shape[1]}; use the margin")
    largest = logits.topk(3, dim=1).values
    return margin(logits, labels) / (largest[:, 0] - largest[:, 2] + SMALL)


class Slope(NamedTuple):
    """An objective at some points, and which way it rises."""

    value: Tensor  # (N,)
    gradient: Tensor  # (N, *shape), with respect to the points
    logits: Tensor  # (N, classes)


def slope(model: Model, x: Tensor, labels: Tensor, objective: Objective) -> Slope:
    """The objective of each input and its gradient."""
    with torch.enable_grad():
        at = x.detach().requires_grad_()
        logits = model(at)
        value = objective(logits, labels)
        (gradient,) = torch.autograd.grad(value.sum(), at)
    return Slope(value.detach(), gradient, logits.detach())


def has_no_gradient(model: Model, x: Tensor, labels: Tensor, objective: Objective = margin) -> Tensor:
    """Which inputs have a gradient that leads nowhere, 0 in every element or not finite in some: booleans (N,)."""
    gradient = slope(model, x, labels, objective).gradient.flatten(1)
    return (gradient == 0).all(dim=1) | ~gradient.isfinite().all(dim=1)


def others(logits: Tensor, labels: Tensor) -> Tensor:
    """The logits, with that of the label at minus infinity."""
    return logits.scatter(1, labels[:, None], -math.inf)


def towards(targets: Tensor) -> Objective:
    """The logit of a class for each input (N,) - the logit of its label."""

    def objective(logits: Tensor, labels: Tensor) -> Tensor:
        return logits.gather(1, targets[:, None])[:, 0] - own(logits, labels)

    return objective


def own(logits: Tensor, labels: Tensor) -> Tensor:
    """The logit of the label: (N,)."""
    return logits.gather(1, labels[:, None])[:, 0]
