"""Shares, areas under curves and means, each with its 95 % interval."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import torch
from torch import Tensor

from satae.robustness.proportion import wilson_interval

Z: Final = 1.959964  # of the normal distribution, for 95 %


class Estimate(NamedTuple):
    """A figure with the ends of its interval."""

    value: float
    low: float
    high: float
    n: int  # inputs behind it


def wilson(successes: float, n: int) -> Estimate:
    """A share with Wilson's interval, which does not shrink to nothing at 0 and 1."""
    return Estimate(successes / n, *wilson_interval(successes, n), n)


def mean(values: Tensor) -> Estimate:
    """The mean of numbers (n,), with the interval of the normal distribution; of a single one, without."""
    values = values.double().cpu()
    reach = Z * (values.var().item() / len(values)) ** 0.5 if len(values) > 1 else math.nan
    centre = values.mean().item()
    return Estimate(centre, centre - reach, centre + reach, len(values))


def auroc(inside: Tensor, outside: Tensor) -> Estimate:
    """The area under the receiver operating characteristic: P(outside > inside), half of the ties added.

    Its interval is that of DeLong et al. (1988), Biometrics 44(3), 837-845, on the scale of log(a / (1 - a)). Where
    their variance is 0, as it is without any overlap, the interval is Wilson's for min(n, m) pairs: so many can be
    formed that share no input, and each is in order with probability a.

    Args:
        inside: scores (n,) of what is to get low ones.
        outside: scores (m,) of what is to get high ones.

    Returns:
        ``n`` is that of ``outside``.
    """
    inside, outside = inside.double().cpu(), outside.double().cpu()
    places = _places(outside, inside), _places(inside, outside)  # of each among the others: (m,), (n,)
    area = places[0].mean().item()
    variance = sum(float(v.var()) / len(v) if len(v) > 1 else 0.0 for v in places)
    if variance == 0 or area in (0, 1):
        pairs = min(len(inside), len(outside))
        return Estimate(area, *wilson(area * pairs, pairs)[1:3], len(outside))
    reach, middle = Z * math.sqrt(variance) / (area * (1 - area)), math.log(area / (1 - area))
    low, high = (torch.sigmoid(torch.tensor(middle + side * reach, dtype=torch.float64)).item() for side in (-1, 1))
    return Estimate(area, low, high, len(outside))


def _places(values: Tensor, among: Tensor) -> Tensor:
    """The share of ``among`` below each value, half of the ties added: (n,)."""
    ordered = among.sort().values
    ends = [torch.searchsorted(ordered, values, right=right) for right in (False, True)]
    return (ends[0] + ends[1]).double() / (2 * len(among))
