"""The norm ball: all perturbed inputs that an attack may choose from."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

from satae.robustness.random_streams import RandomStreams

Norm = Literal["linf", "l2"]
NORMS: tuple[Norm, ...] = get_args(Norm)


class NormBall(NamedTuple):
    """All points within ``epsilon`` of an input that also lie in the range of the data."""

    norm: Norm
    epsilon: float  # radius, in the data's own units
    low: float = 0.0  # smallest value of the data
    high: float = 1.0  # largest value of the data

    @classmethod
    def create(cls, norm: str, epsilon: float, low: float, high: float) -> NormBall:
        """Build a ball from a user's settings.

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

    def distance(self, x: Tensor, center: Tensor) -> Tensor:
        """Distance of each point from its input, in the norm of the ball: (N,)."""
        return vector_norm(x - center, self.norm)

    def project(self, x: Tensor, center: Tensor) -> Tensor:
        """A point of the ball near ``x``: for L_inf the nearest; for L_2 first into the ball, then into the range.

        The second step cannot leave the ball, since every input lies in the range.
        """
        if self.norm == "linf":
            nearest = torch.minimum(torch.maximum(x, center - self.epsilon), center + self.epsilon)
        else:
            change = x - center
            length = vector_norm(change, "l2").clamp_min(torch.finfo(x.dtype).tiny)
            nearest = center + change * expand_like((self.epsilon / length).clamp_max(1.0), change)
        return nearest.clamp(self.low, self.high)

    def random_start(self, center: Tensor, streams: RandomStreams, count: int) -> Tensor:
        """A random point, uniform over the ball before it is projected into the range.

        Args:
            center: inputs (N, *shape).
            streams: random numbers of these inputs.
            count: number of the start, from 0.
        """
        shape = center.shape[1:]
        if self.norm == "linf":
            change = (2 * streams.uniform(2 * count, shape) - 1) * self.epsilon
        else:
            radius = streams.uniform(2 * count + 1).double() ** (1 / math.prod(shape))
            direction = self.steepest_direction(streams.normal(2 * count, shape))
            change = direction * expand_like(radius.float() * self.epsilon, center)
        return self.project(center + change.to(center.dtype), center)

    def steepest_direction(self, gradient: Tensor) -> Tensor:
        """The step of size 1 along which a linear function rises fastest; 0 where the gradient is 0."""
        if self.norm == "linf":
            return gradient.sign()
        # divide by the largest element first: the squares of small gradients are 0 in float32
        largest = expand_like(vector_norm(gradient, "linf"), gradient)
        scaled = torch.where(largest > 0, gradient / largest, 0)
        return scaled / expand_like(vector_norm(scaled, "l2").clamp_min(torch.finfo(gradient.dtype).tiny), gradient)

    def ascend(self, x: Tensor, gradient: Tensor, size: float | Tensor, center: Tensor) -> Tensor:
        """One step of steepest ascent, projected into the ball; ``size`` is a number, or one for each input (N,)."""
        step = size if isinstance(size, float) else expand_like(size, gradient)
        return self.project(x + step * self.steepest_direction(gradient), center)


def vector_norm(change: Tensor, norm: Norm) -> Tensor:
    """The norm of each element of a batch: (N, ...) to (N,)."""
    flat = change.flatten(1)
    return flat.abs().amax(dim=1) if norm == "linf" else torch.linalg.vector_norm(flat, dim=1)


def expand_like(numbers: Tensor, like: Tensor) -> Tensor:
    """Reshape (N,) so that it broadcasts over (N, ...)."""
    return numbers.view(-1, *[1] * (like.ndim - 1))
