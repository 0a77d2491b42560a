"""Fractions, means and areas under ROC curves, each with its 95 % interval."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Final, NamedTuple

import torch
from torch import Tensor

CONFIDENCE: Final = 0.95
NORMAL_QUANTILE: Final = (
    1.959964  # standard errors to each end of a two-sided 95 % interval, with the digits that stored results have
)


class Estimate(NamedTuple):
    """A measured value with the ends of its interval."""

    value: float
    low: float
    high: float
    n: int  # inputs behind it

    def in_percent(self) -> str:
        """A fraction as people read it: ``1.0 % (0.2 to 5.4), n=100``."""
        return f"{100 * self.value:.1f} % ({100 * self.low:.1f} to {100 * self.high:.1f}), n={self.n}"


def fraction_estimate(hits: float, n: int) -> Estimate:
    """A fraction with the score interval of Wilson (1927), Journal of the American Statistical Association 22(158).

        (p + q^2 / 2n +- q sqrt(p (1 - p) / n + q^2 / 4n^2)) / (1 + q^2 / n),  q the quantile of the normal distribution

    Its width stays above zero at the fractions 0 and 1. If ``n`` is 0, the fraction is nan and the interval [0, 1].

    Args:
        hits: from 0 to ``n``; a mean of several counts need not be a whole number.
        n: number of inputs.

    Raises:
        ValueError: ``hits`` is not between 0 and ``n``.
    """
    if not 0 <= hits <= n:
        raise ValueError(f"{hits} of {n}: a count must lie between 0 and the number of examples")
    if n == 0:
        return Estimate(math.nan, 0.0, 1.0, 0)
    q = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    p, spread = hits / n, q * q / n
    half = math.sqrt(spread * (p * (1 - p) + spread / 4))
    low, high = ((p + spread / 2 + sign * half) / (1 + spread) for sign in (-1, 1))
    return Estimate(p, low if hits else 0.0, high if hits < n else 1.0, n)


def mean_estimate(values: Tensor) -> Estimate:
    """The mean of numbers (n,) with the interval of the normal distribution; the ends are nan for n = 1."""
    values = values.double().cpu()
    margin = NORMAL_QUANTILE * (values.var().item() / len(values)) ** 0.5 if len(values) > 1 else math.nan
    mean = values.mean().item()
    return Estimate(mean, mean - margin, mean + margin, len(values))


def auroc(inside: Tensor, outside: Tensor) -> Estimate:
    """The area under the receiver operating characteristic: P(outside > inside) + P(outside = inside) / 2.

    The interval is that of DeLong et al. (1988), Biometrics 44(3), 837-845, on the scale of log(a / (1 - a)). If
    their variance is 0, as it is without any overlap, the interval is Wilson's for min(n, m) pairs: this many pairs
    share no input, and each is in order with probability a.

    Args:
        inside: scores (n,) of what should get low ones.
        outside: scores (m,) of what should get high ones.

    Returns:
        The area; its ``n`` is m.
    """
    inside, outside = inside.double().cpu(), outside.double().cpu()
    ranks = _fraction_below(outside, inside), _fraction_below(inside, outside)  # (m,), (n,)
    area = ranks[0].mean().item()
    variance = sum(float(v.var()) / len(v) if len(v) > 1 else 0.0 for v in ranks)
    if variance == 0 or area in (0, 1):
        pairs = min(len(inside), len(outside))
        return fraction_estimate(area * pairs, pairs)._replace(value=area, n=len(outside))
    margin, logit = NORMAL_QUANTILE * math.sqrt(variance) / (area * (1 - area)), math.log(area / (1 - area))
    low, high = (torch.sigmoid(torch.tensor(logit + side * margin, dtype=torch.float64)).item() for side in (-1, 1))
    return Estimate(area, low, high, len(outside))


def _fraction_below(values: Tensor, among: Tensor) -> Tensor:
    """The fraction of ``among`` below each value, plus half of the ties: (n,)."""
    ordered = among.sort().values
    ends = [torch.searchsorted(ordered, values, right=right) for right in (False, True)]
    return (ends[0] + ends[1]).double() / (2 * len(among))
