"""How far the output of a function does move: what an attack finds in a ball, and the Jacobian."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import torch
from torch import Tensor

from satae.robustness.ball import Ball, each, size_of
from satae.robustness.draws import Draws

Function = Callable[[Tensor], Tensor]  # (N, *shape) -> (N, ...), each input by itself

PIECE: Final = 1 << 24  # numbers of the Jacobians that are held at once


class Moved(NamedTuple):
    """The largest change that was found: a lower bound on the largest that there is."""

    change: Tensor  # (N,), of the output, in the norm of the ball
    slope: Tensor  # (N,), the largest change of the output over that of the input: a local Lipschitz estimate
    x: Tensor  # (N, *shape), where the change is largest


def largest_change(f: Function, x: Tensor, ball: Ball, draws: Draws, *, steps: int = 50, restarts: int = 3) -> Moved:
    """Projected gradient ascent on |f(x + d) - f(x)|, from random starts: at d = 0 there is no gradient.

    Args:
        f: any differentiable function.
        x: inputs (N, *shape) in the range of the data.
        ball: the perturbations; its norm is that of the output, too.
        draws: of these inputs.
        steps: for each start.
        restarts: starts.
    """
    with torch.no_grad():
        f_x = f(x)
    found = Moved(torch.zeros(len(x)).to(f_x), torch.zeros(len(x)).to(f_x), x.clone())
    for restart in range(restarts):
        at = ball.start(x, draws, restart)
        for step in range(steps + 1):
            with torch.enable_grad():
                at = at.detach().requires_grad_()
                change = size_of(f(at) - f_x, ball.norm)
                (gradient,) = torch.autograd.grad(change.sum(), at)
            found = _best(found, at.detach(), change.detach(), ball.distance(at.detach(), x))
            if step < steps:
                size = 2 * ball.epsilon * (1 - step / steps)  # shrinking, so that the path ends where it is highest
                at = ball.ascend(at.detach(), gradient, size, x)
    return found


def _best(found: Moved, at: Tensor, change: Tensor, distance: Tensor) -> Moved:
    slope = torch.where(distance > 0, change / distance, 0)
    better = each(change > found.change, at)
    return Moved(
        torch.maximum(found.change, change), torch.maximum(found.slope, slope), torch.where(better, at, found.x)
    )


def jacobian_norm(f: Function, x: Tensor) -> Tensor:
    """The Frobenius norm of the Jacobian of f at each input, exact: (N,).

        |J|_F = sqrt(sum over outputs i and inputs j of (df_i / dx_j)^2)

    For one layer f(W x + b) it is sqrt(sum_i f'(z_i)^2 |W_i|^2); Rifai et al. (2011) use it as a penalty.

    Args:
        f: treats each input of a batch by itself.
        x: inputs (N, *shape).
    """
    with torch.enable_grad():
        at = x.detach().requires_grad_()
        outputs = f(at).flatten(1)
    count = outputs.shape[1]
    squares = torch.zeros(len(x), dtype=torch.float64, device=x.device)
    for rows in torch.eye(count, device=x.device, dtype=outputs.dtype).split(max(1, PIECE // max(1, x.numel()))):
        directions = rows[:, None].expand(-1, len(x), -1)
        (found,) = torch.autograd.grad(outputs, at, directions, retain_graph=True, is_grads_batched=True)
        squares += found.double().square().sum(dim=[0, *range(2, found.ndim)])
    return squares.sqrt().to(x.dtype)
