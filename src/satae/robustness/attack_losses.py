"""The losses that attacks maximize, and the batch that examples leave as soon as they are fooled.

Every attack is a function of the model to fool, in evaluation mode, inputs (N, *shape) in the range of the data, labels
(N,), the ``NormBall`` of allowed perturbations, the ``RandomStreams`` of the inputs, and options of its own.

In place of a label, an input may have a goal, a row (w, t) of (N, classes + 1): then the model is fooled where
``w @ logits > t``. The active test plants such goals.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final, NamedTuple, TypeVar

import torch
from torch import Tensor
from torch.nn import functional

from satae.robustness.norm_ball import NormBall, RandomStreams

Model = Callable[[Tensor], Tensor]  # inputs (N, *shape) in the data's range -> logits (N, classes)
AttackLoss = Callable[[Tensor, Tensor], Tensor]  # (logits (N, classes), labels (N,)) -> (N,), to be maximized
AttackState = TypeVar("AttackState", bound=tuple[Any, ...])

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


def has_no_gradient(model: Model, x: Tensor, labels: Tensor) -> Tensor:
    """Whether the gradient of the margin is all zero, or not finite somewhere, at each input: booleans (N,)."""
    gradient = loss_gradient(model, x, labels, margin).gradient.flatten(1)
    return (gradient == 0).all(dim=1) | ~gradient.isfinite().all(dim=1)


def mask_label(logits: Tensor, labels: Tensor) -> Tensor:
    """The logits, with the logit of the label replaced by minus infinity; with goals, w @ logits: (N, 1)."""
    if labels.ndim == 2:
        return (labels[:, :-1] * logits).sum(dim=1, keepdim=True)
    return logits.scatter(1, labels[:, None], -math.inf)


def label_logit(logits: Tensor, labels: Tensor) -> Tensor:
    """The logit of the label, or the threshold of the goal: (N,)."""
    if labels.ndim == 2:
        return labels[:, -1]
    return logits.gather(1, labels[:, None])[:, 0]


def is_fooled(logits: Tensor, labels: Tensor) -> Tensor:
    """Whether the prediction differs from the label, the goal is reached, or a logit is not finite: booleans (N,)."""
    fooled = margin(logits, labels) > 0 if labels.ndim == 2 else logits.argmax(dim=1) != labels
    return fooled | ~logits.isfinite().all(dim=1)


class AttackResult(NamedTuple):
    """What an attack found."""

    x: Tensor  # (N, *shape): adversarial examples; the clean input if none was found
    fooled: Tensor  # (N,) bool: the prediction differs from the label; also true if it was wrong before the attack


class ActiveBatch:
    """The examples of a batch that are not fooled yet.

    Attributes:
        balls: the balls around the inputs of the active examples (M).
        labels: their labels (M,).
        streams: their random numbers.
        other_classes: all classes but the label, likeliest first (M, classes - 1).
    """

    def __init__(self, judge: Model, x: Tensor, labels: Tensor, ball: NormBall, streams: RandomStreams) -> None:
        """Start with the examples that the model to fool classifies correctly; the others count as fooled."""
        self.judge = judge
        self.balls, self.labels, self.streams = ball.around(x.detach()), labels, streams
        self._found = self.balls.center.clone()
        self._active = torch.arange(len(x), device=x.device)
        self._fooled = torch.zeros(len(x), dtype=torch.bool, device=x.device)
        with torch.no_grad():
            logits = judge(self.balls.center)
        self.other_classes = mask_label(logits, labels).argsort(dim=1, descending=True)[:, :-1]
        self.remove_fooled(self.balls.center, logits)

    def __len__(self) -> int:
        return len(self._active)

    @torch.no_grad()
    def remove_fooled(self, points: Tensor, logits: Tensor | None = None) -> Tensor | None:
        """Record and remove the examples whose point fools the model.

        Args:
            points: one for each active example (M, *shape).
            logits: of the judge at these points, if they are known.

        Returns:
            The numbers of those that stay active, for ``select_examples``; None if all do.
        """
        answers = self.judge(points) if logits is None and len(self) else logits
        if answers is None:
            return None
        fooled = is_fooled(answers, self.labels)
        if not fooled.any():
            return None
        removed = self._active[fooled]
        self._found[removed], self._fooled[removed] = points[fooled], True
        stay = (~fooled).nonzero()[:, 0]
        self.balls, self.labels, self.streams = self.balls[stay], self.labels[stay], self.streams[stay]
        self.other_classes, self._active = self.other_classes[stay], self._active[stay]
        return stay

    def result(self) -> AttackResult:
        """Everything found so far."""
        return AttackResult(self._found, self._fooled)


def select_examples(state: AttackState, stay: Tensor | None) -> AttackState:
    """A NamedTuple of tensors (M, ...), reduced to the examples that stay."""
    return state if stay is None else type(state)(*(part[stay] for part in state))
