"""White-box attacks that follow the gradient: FGSM, PGD and APGD."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Final, NamedTuple

import torch
from torch import Tensor

from satae.robustness.attack_losses import (
    ActiveBatch,
    AttackLoss,
    AttackResult,
    LossGradient,
    Model,
    cross_entropy,
    loss_gradient,
    select_examples,
    targeted_loss,
)
from satae.robustness.norm_ball import NormBall, RandomStreams, expand_like

PGD_REACH: Final = 2.5  # path length of PGD, in radii of the ball; Madry et al. (2018)
MOMENTUM: Final = 0.75  # fraction of the new direction in a step of APGD
RISING_FRACTION: Final = 0.75  # fraction of the steps between two checkpoints of APGD that must raise the loss
FIRST_PERIOD, PERIOD_DECREASE, SHORTEST_PERIOD = 0.22, 0.03, 0.06  # of the checkpoints, as fractions of all steps


def fgsm(model: Model, x: Tensor, labels: Tensor, ball: NormBall, streams: RandomStreams) -> AttackResult:
    """Fast gradient sign method: one step to the border of the ball, up the cross-entropy.

    Goodfellow, Shlens & Szegedy (2015), arXiv 1412.6572.
    """
    active = ActiveBatch(model, x, labels, streams)
    if len(active):
        gradient = loss_gradient(model, active.x, active.labels, cross_entropy).gradient
        active.remove_fooled(ball.ascend(active.x, gradient, ball.epsilon, active.x))
    return active.result()


def pgd(
    model: Model,
    x: Tensor,
    labels: Tensor,
    ball: NormBall,
    streams: RandomStreams,
    *,
    loss: AttackLoss = cross_entropy,
    steps: int,
    restarts: int,
    judge: Model | None = None,
) -> AttackResult:
    """Projected gradient ascent from random starts: Madry et al. (2018), arXiv 1706.06083.

        x <- project(x + 2.5 epsilon / steps * direction of steepest ascent)

    Every point of the path is tested; an example stops as soon as it is fooled. With a ``judge``, that is the model to
    fool, and the attack a transfer attack: it follows the gradient of ``model``.
    """
    active = ActiveBatch(judge or model, x, labels, streams)
    size = PGD_REACH * ball.epsilon / steps
    for restart in range(restarts):
        point = ball.random_start(active.x, active.streams, restart)
        for _ in range(steps):
            if not len(active):
                return active.result()
            here = loss_gradient(model, point, active.labels, loss)
            stay = active.remove_fooled(point, None if judge else here.logits)
            point = ball.ascend(point[stay], here.gradient[stay], size, active.x)
        active.remove_fooled(point)
    return active.result()


class _ApgdState(NamedTuple):
    """The state of APGD for each active example: (M,) or (M, *shape)."""

    point: Tensor
    previous: Tensor  # the point one step earlier
    value: Tensor  # loss at the point
    gradient: Tensor
    best: Tensor  # the point with the highest loss so far
    best_value: Tensor
    best_gradient: Tensor
    size: Tensor  # of the steps
    rises: Tensor  # steps since the last checkpoint that raised the loss
    checkpoint_size: Tensor  # step size at the last checkpoint
    checkpoint_best_value: Tensor  # best value at the last checkpoint

    @classmethod
    def start(cls, point: Tensor, here: LossGradient, size: float) -> _ApgdState:
        value, gradient, sizes = here.value, here.gradient, torch.full_like(here.value, size)
        return cls(point, point, value, gradient, point, value, gradient, sizes, torch.zeros_like(value), sizes, value)


def apgd(
    model: Model,
    x: Tensor,
    labels: Tensor,
    ball: NormBall,
    streams: RandomStreams,
    *,
    loss: AttackLoss | None = cross_entropy,
    steps: int,
    restarts: int,
) -> AttackResult:
    """Auto-PGD: momentum, and a step size that is halved when progress stops: Croce & Hein (2020), arXiv 2003.01690.

        z <- project(x + size * direction);  x <- project(x + .75 (z - x) + .25 (x - previous x))

    The step size starts at 2 epsilon. At each checkpoint it is halved, and the path restarts from the best point, if
    fewer than .75 of the steps since the last checkpoint raised the loss, or if neither size nor best loss changed.

    Without a loss, each restart maximizes the margin over one other class, the likeliest first; then there are at most
    as many restarts as other classes. One gradient more than ``steps`` is computed, at the start.
    """
    active = ActiveBatch(model, x, labels, streams)
    checkpoints = [0, *apgd_checkpoints(steps)]
    periods = {end: end - start for start, end in pairwise(checkpoints)}  # checkpoint -> steps since the previous one
    for restart in range(restarts):
        if not len(active):
            break
        point = ball.random_start(active.x, active.streams, restart)
        here = loss_gradient(model, point, active.labels, loss or targeted_loss(active.other_classes[:, restart]))
        stay = active.remove_fooled(point, here.logits)
        state = select_examples(_ApgdState.start(point, here, 2 * ball.epsilon), stay)
        for step in range(1, steps + 1):
            if not len(active):
                break
            momentum = MOMENTUM if step > 1 else 1.0
            ahead = ball.ascend(state.point, state.gradient, state.size, active.x)
            inertia = (1 - momentum) * (state.point - state.previous)
            point = ball.project(state.point + momentum * (ahead - state.point) + inertia, active.x)
            here = loss_gradient(model, point, active.labels, loss or targeted_loss(active.other_classes[:, restart]))
            stay = active.remove_fooled(point, here.logits)
            state = select_examples(_record_step(state, point, here), stay)
            if step in periods:
                state = _halve_where_stuck(state, periods[step])
    return active.result()


def apgd_checkpoints(steps: int) -> list[int]:
    """The steps after which APGD may halve its step size: ceil(p_j steps), p_1 = .22, with ever shorter periods."""
    fractions = [0.0, FIRST_PERIOD]
    while fractions[-1] < 1:
        fractions.append(fractions[-1] + max(fractions[-1] - fractions[-2] - PERIOD_DECREASE, SHORTEST_PERIOD))
    return sorted({math.ceil(round(fraction * steps, 9)) for fraction in fractions[1:] if fraction <= 1})


def _record_step(state: _ApgdState, point: Tensor, here: LossGradient) -> _ApgdState:
    better = here.value > state.best_value
    return state._replace(
        point=point,
        previous=state.point,
        value=here.value,
        gradient=here.gradient,
        rises=state.rises + (here.value > state.value),
        best=_where(better, point, state.best),
        best_value=_where(better, here.value, state.best_value),
        best_gradient=_where(better, here.gradient, state.best_gradient),
    )


def _halve_where_stuck(state: _ApgdState, period: int) -> _ApgdState:
    too_few_rises = state.rises < RISING_FRACTION * period
    unchanged = (state.size == state.checkpoint_size) & (state.best_value == state.checkpoint_best_value)
    stuck = too_few_rises | unchanged
    return state._replace(
        point=_where(stuck, state.best, state.point),
        value=_where(stuck, state.best_value, state.value),
        gradient=_where(stuck, state.best_gradient, state.gradient),
        size=torch.where(stuck, state.size / 2, state.size),
        checkpoint_size=state.size,
        checkpoint_best_value=state.best_value,
        rises=torch.zeros_like(state.rises),
    )


def _where(chosen: Tensor, this: Tensor, that: Tensor) -> Tensor:
    return torch.where(expand_like(chosen, this), this, that)
