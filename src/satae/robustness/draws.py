"""Random numbers that belong to an example, whatever the batch it is in."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

GOLDEN: Final = 0x9E3779B97F4A7C15 - (1 << 64)  # 2^64 over the golden ratio, as a signed number
FIRST, SECOND = 0xBF58476D1CE4E5B9 - (1 << 64), 0x94D049BB133111EB - (1 << 64)
MANTISSA: Final = 24  # bits of a float32


@dataclass(frozen=True)
class Draws:
    """A stream of numbers for each example, a function of the seed, the example and the count of what was drawn.

    Counter-based, as Salmon et al. (2011), Parallel random numbers: as easy as 1, 2, 3; the mixing function is that of
    SplitMix64 (Steele, Lea & Flood 2014). The numbers are the same on every device and in every batch.
    """

    keys: Tensor  # (N,), int64

    @classmethod
    def of(cls, seed: int, examples: Tensor) -> Draws:
        """The streams of some examples.

        Args:
            seed: of the whole evaluation.
            examples: (N,), the number of each example in its data set, on the device of the inputs.
        """
        start = _mixed(torch.tensor(seed, dtype=torch.int64, device=examples.device) + GOLDEN)
        return cls(_mixed(start + (examples.long() + 1) * GOLDEN))

    def __getitem__(self, chosen: Tensor) -> Draws:
        """The streams of some of the examples."""
        return Draws(self.keys[chosen])

    def uniform(self, count: int, shape: Sequence[int] = ()) -> Tensor:
        """Numbers in [0, 1): (N, *shape), float32.

        Args:
            count: which draw of the stream it is; the same count gives the same numbers.
            shape: of what is drawn for one example.
        """
        streams = _mixed(self.keys ^ _mixed(torch.full_like(self.keys, count) * GOLDEN))
        elements = torch.arange(1, math.prod(shape) + 1, device=self.keys.device)
        bits = _mixed(streams[:, None] + elements * GOLDEN)
        return (_shifted(bits, 64 - MANTISSA).float() / 2**MANTISSA).view(-1, *shape)

    def below(self, bound: int, count: int) -> Tensor:
        """Whole numbers from 0 to ``bound`` - 1: (N,)."""
        return (self.uniform(count).double() * bound).long()

    def signs(self, count: int, shape: Sequence[int]) -> Tensor:
        """-1 and 1, evenly: (N, *shape)."""
        return torch.where(self.uniform(count, shape) < 0.5, -1.0, 1.0)

    def normal(self, count: int, shape: Sequence[int]) -> Tensor:
        """Standard normal numbers (Box & Muller 1958): (N, *shape)."""
        radius, angle = self.uniform(count, (2, *shape)).unbind(1)
        return (-2 * torch.log1p(-radius)).sqrt() * (2 * math.pi * angle).cos()


def _mixed(bits: Tensor) -> Tensor:
    bits = (bits ^ _shifted(bits, 30)) * FIRST
    bits = (bits ^ _shifted(bits, 27)) * SECOND
    return bits ^ _shifted(bits, 31)


def _shifted(bits: Tensor, by: int) -> Tensor:
    """To the right, filled with zeros: torch fills with the sign."""
    return (bits >> by) & ((1 << (64 - by)) - 1)
