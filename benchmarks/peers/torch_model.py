"""The autoencoder in plain torch, for the tutorial loop and for Lightning."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

from benchmarks.peers.session import Session
from benchmarks.workloads import ALPHA, KERNEL, NOISE, PADDING, PIXELS, RAMP, SHAPE, SIDE, STRIDE, Workload


class Losses(NamedTuple):
    """The two terms of the loss."""

    reconstruction: Tensor
    saturation: Tensor


class Autoencoder(nn.Module):
    """Standardises its inputs; gives the losses of clean images that it sees corrupted."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        make = mlp if session.workload.widths else conv
        self.encoder, self.decoder = make(session.workload)
        self.register_buffer("mean", torch.from_numpy(session.mean))
        self.register_buffer("std", torch.tensor(session.std))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The reconstruction of ``x``, and the penalty: relu is flat at 0, so its complement is relu itself."""
        h, saturation = (x - self.mean) / self.std, torch.zeros(())
        for layer in self.encoder:
            h = layer(h)
            saturation = saturation + h.mean()
        return self.decoder(h) * self.std + self.mean, saturation

    def losses(self, x: Tensor) -> Losses:
        """Compute the losses of a batch of clean images (N, 1, 28, 28)."""
        noisy = (x + NOISE * torch.randn_like(x)).clamp(0, 1)
        x_hat, saturation = self(noisy)
        return Losses(((x_hat - x) / self.std).square().mean() / 2, saturation)


def alpha(step: int, steps: int) -> float:
    """The weight of the penalty, which rises over the first half of the training."""
    return ALPHA * min(1.0, step / (RAMP * steps))


def mlp(workload: Workload) -> tuple[nn.Sequential, nn.Sequential]:
    """Encoder and decoder, fully connected."""
    forth = [PIXELS, *workload.widths]
    encoder = [nn.Sequential(nn.Linear(m, n), nn.ReLU()) for m, n in pairwise(forth)]
    encoder[0].insert(0, nn.Flatten())
    decoder: list[nn.Module] = []
    for m, n in pairwise(reversed(forth)):
        decoder += [nn.Linear(m, n), nn.ReLU()]
    return nn.Sequential(*encoder), nn.Sequential(*decoder[:-1], nn.Unflatten(1, SHAPE))


def conv(workload: Workload) -> tuple[nn.Sequential, nn.Sequential]:
    """Encoder and decoder, convolutional with a fully connected code."""
    (first, second), code = workload.channels, workload.code
    volume = (second, SIDE, SIDE)
    encoder = nn.Sequential(
        nn.Sequential(nn.Conv2d(1, first, KERNEL, STRIDE, PADDING), nn.ReLU()),
        nn.Sequential(nn.Conv2d(first, second, KERNEL, STRIDE, PADDING), nn.ReLU()),
        nn.Sequential(nn.Flatten(), nn.Linear(second * SIDE**2, code), nn.ReLU()),
    )
    decoder = nn.Sequential(
        nn.Linear(code, second * SIDE**2),
        nn.Unflatten(1, volume),
        nn.ReLU(),
        nn.ConvTranspose2d(second, first, KERNEL, STRIDE, PADDING, output_padding=1),
        nn.ReLU(),
        nn.ConvTranspose2d(first, 1, KERNEL, STRIDE, PADDING, output_padding=1),
    )
    return encoder, decoder
