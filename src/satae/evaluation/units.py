"""Statistics of the units of a layer, over many inputs."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from satae.model.complement import Complement

TINY = 1e-12  # share of the mean square below which a variance is rounding


def bimodality(f_z: Tensor) -> Tensor:
    """Sarle's coefficient of each unit, between 0 and 1: 5/9 for an even distribution, more for two modes.

        b = (s^2 + 1) / (k + 3 (n - 1)^2 / ((n - 2)(n - 3)))

    with the sample skewness s and excess kurtosis k. Pfister et al. (2013), Frontiers in Psychology 4, 700. A long
    tail raises it, too.

    Args:
        f_z: (n, units...), n > 3.

    Returns:
        (units,): of those that vary.
    """
    x = f_z.flatten(1).double().cpu()
    n = len(x)
    if n <= 3:
        return x.new_empty(0)
    apart = x - x.mean(dim=0)
    m2, m3, m4 = (apart.pow(power).mean(dim=0) for power in (2, 3, 4))
    varies = m2 > TINY * x.square().mean(dim=0)
    m2, m3, m4 = m2[varies], m3[varies], m4[varies]
    skewness = m3 / m2**1.5 * math.sqrt(n * (n - 1)) / (n - 2)
    kurtosis = (n - 1) / ((n - 2) * (n - 3)) * ((n + 1) * (m4 / m2**2 - 3) + 6)
    return (skewness**2 + 1) / (kurtosis + 3 * (n - 1) ** 2 / ((n - 2) * (n - 3)))


def entropy(on: Tensor) -> Tensor:
    """The entropy of each unit that is on or off, in bits: (n, units...) booleans to (units,)."""
    p = on.flatten(1).double().mean(dim=0)
    return -(torch.xlogy(p, p) + torch.xlogy(1 - p, 1 - p)) / math.log(2)


def kurtosis(weight: Tensor) -> float:
    """The excess kurtosis of all weights of a layer, m4 / m2^2 - 3: 0 for normal ones, more for sparse ones."""
    apart = weight.detach().cpu().double().flatten()
    apart = apart - apart.mean()
    variance = apart.square().mean()
    return (apart.pow(4).mean() / variance**2 - 3).item() if variance else math.nan


def is_on(complement: Complement, z: Tensor, f_z: Tensor) -> Tensor:
    """Each unit as one of two: nearer to the upper of two levels, or outside the flat set where there is one level.

    Args:
        complement: of the activation.
        z: (n, units...).
        f_z: f(z), of the same shape.
    """
    if len(complement.levels) > 1:
        return f_z > (min(complement.levels) + max(complement.levels)) / 2
    return ~complement.is_flat(z)


def at_levels(complement: Complement, f_z: Tensor, near: float) -> float:
    """The share of units and inputs within ``near`` of a level of the activation: f(z) where it is flat."""
    return (complement.from_output(f_z) <= near).double().mean().item()
