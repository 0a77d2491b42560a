"""Attacks that follow the gradient."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import torch
from torch import Tensor

from satae.robustness.ball import Ball, each
from satae.robustness.draws import Draws
from satae.robustness.objectives import Model, Objective, Slope, cross_entropy, slope, towards
from satae.robustness.unbroken import Attempt, Unbroken, kept

REACH: Final = 2.5  # how many times its radius a path of PGD can cross the ball; Madry et al. (2018)
MOMENTUM: Final = 0.75  # share of the new direction in a step of APGD
RISING: Final = 0.75  # share of the steps between two checkpoints that must raise the objective
FIRST_PERIOD, SHORTER, SHORTEST = 0.22, 0.03, 0.06  # of the checkpoints, as shares of all steps


def fgsm(
    model: Model, x: Tensor, labels: Tensor, ball: Ball, draws: Draws, *, objective: Objective = cross_entropy
) -> Attempt:
    """One step to the border of the ball: Goodfellow, Shlens & Szegedy (2015), arXiv 1412.6572. One gradient."""
    left = Unbroken(model, x, labels, draws)
    if len(left):
        gradient = slope(model, left.x, left.labels, objective).gradient
        left.catch(ball.ascend(left.x, gradient, ball.epsilon, left.x))
    return left.attempt()


def pgd(
    model: Model,
    x: Tensor,
    labels: Tensor,
    ball: Ball,
    draws: Draws,
    *,
    objective: Objective = cross_entropy,
    steps: int = 100,
    restarts: int = 1,
    judge: Model | None = None,
) -> Attempt:
    """Projected gradient ascent from random starts: Madry et al. (2018), arXiv 1706.06083.

        x <- project(x + 2.5 epsilon / steps * direction of steepest ascent)

    Every point on the way is tried, and an example is left alone once it is fooled.

    Args:
        model: whose gradient is followed.
        x: inputs (N, *shape) in the range of the data.
        labels: (N,).
        ball: what may be done to them.
        draws: of these inputs.
        objective: what is driven up.
        steps: gradients for each start.
        restarts: starts.
        judge: the model that is to be fooled, if it is another: the attack is a transfer then.
    """
    left = Unbroken(judge or model, x, labels, draws)
    size = REACH * ball.epsilon / steps
    for restart in range(restarts):
        at = ball.start(left.x, left.draws, restart)
        for _ in range(steps):
            if not len(left):
                return left.attempt()
            here = slope(model, at, left.labels, objective)
            stay = left.catch(at, None if judge else here.logits)
            at = ball.ascend(at[stay], here.gradient[stay], size, left.x)
        left.catch(at)
    return left.attempt()


class _State(NamedTuple):
    """Of APGD, for each example that is left."""

    at: Tensor  # (M, *shape)
    before: Tensor  # (M, *shape), one step back
    value: Tensor  # (M,), of the objective
    gradient: Tensor  # (M, *shape)
    best: Tensor  # (M, *shape), the point of the highest value so far
    best_value: Tensor  # (M,)
    best_gradient: Tensor  # (M, *shape)
    size: Tensor  # (M,), of the steps
    rises: Tensor  # (M,), steps since the last checkpoint that raised the objective
    size_then: Tensor  # (M,), at the last checkpoint
    best_value_then: Tensor  # (M,), likewise

    @classmethod
    def begin(cls, at: Tensor, here: Slope, size: float) -> _State:
        sizes = torch.full_like(here.value, size)
        value, gradient = here.value, here.gradient
        return cls(at, at, value, gradient, at, value, gradient, sizes, torch.zeros_like(value), sizes, value)


def apgd(
    model: Model,
    x: Tensor,
    labels: Tensor,
    ball: Ball,
    draws: Draws,
    *,
    objective: Objective | None = cross_entropy,
    steps: int = 100,
    restarts: int = 1,
) -> Attempt:
    """Auto-PGD: momentum, and steps that are halved where they stop to help: Croce & Hein (2020), arXiv 2003.01690.

        z <- project(x + size * direction);  x <- project(x + .75 (z - x) + .25 (x - x before))

    The size begins at 2 epsilon. At each checkpoint it is halved, and the path goes on from the best point, where less
    than .75 of the steps since the last one raised the objective, or neither size nor best value has changed since.

    Args:
        model: to be fooled.
        x: inputs (N, *shape) in the range of the data.
        labels: (N,).
        ball: what may be done to them.
        draws: of these inputs.
        objective: what is driven up; None for the margin over one other class in each restart, the likeliest first.
        steps: for each start; there is one gradient more.
        restarts: starts; without an objective fewer than there are classes.
    """
    left = Unbroken(model, x, labels, draws)
    periods = _periods(steps)
    for restart in range(restarts):
        if not len(left):
            break
        at = ball.start(left.x, left.draws, restart)
        here = slope(model, at, left.labels, objective or towards(left.rivals[:, restart]))
        stay = left.catch(at, here.logits)
        state = kept(_State.begin(at, here, 2 * ball.epsilon), stay)
        for step in range(1, steps + 1):
            if not len(left):
                break
            at = _moved(state, ball, left.x, MOMENTUM if step > 1 else 1.0)
            here = slope(model, at, left.labels, objective or towards(left.rivals[:, restart]))
            stay = left.catch(at, here.logits)
            state = kept(_arrived(state, at, here), stay)
            if step in periods:
                state = _checked(state, periods[step])
    return left.attempt()


def checkpoints(steps: int) -> list[int]:
    """After how many steps APGD looks at what it has reached: ceil(p_j steps), p_1 = .22, ever shorter periods."""
    shares = [0.0, FIRST_PERIOD]
    while shares[-1] < 1:
        shares.append(shares[-1] + max(shares[-1] - shares[-2] - SHORTER, SHORTEST))
    return sorted({math.ceil(round(share * steps, 9)) for share in shares[1:] if share <= 1})


def _periods(steps: int) -> dict[int, int]:
    """By checkpoint, the number of steps since the one before."""
    found = [0, *checkpoints(steps)]
    return {found[i]: found[i] - found[i - 1] for i in range(1, len(found))}


def _moved(state: _State, ball: Ball, around: Tensor, momentum: float) -> Tensor:
    ahead = ball.ascend(state.at, state.gradient, state.size, around)
    return ball.project(state.at + momentum * (ahead - state.at) + (1 - momentum) * (state.at - state.before), around)


def _arrived(state: _State, at: Tensor, here: Slope) -> _State:
    better = here.value > state.best_value
    return state._replace(
        at=at,
        before=state.at,
        value=here.value,
        gradient=here.gradient,
        rises=state.rises + (here.value > state.value),
        best=_where(better, at, state.best),
        best_value=_where(better, here.value, state.best_value),
        best_gradient=_where(better, here.gradient, state.best_gradient),
    )


def _checked(state: _State, period: int) -> _State:
    falters = state.rises < RISING * period
    rests = (state.size == state.size_then) & (state.best_value == state.best_value_then)
    halved = falters | rests
    size = torch.where(halved, state.size / 2, state.size)
    return state._replace(
        at=_where(halved, state.best, state.at),
        value=_where(halved, state.best_value, state.value),
        gradient=_where(halved, state.best_gradient, state.gradient),
        size=size,
        size_then=state.size,
        best_value_then=state.best_value,
        rises=torch.zeros_like(state.rises),
    )


def _where(chosen: Tensor, this: Tensor, that: Tensor) -> Tensor:
    return torch.where(each(chosen, this), this, that)
