"""The saturated denoising autoencoder."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from satae.model.layers import Layer


class Trace(NamedTuple):
    """Everything that one forward pass computed."""

    zs: dict[str, Tensor]  # encoder layer -> pre-activations z (N, units...)
    fs: dict[str, Tensor]  # encoder layer -> f(z), of the same shape; the last one is the code
    y: Tensor  # (N, *shape), the reconstruction in standardised units

    @property
    def code(self) -> Tensor:
        """(N, K)."""
        return [*self.fs.values()][-1]


class DenoisingAutoencoder(nn.Module):
    """An encoder and a decoder, with the standardisation of the data inside.

    The input and the reconstruction are in the data's own units; between them everything works on
    (x - mean) / std.

    >>> from satae import mlp
    >>> model = mlp((1, 8, 8), widths=[32, 8], act=nn.ReLU)
    >>> x = torch.rand(5, 1, 8, 8)
    >>> model(x).shape, model.encode(x).shape, list(model.trace(x).zs)
    (torch.Size([5, 1, 8, 8]), torch.Size([5, 8]), ['layer1', 'layer2'])
    """

    mean: Tensor
    std: Tensor

    def __init__(self, encoder: nn.Sequential, decoder: nn.Sequential) -> None:
        """Put an autoencoder together; :func:`satae.mlp` and :func:`satae.conv` do it for the usual shapes.

        Args:
            encoder: ``Layer`` after ``Layer``, by name; the last one gives the code.
            decoder: from the code (N, K) to (N, *shape).
        """
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("std", torch.ones(()))

    def standardise_by(self, mean: Tensor, std: Tensor) -> None:
        """Set the statistics of the training data; each must broadcast against (N, *shape)."""
        self.mean = mean.to(self.mean, copy=True)
        self.std = std.to(self.std, copy=True)

    def trace(self, x: Tensor) -> Trace:
        """One forward pass with all that it computed on the way.

        Args:
            x: (N, *shape), in the data's units.
        """
        h, zs, fs = self.standardise(x), {}, {}
        for name, layer in self.layers():
            zs[name] = z = layer.pre_activation(h)
            fs[name] = h = layer.act(z.clone() if getattr(layer.act, "inplace", False) else z)
        return Trace(zs, fs, self.decoder(h))

    def standardise(self, x: Tensor) -> Tensor:
        """(x - mean) / std."""
        return (x - self.mean).div_(self.std)

    def restore(self, y: Tensor) -> Tensor:
        """Standardised values back in the data's units: y * std + mean."""
        return y * self.std + self.mean

    def encode(self, x: Tensor) -> Tensor:
        """The code (N, K) of inputs (N, *shape)."""
        code: Tensor = self.encoder(self.standardise(x))
        return code

    def decode(self, code: Tensor) -> Tensor:
        """The reconstruction (N, *shape), in the data's units, of codes (N, K)."""
        return self.restore(self.decoder(code))

    def forward(self, x: Tensor) -> Tensor:
        """The reconstruction of ``x``: (N, *shape) to (N, *shape), both in the data's units."""
        return self.decode(self.encode(x))

    def layers(self) -> list[tuple[str, Layer]]:
        """The encoder's layers, in order, by name."""
        return list(self.encoder.named_children())  # type: ignore[arg-type]

    @torch.no_grad()
    def normalise_decoder(self) -> None:
        """Scale the weights that leave each unit of the decoder's inputs to length 1.

        It keeps the model from escaping the penalty by scaling the encoder down and the decoder up, which leaves the
        reconstruction as it is (Goroshin & LeCun 2013, arXiv 1301.3577, for shrink and relu).

        Raises:
            ValueError: the decoder has no weights of its own.
        """
        maps = [part for part in self.decoder.modules() if isinstance(part, nn.Linear | nn.ConvTranspose2d)]
        if not maps:
            raise ValueError("decoder_norm: a tied decoder has no weights of its own; set arch.tied=false")
        for part in maps:
            of_one_input = (0,) if isinstance(part, nn.Linear) else (1, 2, 3)
            lengths = torch.linalg.vector_norm(part.weight, dim=of_one_input, keepdim=True)
            part.weight.div_(lengths.clamp_min(torch.finfo(lengths.dtype).tiny))
