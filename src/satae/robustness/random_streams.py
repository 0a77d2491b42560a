"""Random numbers that belong to an example, whichever batch it is in."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

# constants of SplitMix64, as signed 64-bit numbers
GOLDEN_GAMMA: Final = 0x9E3779B97F4A7C15 - (1 << 64)  # 2^64 divided by the golden ratio
FIRST_MULTIPLIER: Final = 0xBF58476D1CE4E5B9 - (1 << 64)
SECOND_MULTIPLIER: Final = 0x94D049BB133111EB - (1 << 64)
FLOAT32_BITS: Final = 24  # bits of a float32's mantissa


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

    def uniform(self, count: int, shape: Sequence[int] = ()) -> Tensor:
        """Numbers in [0, 1): (N, *shape), float32.

        Args:
            count: number of the draw in the stream; the same count gives the same numbers.
            shape: shape drawn for each example.
        """
        streams = _mix(self.keys ^ _mix(torch.full_like(self.keys, count) * GOLDEN_GAMMA))
        elements = torch.arange(1, math.prod(shape) + 1, device=self.keys.device)
        bits = _mix(streams[:, None] + elements * GOLDEN_GAMMA)
        return (_shift_right(bits, 64 - FLOAT32_BITS).float() / 2**FLOAT32_BITS).view(-1, *shape)

    def integers(self, bound: int, count: int) -> Tensor:
        """Whole numbers from 0 to ``bound`` - 1: (N,)."""
        return (self.uniform(count).double() * bound).long()

    def signs(self, count: int, shape: Sequence[int]) -> Tensor:
        """-1 or 1 with equal probability: (N, *shape)."""
        return torch.where(self.uniform(count, shape) < 0.5, -1.0, 1.0)

    def normal(self, count: int, shape: Sequence[int]) -> Tensor:
        """Standard normal numbers (Box & Muller 1958): (N, *shape)."""
        radius, angle = self.uniform(count, (2, *shape)).unbind(1)
        return (-2 * torch.log1p(-radius)).sqrt() * (2 * math.pi * angle).cos()


def _mix(bits: Tensor) -> Tensor:
    bits = (bits ^ _shift_right(bits, 30)) * FIRST_MULTIPLIER
    bits = (bits ^ _shift_right(bits, 27)) * SECOND_MULTIPLIER
    return bits ^ _shift_right(bits, 31)


def _shift_right(bits: Tensor, by: int) -> Tensor:
    """Shift right and fill with zeros; torch's own shift fills with the sign."""
    return (bits >> by) & ((1 << (64 - by)) - 1)
