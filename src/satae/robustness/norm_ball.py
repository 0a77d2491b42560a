"""The norm ball that an attack searches, and the random numbers with which it does: the same in every batch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, get_args

import torch
from torch import Tensor

from satae.config.option_types import Norm

NORMS: tuple[Norm, ...] = get_args(Norm)

# constants of SplitMix64, as signed 64-bit numbers
GOLDEN_GAMMA: Final = 0x9E3779B97F4A7C15 - (1 << 64)  # 2^64 divided by the golden ratio
FIRST_MULTIPLIER: Final = 0xBF58476D1CE4E5B9 - (1 << 64)
SECOND_MULTIPLIER: Final = 0x94D049BB133111EB - (1 << 64)
FLOAT32_BITS: Final = 24  # bits of a float32's mantissa


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
        return cls(norm, float(epsilon), float(low), float(high))

    def distance(self, x: Tensor, center: Tensor) -> Tensor:
        """Distance of each point from its input, in the norm of the ball: (N,)."""
        return vector_norm(x - center, self.norm)

    def around(self, center: Tensor) -> Balls:
        """The balls around inputs (N, *shape), which must lie in the range."""
        if self.norm == "l2":
            return Balls(self, center, self.low, self.high)
        low, high = (center - self.epsilon).clamp_(min=self.low), (center + self.epsilon).clamp_(max=self.high)
        return Balls(self, center, low, high)

    def steepest_direction(self, gradient: Tensor) -> Tensor:
        """The step of size 1 along which a linear function rises fastest; 0 where the gradient is 0."""
        if self.norm == "linf":
            return gradient.sign()
        # divide by the largest element first: the squares of small gradients are 0 in float32
        largest = expand_like(vector_norm(gradient, "linf"), gradient)
        scaled = torch.where(largest > 0, gradient / largest, 0)
        return scaled / expand_like(vector_norm(scaled, "l2").clamp_min(torch.finfo(gradient.dtype).tiny), gradient)


@dataclass(frozen=True)
class Balls:
    """The norm ball around each input of a batch.

    Attributes:
        ball: norm, radius and range.
        center: the inputs (N, *shape).
        low: smallest allowed values: for L_inf (N, *shape), for L_2 that of the range.
        high: largest allowed values.
    """

    ball: NormBall
    center: Tensor
    low: Tensor | float
    high: Tensor | float

    def __getitem__(self, rows: Tensor) -> Balls:
        """The balls around the inputs with these numbers."""
        low, high = (part[rows] if isinstance(part, Tensor) else part for part in (self.low, self.high))
        return Balls(self.ball, self.center[rows], low, high)

    def project(self, x: Tensor) -> Tensor:
        """A point of the ball near ``x``: for L_inf the nearest; for L_2 first into the ball, then into the range.

        The second step cannot leave the ball, since every input lies in the range.
        """
        if self.ball.norm == "l2":
            change = x - self.center
            length = vector_norm(change, "l2").clamp_min_(torch.finfo(x.dtype).tiny)
            x = torch.addcmul(self.center, change, expand_like((self.ball.epsilon / length).clamp_max_(1.0), change))
        return x.clamp(self.low, self.high)  # type: ignore[arg-type]  # both are tensors, or both numbers

    def random_start(self, streams: RandomStreams, count: int) -> Tensor:
        """A random point, uniform over the ball before it is projected into the range.

        Args:
            streams: random numbers of the inputs.
            count: number of the start, from 0.
        """
        shape, epsilon = self.center.shape[1:], self.ball.epsilon
        if self.ball.norm == "linf":
            change = streams.uniform(2 * count, shape).mul_(2).sub_(1).mul_(epsilon)
        else:
            radius = streams.uniform(2 * count + 1).double() ** (1 / math.prod(shape))
            direction = self.ball.steepest_direction(streams.normal(2 * count, shape))
            change = direction * expand_like(radius.float() * epsilon, direction)
        return self.project(self.center + change.to(self.center.dtype))

    def ascend(self, x: Tensor, gradient: Tensor, size: float | Tensor) -> Tensor:
        """One step of steepest ascent, projected into the ball; ``size`` is a number, or one for each input (N,)."""
        direction = self.ball.steepest_direction(gradient)
        if isinstance(size, float):
            return self.project(torch.add(x, direction, alpha=size))
        return self.project(torch.addcmul(x, direction, expand_like(size, direction)))


def vector_norm(change: Tensor, norm: Norm) -> Tensor:
    """The norm of each element of a batch: (N, ...) to (N,)."""
    flat = change.flatten(1)
    return flat.abs().amax(dim=1) if norm == "linf" else torch.linalg.vector_norm(flat, dim=1)


def expand_like(numbers: Tensor, like: Tensor) -> Tensor:
    """Reshape (N,) so that it broadcasts over (N, ...)."""
    return numbers.view(-1, *[1] * (like.ndim - 1))


@dataclass(frozen=True)
class RandomStreams:
    """One stream of random numbers for each example: a function of the seed, the example and a counter.

    Counter-based, as in Salmon et al. (2011), Parallel random numbers: as easy as 1, 2, 3; the mixing function is
    SplitMix64 (Steele, Lea & Flood 2014). The numbers are the same on every device and in every batch.
    """

    keys: Tensor  # (N,), int64

    @classmethod
    def for_examples(cls, seed: int, examples: Tensor) -> RandomStreams:
        """Create the streams of some examples.

        Args:
            seed: seed of the whole evaluation.
            examples: (N,), the index of each example in its data set, on the device of the inputs.
        """
        start = _mix(torch.tensor(seed, dtype=torch.int64, device=examples.device) + GOLDEN_GAMMA)
        return cls(_mix(start + (examples.long() + 1) * GOLDEN_GAMMA))

    def __getitem__(self, chosen: Tensor) -> RandomStreams:
        """The streams of a subset of the examples."""
        return RandomStreams(self.keys[chosen])

    def uniform(self, count: int | Tensor, shape: Sequence[int] = ()) -> Tensor:
        """Numbers in [0, 1): (N, *shape), float32.

        Args:
            count: number of the draw in the stream; the same count gives the same numbers. Several counts (K,) give
                the numbers of as many draws: (N, K, *shape).
            shape: shape drawn for each example.
        """
        bits = _shift_right(self._bits(count, math.prod(shape)), 64 - FLOAT32_BITS)
        return bits.float().mul_(2.0**-FLOAT32_BITS).view(*bits.shape[:-1], *shape)

    def coarse(self, count: int, shape: Sequence[int]) -> Tensor:
        """Numbers in (-1, 1), never 0, of 16 bits each: (N, *shape), float32; four times as quick as ``uniform``."""
        size = math.prod(shape)
        numbers = self._bits(count, -(-size // 4)).view(torch.int16)[:, :size]
        return numbers.float().add_(0.5).mul_(2.0**-15).view(-1, *shape)

    def _bits(self, count: int | Tensor, size: int) -> Tensor:
        """Random 64-bit numbers (N, size), or for counts (K,): (N, K, size)."""
        counts = torch.as_tensor(count, device=self.keys.device) * GOLDEN_GAMMA
        keys = expand_like(self.keys, counts[None]) ^ _mix(counts)
        elements = torch.arange(1, size + 1, device=keys.device).mul_(GOLDEN_GAMMA)
        return _mix(_mix(keys)[..., None] + elements)

    def signs(self, count: int, shape: Sequence[int]) -> Tensor:
        """-1 or 1 with equal probability: (N, *shape)."""
        return torch.where(self.uniform(count, shape) < 0.5, -1.0, 1.0)

    def normal(self, count: int, shape: Sequence[int]) -> Tensor:
        """Standard normal numbers (Box & Muller 1958): (N, *shape)."""
        radius, angle = self.uniform(count, (2, *shape)).unbind(1)
        return (-2 * torch.log1p(-radius)).sqrt() * (2 * math.pi * angle).cos()


def _mix(bits: Tensor) -> Tensor:
    """The mixing function of SplitMix64; it overwrites ``bits``."""
    bits.bitwise_xor_(_shift_right(bits, 30)).mul_(FIRST_MULTIPLIER)
    bits.bitwise_xor_(_shift_right(bits, 27)).mul_(SECOND_MULTIPLIER)
    return bits.bitwise_xor_(_shift_right(bits, 31))


def _shift_right(bits: Tensor, by: int) -> Tensor:
    """Shift right and fill with zeros; torch's own shift fills with the sign."""
    return (bits >> by).bitwise_and_((1 << (64 - by)) - 1)
