"""Shares, areas under ROC curves and means, each with its 95 % interval."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import torch
from torch import Tensor

from satae.robustness.proportion import wilson_interval

NORMAL_QUANTILE: Final = 1.959964  # of a two-sided 95 % interval


class Estimate(NamedTuple):
    """A measured value with the ends of its interval."""

    value: float
    low: float
    high: float
    n: int  # inputs behind it


def share_estimate(successes: float, n: int) -> Estimate:
    """A share with Wilson's interval, whose width stays above zero at the shares 0 and 1."""
    return Estimate(successes / n, *wilson_interval(successes, n), n)


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
    ranks = _share_below(outside, inside), _share_below(inside, outside)  # (m,), (n,)
    area = ranks[0].mean().item()
    variance = sum(float(v.var()) / len(v) if len(v) > 1 else 0.0 for v in ranks)
    if variance == 0 or area in (0, 1):
        pairs = min(len(inside), len(outside))
        return Estimate(area, *share_estimate(area * pairs, pairs)[1:3], len(outside))
    margin, logit = NORMAL_QUANTILE * math.sqrt(variance) / (area * (1 - area)), math.log(area / (1 - area))
    low, high = (torch.sigmoid(torch.tensor(logit + side * margin, dtype=torch.float64)).item() for side in (-1, 1))
    return Estimate(area, low, high, len(outside))


def _share_below(values: Tensor, among: Tensor) -> Tensor:
    """The share of ``among`` below each value, plus half of the ties: (n,)."""
    ordered = among.sort().values
    ends = [torch.searchsorted(ordered, values, right=right) for right in (False, True)]
    return (ends[0] + ends[1]).double() / (2 * len(among))
