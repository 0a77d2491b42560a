"""Flat sets: where the slope of an activation function is zero, or below a tolerance."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

Interval = tuple[float, float]
Side = Literal["below", "above"]
FlatSet = Callable[[nn.Module, float], Sequence[Interval]]

FAR = 1e30  # where an activation has reached its limit in float64, and z * z does not overflow yet
FARTHEST = 1e6  # a tail must have begun by |z| = FARTHEST; enough for softsign down to eps = 1e-12
ZOOMS = 6  # 1024^6 subdivisions: past the resolution of float64


def evaluate(act: nn.Module, z: Tensor) -> Tensor:
    """f(z), leaving ``z`` as it was and firing no hooks of ``act``."""
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
    return functools.reduce(torch.minimum, (_outside(z, *interval) for interval in intervals))


def _outside(z: Tensor, lo: float, hi: float) -> Tensor:
    """Distance to one interval; an infinite end is left out, since inf - inf is nan."""
    below, above = lo - z, z - hi
    far = below if hi == math.inf else above if lo == -math.inf else torch.maximum(below, above)
    return functional.relu(far)


def inside(z: Tensor, intervals: Sequence[Interval]) -> Tensor:
    """Which elements lie in one of some closed intervals: booleans shaped like ``z``."""
    return functools.reduce(torch.logical_or, ((z >= lo) & (z <= hi) for lo, hi in intervals))


def level(act: nn.Module, interval: Interval) -> float:
    """The value that ``act`` takes, or tends to, on an interval where it is flat."""
    ends = [end for end in interval if math.isfinite(end)]
    far = FAR if interval[1] == math.inf else -FAR
    point = sum(ends) / 2 if len(ends) == 2 else far
    return evaluate(act, torch.tensor(point, dtype=torch.float64)).item()


def tails(*sides: Side) -> FlatSet:
    """A flat set for activations that only tend to flatness: the tails where |f'(z)| <= eps.

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
    """The half-line that begins at infinity and ends where |f'| first exceeds ``eps``."""
    far = math.asinh(FARTHEST) * (-1 if side == "below" else 1)
    grid = torch.linspace(far, -far, 4097, dtype=torch.float64).sinh()  # fine near 0, coarse far out
    for _ in range(ZOOMS):
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
