"""The metrics of a model: losses and saturation on a split, energy, and the sensitivity of the code."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Final

import torch
from torch import Generator, Tensor

from satae.data.dataset import Dataset, Split, Statistics, chunk
from satae.model.autoencoder import DenoisingAutoencoder
from satae.model.complement import Complement, inside
from satae.model.objective import Objective
from satae.training.metric_titles import COLLAPSED_FVU, LOW_ENERGY, dead_layers

MAX_BATCH: Final = 256  # samples in one forward pass; with 1,000, convolutions need more memory than in training
MAP_SIDE: Final = 101  # points of an energy map along each axis
ROUNDING: Final = 1e-12  # fraction of the mean square below which a variance is rounding
PERTURBATION: Final = 0.05  # standard deviation of the noise, as a share of the range of the data


@torch.no_grad()
def measure(
    model: DenoisingAutoencoder,
    dataset: Dataset,
    split: Split,
    objective: Objective,
    noise: Callable[[Tensor], Tensor],
    alpha: float,
    statistics: Statistics,
) -> dict[str, float]:
    """Measure a model, in evaluation mode, on all of a split.

    Args:
        model: on the device of the split.
        dataset: the data set of the split.
        split: the examples.
        objective: computes the losses, and knows the flat sets.
        noise: x -> x_noisy; measured is the reconstruction of the clean input from the corrupted one.
        alpha: weight of the penalty in ``total``.
        statistics: statistics of the training split, on the same device.

    Returns:
        total, reconstruction, saturation: the losses, means over the samples.
        fvu: fraction of variance unexplained, squared error / squared distance from the training mean, both
            standardized; 1 is what predicting the mean of each element gives.
        psnr: peak signal-to-noise ratio in dB; the peak is the declared range of the data.
        saturated_fraction, and /<layer>: share of encoder units and samples in the flat set.
        dead_fraction, and /<layer>: share of encoder units that stay in one flat interval for every sample.
        active_code_units: code units outside the flat set, mean over the samples.
        collapsed: 1 where some encoder layer has only dead units, or ``fvu`` is not below 0.99, or is nan because all
            examples of the split are the mean of the training split; else 0.
    """
    model.eval()
    sums, counts = torch.zeros(6, dtype=torch.float64), dict[str, Tensor]()
    for stored in split.x.split(min(MAX_BATCH, chunk(dataset.shape))):
        x = dataset.batch(stored)
        trace = model.trace(noise(x))
        losses = objective.losses(trace, model.standardize(x), alpha)
        error = model.unstandardize(trace.reconstruction) - x
        batch = torch.stack([*losses, error.square().mean(), *variances(error, x, statistics)])
        sums += len(x) * batch.cpu().double()
        for name, z in trace.zs.items():
            counts[name] = counts.get(name, 0) + count_flat(objective.complement, z)
    total, reconstruction, saturation, mse, unexplained, variance = (sums / len(split.x)).tolist()
    peak = dataset.span[1] - dataset.span[0]
    fvu = unexplained / variance if variance else math.nan
    shares = saturation_shares(counts, len(split.x))
    return {
        "total": total,
        "reconstruction": reconstruction,
        "saturation": saturation,
        "fvu": fvu,
        "psnr": psnr(mse, peak),
        **shares,
        "collapsed": float(bool(dead_layers(shares, "dead_fraction")) or not fvu < COLLAPSED_FVU),
    }


def variances(error: Tensor, x: Tensor, statistics: Statistics) -> tuple[Tensor, Tensor]:
    """The unexplained and the total variance, whose ratio is ``fvu``: means over a batch, standardized.

    ``error`` is x_hat - x, in the data's units: (N, *shape).
    """
    return (error / statistics.std).square().mean(), ((x - statistics.mean) / statistics.std).square().mean()


def psnr(mse: float, peak: float) -> float:
    """The peak signal-to-noise ratio in dB of a mean squared error: 10 log10(peak^2 / mse); nan without a range."""
    if not peak:
        return math.nan
    return 10 * (math.log10(peak**2) - math.log10(mse)) if mse else math.inf


def count_flat(complement: Complement, z: Tensor) -> Tensor:
    """Count the samples in each flat interval of each unit: (N, units...) to (intervals, units...)."""
    return torch.stack([inside(z, [interval]).sum(dim=0) for interval in complement.intervals])


def saturation_shares(counts: Mapping[str, Tensor], samples: int) -> dict[str, float]:
    """The saturated and dead fractions, overall and by layer, and the active units of the code.

    ``counts``: encoder layer -> samples in each flat interval of each unit (intervals, units...); the code last.
    """
    units = {name: count[0].numel() for name, count in counts.items()}
    flat = {name: int(count.sum()) for name, count in counts.items()}
    dead = {name: int((count == samples).any(dim=0).sum()) for name, count in counts.items()}
    code = list(counts)[-1]
    return {
        "saturated_fraction": sum(flat.values()) / sum(units.values()) / samples,
        **{f"saturated_fraction/{name}": flat[name] / units[name] / samples for name in counts},
        "dead_fraction": sum(dead.values()) / sum(units.values()),
        **{f"dead_fraction/{name}": dead[name] / units[name] for name in counts},
        "active_code_units": units[code] - flat[code] / samples,
    }


def which_vary(outputs: Tensor) -> Tensor:
    """Whether each unit varies over the inputs by more than rounding: (n, units) to (units,)."""
    return outputs.var(dim=0, correction=0) > ROUNDING * outputs.square().mean(dim=0)


@torch.no_grad()
def energy(model: DenoisingAutoencoder, x: Tensor) -> Tensor:
    """E(x) = 1/2 * |x - x_hat(x)|^2, without noise, in the data's own units: (N, *shape) to (N,).

    Goroshin & LeCun (2013), arXiv 1301.3577.
    """
    model.eval()
    x_hat: Tensor = model(x)
    return (x_hat - x).flatten(1).square().sum(dim=1) / 2


def energy_map(model: DenoisingAutoencoder, span: tuple[float, float], side: int = MAP_SIDE) -> Tensor:
    """The energy on a square grid over ``span`` x ``span``: (side, side), rows by y and columns by x, both rising."""
    ticks = torch.linspace(*span, side, device=model.mean.device)
    y, x = torch.meshgrid(ticks, ticks, indexing="ij")
    return energy(model, torch.stack([x, y], dim=-1).flatten(0, 1)).view(side, side)


def low_energy_area(energies: Tensor) -> float:
    """The share of an energy map that lies below ``LOW_ENERGY``."""
    return (energies < LOW_ENERGY).float().mean().item()


@torch.no_grad()
def code_sensitivity(model: DenoisingAutoencoder, x: Tensor, width: float, generator: Generator) -> float:
    """Squared change of the code under small Gaussian noise, over the variance of the code.

        mean |code(x + s n) - code(x)|^2 / mean |code(x) - mean code|^2,   n ~ N(0, 1), s = 0.05 * width

    It is nan where the code does not vary. Because of the variance in the denominator, a model cannot look stable by
    shrinking its code. This is an extension: Goroshin & LeCun (2013) measure no perturbation.

    Args:
        model: put in evaluation mode.
        x: clean inputs (N, *shape), in the data's units.
        width: width of the range of the data.
        generator: draws the noise, on the device of ``x``.
    """
    model.eval()
    x_noisy = torch.empty_like(x).normal_(generator=generator).mul_(PERTURBATION * width).add_(x)
    code, moved = (torch.cat([model.encode(part) for part in of.split(MAX_BATCH)]) for of in (x, x_noisy))
    variance = (code - code.mean(dim=0)).square().sum()
    return ((moved - code).square().sum() / variance).item() if variance else math.nan
