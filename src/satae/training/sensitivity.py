"""How much a small perturbation of the input changes the code."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from satae.model.autoencoder import DenoisingAutoencoder

PERTURBATION = 0.05  # standard deviation of the noise, as a share of the range of the data


@torch.no_grad()
def code_sensitivity(model: DenoisingAutoencoder, x: Tensor, width: float, generator: Generator) -> float:
    """Squared change of the code under small Gaussian noise, over the variance of the code.

        mean |code(x + s n) - code(x)|^2 / mean |code(x) - mean code|^2,   n ~ N(0, 1), s = 0.05 * width

    The variance in the denominator keeps a model from looking steady by shrinking its code. An extension: Goroshin &
    LeCun (2013) measure no perturbation.

    Args:
        model: put in evaluation mode.
        x: clean inputs (N, *shape), in the data's units.
        width: of the range of the data.
        generator: of the noise, on the device of ``x``.

    Returns:
        The ratio; nan where the code does not vary.
    """
    model.eval()
    noise = torch.empty_like(x).normal_(generator=generator)
    code, moved = model.encode(x), model.encode(x + PERTURBATION * width * noise)
    variance = (code - code.mean(dim=0)).square().sum()
    return ((moved - code).square().sum() / variance).item()
