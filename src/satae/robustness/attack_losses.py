"""The losses that attacks maximize, and their gradients with respect to the input."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

Model = Callable[[Tensor], Tensor]  # inputs (N, *shape) in the data's range -> logits (N, classes)
AttackLoss = Callable[[Tensor, Tensor], Tensor]  # (logits (N, classes), labels (N,)) -> (N,), to be maximized

DLR_EPSILON: Final = 1e-12  # keeps the ratio of dlr finite, as in the authors' code
LINEAR_BELOW: Final = -12.0  # below it, log(log(1 + e^m)) is m to the last digit of a float32


def margin(logits: Tensor, labels: Tensor) -> Tensor:
    """The largest other logit minus the logit of the label: positive if the prediction is wrong.

    Carlini & Wagner (2017), arXiv 1608.04644. Its gradient does not vanish when the model is confident.
    """
    return mask_label(logits, labels).amax(dim=1) - label_logit(logits, labels)


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """The logarithm of the cross-entropy, which increases with it.

        log(log(1 + e^m)),   m = log(sum over the other classes of e^logit) - logit of the label

    In float32 the cross-entropy itself is 0 from a logit gap of 17 and its gradient from 104; the logarithm is not.
    """
    gap = mask_label(logits, labels).logsumexp(dim=1) - label_logit(logits, labels)
    exact = functional.softplus(gap.clamp_min(LINEAR_BELOW)).log()
    return torch.where(gap < LINEAR_BELOW, gap, exact)


def dlr(logits: Tensor, labels: Tensor) -> Tensor:
    """Difference of logits ratio: the margin divided by the gap between the largest and the third logit.

    Croce & Hein (2020), arXiv 2003.01690. It does not depend on the scale of the logits.

    Raises:
        ValueError: fewer than three classes.
    """
    if logits.shape[1] < 3:
        raise ValueError(f"dlr needs at least 3 classes, but there are {logits.shape[1]}; use the margin")
    largest = logits.topk(3, dim=1).values
    return margin(logits, labels) / (largest[:, 0] - largest[:, 2] + DLR_EPSILON)


def targeted_loss(targets: Tensor) -> AttackLoss:
    """A loss: the logit of a target class for each input (N,), minus the logit of its label."""

    def loss(logits: Tensor, labels: Tensor) -> Tensor:
        return logits.gather(1, targets[:, None])[:, 0] - label_logit(logits, labels)

    return loss


class LossGradient(NamedTuple):
    """The loss at some points, with its gradient."""

    value: Tensor  # (N,)
    gradient: Tensor  # (N, *shape), with respect to the points
    logits: Tensor  # (N, classes)


def loss_gradient(model: Model, x: Tensor, labels: Tensor, loss: AttackLoss) -> LossGradient:
    """Compute the loss of each input and its gradient with respect to the input."""
    with torch.enable_grad():
        points = x.detach().requires_grad_()
        logits = model(points)
        value = loss(logits, labels)
        (gradient,) = torch.autograd.grad(value.sum(), points)
    return LossGradient(value.detach(), gradient, logits.detach())


def has_no_gradient(model: Model, x: Tensor, labels: Tensor, loss: AttackLoss = margin) -> Tensor:
    """Whether the gradient of each input is useless (all zero, or not finite somewhere): booleans (N,)."""
    gradient = loss_gradient(model, x, labels, loss).gradient.flatten(1)
    return (gradient == 0).all(dim=1) | ~gradient.isfinite().all(dim=1)


def mask_label(logits: Tensor, labels: Tensor) -> Tensor:
    """The logits, with the logit of the label replaced by minus infinity."""
    return logits.scatter(1, labels[:, None], -math.inf)


def label_logit(logits: Tensor, labels: Tensor) -> Tensor:
    """The logit of the label: (N,)."""
    return logits.gather(1, labels[:, None])[:, 0]
