"""The perturbations that an attacker may choose from."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

from satae.robustness.draws import Draws

Norm = Literal["linf", "l2"]
NORMS: tuple[Norm, ...] = get_args(Norm)


class Ball(NamedTuple):
    """All points at most ``epsilon`` from an input, in the range of the data."""

    norm: Norm
    epsilon: float  # in the data's own units
    low: float = 0.0  # the smallest value of the data
    high: float = 1.0  # the largest

    @classmethod
    def checked(cls, norm: str, epsilon: float, low: float, high: float) -> Ball:
        """A ball of what a user gave.

        Raises:
            ValueError: unknown norm, a radius that is negative or not finite, an empty range.
        """
        if norm not in NORMS:
            raise ValueError(f"norm={norm}: choose one of {', '.join(NORMS)}")
        if not (math.isfinite(epsilon) and epsilon >= 0):
            raise ValueError(f"epsilon={epsilon:g}: must be a finite number, 0 or more")
        if not low < high:
            raise ValueError(f"range {low:g} to {high:g}: the smallest value of the data must be below the largest")
        return cls(norm, epsilon, low, high)

    def distance(self, x: Tensor, around: Tensor) -> Tensor:
        """How far each point is from its input, in the norm of the ball: (N,)."""
        return size_of(x - around, self.norm)

    def project(self, x: Tensor, around: Tensor) -> Tensor:
        """A point of the ball near ``x``; for L_inf the nearest, for L_2 first into the ball and then into the range.

        The second step leads no point out of the ball, since every input is in the range.
        """
        if self.norm == "linf":
            nearest = torch.minimum(torch.maximum(x, around - self.epsilon), around + self.epsilon)
        else:
            change = x - around
            length = size_of(change, "l2").clamp_min(torch.finfo(x.dtype).tiny)
            nearest = around + change * each((self.epsilon / length).clamp_max(1.0), change)
        return nearest.clamp(self.low, self.high)

    def start(self, around: Tensor, draws: Draws, count: int) -> Tensor:
        """A random point, even over the ball before it is put into the range.

        Args:
            around: inputs (N, *shape).
            draws: of these inputs.
            count: which start it is, from 0.
        """
        shape = around.shape[1:]
        if self.norm == "linf":
            change = (2 * draws.uniform(2 * count, shape) - 1) * self.epsilon
        else:
            radius = draws.uniform(2 * count + 1).double() ** (1 / math.prod(shape))
            change = self.direction(draws.normal(2 * count, shape)) * each(radius.float() * self.epsilon, around)
        return self.project(around + change.to(around.dtype), around)

    def direction(self, gradient: Tensor) -> Tensor:
        """The step of size 1 along which a linear function rises fastest; 0 where the gradient is 0."""
        if self.norm == "linf":
            return gradient.sign()
        largest = each(size_of(gradient, "linf"), gradient)  # the squares of small gradients are 0 in float32
        scaled = torch.where(largest > 0, gradient / largest, 0)
        return scaled / each(size_of(scaled, "l2").clamp_min(torch.finfo(gradient.dtype).tiny), gradient)

    def ascend(self, x: Tensor, gradient: Tensor, size: float | Tensor, around: Tensor) -> Tensor:
        """One step of steepest ascent, put back into the ball; ``size`` may differ by input: (N,)."""
        step = size if isinstance(size, float) else each(size, gradient)
        return self.project(x + step * self.direction(gradient), around)


def size_of(change: Tensor, norm: Norm) -> Tensor:
    """The norm of each element of a batch: (N, ...) to (N,)."""
    flat = change.flatten(1)
    return flat.abs().amax(dim=1) if norm == "linf" else torch.linalg.vector_norm(flat, dim=1)


def each(numbers: Tensor, like: Tensor) -> Tensor:
    """(N,) shaped to be broadcast over (N, ...)."""
    return numbers.view(-1, *[1] * (like.ndim - 1))
