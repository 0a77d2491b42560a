"""Flat sets: where the slope of an activation function is zero, or below a tolerance."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

Interval = tuple[float, float]
Side = Literal["below", "above"]
FlatSet = Callable[[Any, float], Sequence[Interval]]  # (activation, eps) -> intervals

AT_INFINITY = 1e30  # an activation has reached its limit here in float64, and z * z does not overflow yet
FARTHEST_TAIL = 1e6  # a tail must start within |z| <= FARTHEST_TAIL; enough for softsign down to eps = 1e-12
SUBDIVISIONS = 6  # of 1024 points each: beyond the resolution of float64


def evaluate(act: nn.Module, z: Tensor) -> Tensor:
    """f(z); ``z`` is not changed, and no hooks of ``act`` run."""
    value: Tensor = act.forward(z.clone() if getattr(act, "inplace", False) else z)
    return value


def slope(act: nn.Module, z: Tensor) -> Tensor:
    """f'(z), element by element, by forward-mode differentiation.

    Args:
        act: an elementwise activation.
        z: pre-activations, any shape.

    Returns:
        f'(z), shaped like ``z`` and itself differentiable with respect to it.
    """
    derivative: Tensor = torch.func.jvp(functools.partial(evaluate, act), (z,), (torch.ones_like(z),))[1]
    return derivative


def distance(z: Tensor, intervals: Sequence[Interval]) -> Tensor:
    """Distance from each element to the nearest of some closed intervals.

        d(z) = min_k max(lo_k - z, z - hi_k, 0)

    Its subgradient is 0 at the borders and where two intervals are equally near.

    Args:
        z: any shape.
        intervals: pairs (lo, hi); either end may be infinite.

    Returns:
        Distances, shaped like ``z``.
    """

    def to_interval(lo: float, hi: float) -> Tensor:
        below, above = lo - z, z - hi  # an infinite end is left out, since inf - inf is nan
        return functional.relu(below if hi == math.inf else above if lo == -math.inf else torch.maximum(below, above))

    return functools.reduce(torch.minimum, (to_interval(*interval) for interval in intervals))


def inside(z: Tensor, intervals: Sequence[Interval]) -> Tensor:
    """Whether each element lies in one of some closed intervals: booleans shaped like ``z``."""
    return functools.reduce(torch.logical_or, ((z >= lo) & (z <= hi) for lo, hi in intervals))


def level(act: nn.Module, interval: Interval) -> float:
    """The value that ``act`` takes, or tends to, on an interval where it is flat."""
    ends = [end for end in interval if math.isfinite(end)]
    far = AT_INFINITY if interval[1] == math.inf else -AT_INFINITY
    point = sum(ends) / 2 if len(ends) == 2 else far
    return evaluate(act, torch.tensor(point, dtype=torch.float64)).item()


def tails(*sides: Side) -> FlatSet:
    """The flat set of an activation that only tends to flatness: the tails where |f'(z)| <= eps.

    Args:
        sides: ``"below"`` for the tail towards -inf, ``"above"`` for the one towards +inf.

    Returns:
        A function (activation, eps) -> intervals.
    """

    def flat_set(act: nn.Module, eps: float) -> list[Interval]:
        return [_tail(act, eps, side) for side in sides]

    return flat_set


@torch.no_grad()
def _tail(act: nn.Module, eps: float, side: Side) -> Interval:
    """The half-line from infinity to the place where |f'| first exceeds ``eps``."""
    far = math.asinh(FARTHEST_TAIL) * (-1 if side == "below" else 1)
    grid = torch.linspace(far, -far, 4097, dtype=torch.float64).sinh()  # fine near 0, coarse far out
    for _ in range(SUBDIVISIONS):
        steep = slope(act, grid).abs() > eps
        if not steep.any() or steep[0]:
            raise ValueError(
                f"eps={eps:g}: {type(act).__name__} has no tail {side} where |slope| <= eps and which ends"
                f" (its largest slope is {slope(act, grid).abs().max().item():.3g}); try eps=0.05"
            )
        first = int(steep.nonzero()[0])
        grid = torch.linspace(grid[first - 1].item(), grid[first].item(), 1025, dtype=torch.float64)
    border = grid[0].item()
    return (-math.inf, border) if side == "below" else (border, math.inf)
