"""How far the output of a function moves under small perturbations: the largest change found, and the Jacobian."""

from __future__ import annotations

from collections.abc import Callable
from math import nan
from typing import Final, NamedTuple

import torch
from torch import Tensor

from satae.robustness.norm_ball import NormBall, RandomStreams, expand_like, vector_norm

Function = Callable[[Tensor], Tensor]  # (N, *shape) -> (N, ...), each input by itself

JACOBIAN_NUMBERS: Final = 1 << 24  # elements of Jacobians in memory at once


class LargestChange(NamedTuple):
    """The largest change that was found: a lower bound on the true one.

    Both numbers are nan for an input where the search met an output, a change or a gradient that is not finite.
    """

    change: Tensor  # (N,), of the output, in the norm of the ball
    slope: Tensor  # (N,), largest ratio of output change to input change: a local Lipschitz estimate
    x: Tensor  # (N, *shape), the perturbed input with the largest change


def largest_change(
    f: Function, x: Tensor, ball: NormBall, streams: RandomStreams, *, steps: int, restarts: int
) -> LargestChange:
    """Search for the largest |f(x + d) - f(x)| by projected gradient ascent from random starts.

    The starts are random because the gradient is zero at d = 0.

    Args:
        f: any differentiable function.
        x: inputs (N, *shape) in the range of the data.
        ball: the perturbations; its norm also measures the output.
        streams: random numbers of these inputs.
        steps: steps from each start.
        restarts: number of starts.
    """
    with torch.no_grad():
        f_x = f(x)
    lost = ~f_x.flatten(1).isfinite().all(dim=1)
    balls = ball.around(x)
    found = LargestChange(torch.zeros(len(x)).to(f_x), torch.zeros(len(x)).to(f_x), x.clone())
    for restart in range(restarts):
        point = balls.random_start(streams, restart)
        for step in range(steps + 1):
            with torch.enable_grad():
                point.requires_grad_()
                change = vector_norm(f(point) - f_x, ball.norm)
                (gradient,) = torch.autograd.grad(change.sum(), point)
            point, change = point.detach(), change.detach()
            lost |= ~(change.isfinite() & gradient.flatten(1).isfinite().all(dim=1))
            distance = ball.distance(point, x)
            found = LargestChange(
                torch.maximum(found.change, change),
                torch.maximum(found.slope, torch.where(distance > 0, change / distance, 0)),
                torch.where(expand_like(change > found.change, point), point, found.x),
            )
            if step < steps:
                size = 2 * ball.epsilon * (1 - step / steps)  # smaller and smaller, so that the path settles at a peak
                point = balls.ascend(point, gradient, size)
    return found._replace(change=found.change.masked_fill(lost, nan), slope=found.slope.masked_fill(lost, nan))


def jacobian_norm(f: Function, x: Tensor) -> Tensor:
    """The exact Frobenius norm of the Jacobian of f at each input: (N,).

        |J|_F = sqrt(sum over outputs i and inputs j of (df_i / dx_j)^2)

    For one layer f(W x + b) it is sqrt(sum_i f'(z_i)^2 |W_i|^2); Rifai et al. (2011) use it as a penalty.

    Args:
        f: treats each input of a batch by itself.
        x: inputs (N, *shape).
    """
    with torch.enable_grad():
        points = x.detach().requires_grad_()
        outputs = f(points).flatten(1)
    count = outputs.shape[1]
    squares = torch.zeros(len(x), dtype=torch.float64, device=x.device)
    rows_at_once = max(1, JACOBIAN_NUMBERS // max(1, x.numel()))
    for rows in torch.eye(count, device=x.device, dtype=outputs.dtype).split(rows_at_once):
        directions = rows[:, None].expand(-1, len(x), -1)
        (gradients,) = torch.autograd.grad(outputs, points, directions, retain_graph=True, is_grads_batched=True)
        squares += gradients.double().square().sum(dim=[0, *range(2, gradients.ndim)])
    return squares.sqrt().to(x.dtype)
