"""How far a share that was counted can be from the true one."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Final, NamedTuple

CONFIDENCE: Final = 0.95


class Share(NamedTuple):
    """A count of something among ``n``, with the interval in which its true share is likely to lie."""

    counted: int
    n: int
    low: float
    high: float

    @property
    def value(self) -> float:
        """The share that was counted; nan of none."""
        return self.counted / self.n if self.n else math.nan

    @classmethod
    def of(cls, count: int, n: int) -> Share:
        """With its 95 % interval.

        Args:
            count: from 0 to ``n``.
            n: how many were looked at; of none the interval is all of [0, 1].

        Raises:
            ValueError: a count that is not among ``n``.
        """
        return cls(count, n, *interval(count, n))

    def __str__(self) -> str:
        return f"{100 * self.value:.1f} % ({100 * self.low:.1f} to {100 * self.high:.1f}), n={self.n}"


def interval(count: float, n: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The score interval of Wilson (1927), Journal of the American Statistical Association 22(158), of a share.

        (p + q^2 / 2n +- q sqrt(p (1 - p) / n + q^2 / 4n^2)) / (1 + q^2 / n),  q the quantile of the normal distribution

    Args:
        count: from 0 to ``n``; a mean of such counts need not be whole.
        n: how many were looked at.
        confidence: of the interval, two-sided.

    Raises:
        ValueError: a count that is not among ``n``.
    """
    if not 0 <= count <= n:
        raise ValueError(f"{count} of {n}: a count lies between 0 and the number of what was looked at")
    if n == 0:
        return 0.0, 1.0
    q = NormalDist().inv_cdf((1 + confidence) / 2)
    p, spread = count / n, q * q / n
    half = math.sqrt(spread * (p * (1 - p) + spread / 4))
    low, high = ((p + spread / 2 + sign * half) / (1 + spread) for sign in (-1, 1))
    return low if count else 0.0, high if count < n else 1.0
