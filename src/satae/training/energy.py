"""The energy of an input, and for two-dimensional data its map over the plane."""

from __future__ import annotations

import torch
from torch import Tensor

from satae.model.autoencoder import DenoisingAutoencoder

LOW = 0.01  # energy below which a place counts as reconstructed, in the data's units squared
SIDE = 101  # points of the map along each axis


@torch.no_grad()
def energy(model: DenoisingAutoencoder, x: Tensor) -> Tensor:
    """E(x) = 1/2 * |x - x_hat(x)|^2, without noise, in the data's own units: (N, *shape) to (N,).

    Goroshin & LeCun (2013), arXiv 1301.3577.
    """
    model.eval()
    x_hat: Tensor = model(x)
    return (x_hat - x).flatten(1).square().sum(dim=1) / 2


def energy_map(model: DenoisingAutoencoder, span: tuple[float, float], side: int = SIDE) -> Tensor:
    """The energy on a square grid over ``span`` x ``span``: (side, side), rows by y and columns by x, both rising."""
    ticks = torch.linspace(*span, side, device=model.mean.device)
    y, x = torch.meshgrid(ticks, ticks, indexing="ij")
    return energy(model, torch.stack([x, y], dim=-1).flatten(0, 1)).view(side, side)


def low_energy_area(energies: Tensor) -> float:
    """The share of an energy map that lies below ``LOW``."""
    return (energies < LOW).float().mean().item()
