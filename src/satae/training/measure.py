"""The numbers that describe a model on a split: the same for training and validation."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from satae.data.dataset import Dataset, Split, Statistics, chunk
from satae.model.autoencoder import DenoisingAutoencoder
from satae.model.complement import Complement
from satae.model.flat import inside
from satae.model.objective import Objective

BATCH = 1000  # samples in one forward pass, at most
NO_BETTER = 0.99  # fvu from which a reconstruction says no more than the mean of the data


@torch.no_grad()
def measure(
    model: DenoisingAutoencoder,
    dataset: Dataset,
    split: Split,
    objective: Objective,
    noise: Callable[[Tensor], Tensor],
    alpha: float,
    centre: Statistics,
) -> dict[str, float]:
    """Measure a model, in evaluation mode, on all of a split.

    Args:
        model: on the device of the split.
        dataset: that the split belongs to.
        split: the examples.
        objective: gives the losses, and the flat sets.
        noise: x -> x_noisy; what is measured is the reconstruction of the clean input from the corrupted one.
        alpha: weight of the penalty in ``total``.
        centre: of the training split, on the same device.

    Returns:
        total, reconstruction, saturation: the losses, means over the samples.
        fvu: fraction of variance unexplained, squared error / squared distance from the training mean, both
            standardised; 1 is what predicting the mean of each element gives.
        psnr: peak signal-to-noise ratio in dB, the peak being the range that the data promise.
        saturated_fraction, and /<layer>: share of encoder units and samples in the flat set.
        dead_fraction, and /<layer>: share of encoder units that stay in one flat interval for every sample.
        active_code_units: code units outside the flat set, mean over the samples.
        collapsed: 1 where some encoder layer has only dead units, or ``fvu`` is at least 0.99; else 0.
    """
    model.eval()
    sums, counts = torch.zeros(6, dtype=torch.float64), dict[str, Tensor]()
    for stored in split.x.split(min(BATCH, chunk(dataset.shape))):
        x = dataset.batch(stored)
        trace = model.trace(noise(x))
        losses = objective.losses(trace, model.standardise(x), alpha)
        error = model.restore(trace.y) - x
        batch = torch.stack([*losses, error.square().mean(), *variances(error, x, centre)])
        sums += len(x) * batch.cpu().double()
        for name, z in trace.zs.items():
            counts[name] = counts.get(name, 0) + count_flat(objective.complement, z)
    total, reconstruction, saturation, mse, unexplained, variance = (sums / len(split.x)).tolist()
    peak = dataset.span[1] - dataset.span[0]
    fvu = unexplained / variance if variance else math.nan
    shares = saturation_shares(counts, len(split.x))
    dead_layers = [name for name, share in shares.items() if name.startswith("dead_fraction/") and share == 1]
    return {
        "total": total,
        "reconstruction": reconstruction,
        "saturation": saturation,
        "fvu": fvu,
        "psnr": psnr(mse, peak),
        **shares,
        "collapsed": float(bool(dead_layers) or fvu >= NO_BETTER),
    }


def variances(error: Tensor, x: Tensor, centre: Statistics) -> tuple[Tensor, Tensor]:
    """What is left of the variance, and all of it, whose ratio is ``fvu``: means over a batch, standardised.

    Args:
        error: of the reconstructions of ``x``, in the data's units.
        x: (N, *shape).
        centre: of the training split.
    """
    return (error / centre.std).square().mean(), ((x - centre.mean) / centre.std).square().mean()


def psnr(mse: float, peak: float) -> float:
    """The peak signal-to-noise ratio in dB of a mean squared error: 10 log10(peak^2 / mse)."""
    return 10 * (math.log10(peak**2) - math.log10(mse)) if mse else math.inf


def count_flat(complement: Complement, z: Tensor) -> Tensor:
    """How many samples are in each flat interval of each unit: (N, units...) to (intervals, units...)."""
    return torch.stack([inside(z, [interval]).sum(dim=0) for interval in complement.intervals])


def saturation_shares(counts: Mapping[str, Tensor], samples: int) -> dict[str, float]:
    """The saturated and dead fractions, overall and by layer, and the active units of the code.

    Args:
        counts: encoder layer -> samples in each flat interval of each unit (intervals, units...); the code last.
        samples: in the split.
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
