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

FIRST_STEP: Final = 2.0  # first step of PGD, in radii of the ball
DECAY: Final = 0.5  # fraction of the previous direction that PGD keeps in each step
MOMENTUM: Final = 0.75  # fraction of the new direction in a step of APGD
RISING_FRACTION: Final = 0.75  # fraction of the steps between two checkpoints of APGD that must raise the loss
FIRST_PERIOD, PERIOD_DECREASE, SHORTEST_PERIOD = 0.22, 0.03, 0.06  # of the checkpoints, as fractions of all steps


def fgsm(model: Model, x: Tensor, labels: Tensor, ball: NormBall, streams: RandomStreams) -> AttackResult:
    """Fast gradient sign method: one step to the border of the ball, up the cross-entropy.

    Goodfellow, Shlens & Szegedy (2015), arXiv 1412.6572.
    """
    active = ActiveBatch(model, x, labels, ball, streams)
    if len(active):
        clean = active.balls.center
        gradient = loss_gradient(model, clean, active.labels, cross_entropy).gradient
        active.remove_fooled(active.balls.ascend(clean, gradient, ball.epsilon))
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
    """Projected gradient ascent from random starts (Madry et al. 2018, arXiv 1706.06083), with momentum and decay.

        d <- d / 2 + gradient / |gradient|_1
        x <- project(x + 2 epsilon (1 - step / steps) * direction of steepest ascent along d)

    The momentum is that of Dong et al. (2018), arXiv 1710.06081, with 1/2 instead of 1. Every point of the path is
    tested; an example stops as soon as it is fooled. With a ``judge``, that is the model to fool, and the attack a
    transfer attack: it follows the gradient of ``model``.
    """
    active = ActiveBatch(judge or model, x, labels, ball, streams)
    for restart in range(restarts):
        point = active.balls.random_start(active.streams, restart)
        direction = torch.zeros_like(point)
        for step in range(steps):
            if not len(active):
                return active.result()
            here = loss_gradient(model, point, active.labels, loss)
            stay = active.remove_fooled(point, None if judge else here.logits)
            direction = _divide_by_l1_norm(here.gradient).add_(direction, alpha=DECAY)
            point, direction = select_examples(_PgdState(point, direction), stay)
            point = active.balls.ascend(point, direction, FIRST_STEP * ball.epsilon * (1 - step / steps))
        active.remove_fooled(point)
    return active.result()


class _PgdState(NamedTuple):
    """The state of PGD for each active example: (M, *shape)."""

    point: Tensor
    direction: Tensor


def _divide_by_l1_norm(gradient: Tensor) -> Tensor:
    """The gradient of each input over its L_1 norm; where that is not finite, the signs of the gradient."""
    length = torch.linalg.vector_norm(gradient.flatten(1), 1, dim=1)
    scaled = gradient / expand_like(length.clamp_min(torch.finfo(length.dtype).tiny), gradient)
    return scaled if length.isfinite().all() else _where(length.isfinite(), scaled, gradient.sign())


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
        best = point.clone(), here.value.clone(), here.gradient.clone()  # ``_record_step`` overwrites them
        sizes, rises = torch.full_like(here.value, size), torch.zeros_like(here.value)
        return cls(point, point, here.value, here.gradient, *best, sizes, rises, sizes, here.value)


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
    first_restart: int = 0,
) -> AttackResult:
    """Auto-PGD: momentum, and a step size that is halved when progress stops: Croce & Hein (2020), arXiv 2003.01690.

        z <- project(x + size * direction);  x <- project(x + .75 (z - x) + .25 (x - previous x))

    The step size starts at 2 epsilon. At each checkpoint it is halved, and the path restarts from the best point, if
    fewer than .75 of the steps since the last checkpoint raised the loss, or if neither size nor best loss changed.

    Restarts before ``first_restart`` are left out: another attack has made them.

    Without a loss, each restart maximizes the margin over one other class, the likeliest first; then there are at most
    as many restarts as other classes. One gradient more than ``steps`` is computed, at the start.
    """
    active = ActiveBatch(model, x, labels, ball, streams)
    checkpoints = [0, *apgd_checkpoints(steps)]
    periods = {end: end - start for start, end in pairwise(checkpoints)}  # checkpoint -> steps since the previous one
    for restart in range(first_restart, restarts):
        if not len(active):
            break
        point = active.balls.random_start(active.streams, restart)
        here = loss_gradient(model, point, active.labels, loss or targeted_loss(active.other_classes[:, restart]))
        stay = active.remove_fooled(point, here.logits)
        state = select_examples(_ApgdState.start(point, here, 2 * ball.epsilon), stay)
        for step in range(1, steps + 1):
            if not len(active):
                break
            point = active.balls.ascend(state.point, state.gradient, state.size)
            if step > 1:
                ahead = torch.lerp(state.point, point, MOMENTUM)
                point = active.balls.project(ahead.add_(state.point - state.previous, alpha=1 - MOMENTUM))
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
    """The state after a step; the best point, value and gradient are overwritten where the loss is higher."""
    (better,) = (here.value > state.best_value).nonzero(as_tuple=True)
    for best, now in ((state.best, point), (state.best_value, here.value), (state.best_gradient, here.gradient)):
        best.index_copy_(0, better, now[better])
    return state._replace(
        point=point,
        previous=state.point,
        value=here.value,
        gradient=here.gradient,
        rises=state.rises + (here.value > state.value),
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
        checkpoint_best_value=state.best_value.clone(),
        rises=torch.zeros_like(state.rises),
    )


def _where(chosen: Tensor, this: Tensor, that: Tensor) -> Tensor:
    return torch.where(expand_like(chosen, this), this, that)
