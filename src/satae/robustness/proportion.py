"""A counted proportion with its confidence interval."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Final, NamedTuple

CONFIDENCE: Final = 0.95


class Proportion(NamedTuple):
    """A number of hits among ``n`` examples, with the 95 % confidence interval of the true proportion."""

    hits: int
    n: int
    low: float
    high: float

    @property
    def value(self) -> float:
        """The observed proportion; nan if ``n`` is 0."""
        return self.hits / self.n if self.n else math.nan

    @classmethod
    def from_count(cls, hits: int, n: int) -> Proportion:
        """Build a proportion from a count; if ``n`` is 0, the interval is [0, 1].

        Raises:
            ValueError: ``hits`` is not between 0 and ``n``.
        """
        return cls(hits, n, *wilson_interval(hits, n))

    def __str__(self) -> str:
        return f"{100 * self.value:.1f} % ({100 * self.low:.1f} to {100 * self.high:.1f}), n={self.n}"


def wilson_interval(hits: float, n: int) -> tuple[float, float]:
    """The score interval of Wilson (1927), Journal of the American Statistical Association 22(158), of a proportion.

        (p + q^2 / 2n +- q sqrt(p (1 - p) / n + q^2 / 4n^2)) / (1 + q^2 / n),  q the quantile of the normal distribution

    Args:
        hits: from 0 to ``n``; a mean of several counts need not be a whole number.
        n: number of examples.

    Raises:
        ValueError: ``hits`` is not between 0 and ``n``.
    """
    if not 0 <= hits <= n:
        raise ValueError(f"{hits} of {n}: a count must lie between 0 and the number of examples")
    if n == 0:
        return 0.0, 1.0
    q = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    p, spread = hits / n, q * q / n
    half = math.sqrt(spread * (p * (1 - p) + spread / 4))
    low, high = ((p + spread / 2 + sign * half) / (1 + spread) for sign in (-1, 1))
    return low if hits else 0.0, high if hits < n else 1.0
