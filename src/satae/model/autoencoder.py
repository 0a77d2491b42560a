"""The layers of encoders and decoders, and the saturated denoising autoencoder made of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, Protocol, Self, overload

import torch
from torch import Tensor, nn

from satae.model import products

if TYPE_CHECKING:
    import numpy as np

ARRAY_BATCH: Final = 1024  # examples of an array that are computed at a time

MakeActivation = Callable[[], nn.Module]


class Dense(nn.Linear):
    """A fully connected map from (N, *inputs) to (N, *outputs)."""

    library = products.TORCH  # that multiplies: see ``use_library``

    def __init__(self, inputs: Sequence[int], outputs: Sequence[int]) -> None:
        super().__init__(math.prod(inputs), math.prod(outputs))
        self.inputs, self.outputs = tuple(inputs), tuple(outputs)

    def forward(self, h: Tensor) -> Tensor:
        """W h + b."""
        return products.linear(h.flatten(1), self.weight, self.bias, self.library).view(-1, *self.outputs)


class TiedDense(nn.Module):
    """A decoder layer that uses the weights of an encoder layer, transposed, with a bias of its own."""

    library = products.TORCH

    def __init__(self, encoder_layer: Dense) -> None:
        super().__init__()
        self._encoder_layer = (encoder_layer,)  # in a tuple, so that the weights are not registered twice
        self.outputs = encoder_layer.inputs
        self.bias = nn.Parameter(torch.zeros(encoder_layer.in_features))

    @property
    def weight(self) -> Tensor:
        """The transposed weights."""
        return self._encoder_layer[0].weight.t()

    def forward(self, h: Tensor) -> Tensor:
        """W^T h + b."""
        return products.linear(h.flatten(1), self.weight, self.bias, self.library).view(-1, *self.outputs)


def use_library(model: nn.Module, library: str) -> None:
    """Let one of ``products.LIBRARIES`` compute the products of a model's fully connected layers."""
    for part in model.modules():
        if isinstance(part, Dense | TiedDense):
            part.library = library


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Within the context, a model is in evaluation mode, and its weights need no gradients."""
    modes = {module: module.training for module in model.modules()}
    needed = {weight: weight.requires_grad for weight in model.parameters()}
    model.eval().requires_grad_(False)
    try:
        yield
    finally:
        for module, was_training in modes.items():
            module.training = was_training
        for weight, was_needed in needed.items():
            weight.requires_grad_(was_needed)


Affine = nn.Linear | TiedDense | nn.Conv2d | nn.ConvTranspose2d


class Layer(nn.Module):
    """One layer, h -> z = norm(affine(h)) -> f(z), which gives access to z."""

    affine: Affine

    def __init__(self, affine: Affine, act: nn.Module, norm: nn.Module | None = None) -> None:
        super().__init__()
        self.affine = affine
        self.norm = norm or nn.Identity()
        self.act = act

    def pre_activation(self, h: Tensor) -> Tensor:
        """The input z of the activation: after the normalization, if the layer has one."""
        z: Tensor = self.norm(self.affine(h))
        return z

    def weight_norm(self) -> Tensor:
        """Root mean square, over the units, of the length of a unit's weights: a scalar."""
        return self.affine.weight.detach().flatten(1).square().sum(dim=1).mean().sqrt()

    def forward(self, h: Tensor) -> Tensor:
        """f(z)."""
        f_z: Tensor = self.act(self.pre_activation(h))
        return f_z


class Trace(NamedTuple):
    """The intermediate values of one forward pass."""

    zs: dict[str, Tensor]  # encoder layer -> pre-activations z (N, units...)
    fs: dict[str, Tensor]  # encoder layer -> f(z), of the same shape; the last one is the code
    reconstruction: Tensor  # (N, *shape), in standardized units

    @property
    def code(self) -> Tensor:
        """The last encoder layer's f(z): (N, K)."""
        return [*self.fs.values()][-1]


class Units(Protocol):
    """Converts arrays in a user's units to inputs of a model, and reconstructions back."""

    def to_tensor(self, x: np.ndarray) -> Tensor:
        """Inputs (N, *shape) of the model."""

    def to_array(self, y: Tensor) -> np.ndarray:
        """Reconstructions (N, *shape) in the user's units."""


class DenoisingAutoencoder(nn.Module):
    """An encoder and a decoder that standardize their data themselves.

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
    frozen: Literal["encoder", "decoder"] | None = None  # the part that training leaves alone
    units: Units | None = None  # of arrays; ``satae.load`` sets those of the run

    def __init__(self, encoder: nn.Sequential, decoder: nn.Sequential) -> None:
        """Join an encoder and a decoder; :func:`satae.mlp` and :func:`satae.conv` make the usual ones.

        Args:
            encoder: a sequence of named ``Layer``s; the last one gives the code.
            decoder: from the code (N, K) to (N, *shape).
        """
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("std", torch.ones(()))

    def standardize_by(self, mean: Tensor, std: Tensor) -> None:
        """Set the statistics of the training data; each must broadcast against (N, *shape)."""
        self.mean = mean.to(self.mean, copy=True)
        self.std = std.to(self.std, copy=True)

    def freeze(self, part: Literal["encoder", "decoder"]) -> None:
        """Keep the weights of a part as they are: they get no gradient, and its layers stay in evaluation mode.

        In that mode, batch normalization uses its running statistics and leaves them alone.
        """
        self.frozen = part
        getattr(self, part).eval().requires_grad_(False)

    def train(self, mode: bool = True) -> Self:
        """Set training mode, except in a frozen part; or evaluation mode."""
        super().train(mode)
        if self.frozen is not None:
            getattr(self, self.frozen).eval()
        return self

    def trace(self, x: Tensor) -> Trace:
        """Run one forward pass and keep its intermediate values.

        Args:
            x: (N, *shape), in the data's units.
        """
        h, zs, fs = self.standardize(x), {}, {}
        for name, layer in self.layers():
            zs[name] = z = layer.pre_activation(h)
            fs[name] = h = layer.act(z.clone() if getattr(layer.act, "inplace", False) else z)
        return Trace(zs, fs, self.decoder(h))

    def standardize(self, x: Tensor) -> Tensor:
        """(x - mean) / std."""
        return (x - self.mean).div_(self.std)

    def unstandardize(self, y: Tensor) -> Tensor:
        """Standardized values back in the data's units: y * std + mean."""
        return y * self.std + self.mean

    @overload
    def encode(self, x: Tensor) -> Tensor: ...

    @overload
    def encode(self, x: np.ndarray) -> np.ndarray: ...

    def encode(self, x: Tensor | np.ndarray) -> Tensor | np.ndarray:
        """The code (N, K) of inputs (N, *shape); an array in the units of the run's data gives an array.

        Raises:
            ValueError: an array has another shape or type than the inputs of the model.
        """
        if not isinstance(x, Tensor):
            return self._in_batches(self.encode, self._units().to_tensor(x)).numpy()
        code: Tensor = self.encoder(self.standardize(x))
        return code

    @overload
    def decode(self, code: Tensor) -> Tensor: ...

    @overload
    def decode(self, code: np.ndarray) -> np.ndarray: ...

    def decode(self, code: Tensor | np.ndarray) -> Tensor | np.ndarray:
        """The reconstruction (N, *shape), in the data's units, of codes (N, K); an array gives an array."""
        if not isinstance(code, Tensor):
            codes = torch.from_numpy(code.astype("float32"))
            return self._units().to_array(self._in_batches(self.decode, codes))
        return self.unstandardize(self.decoder(code))

    def forward(self, x: Tensor) -> Tensor:
        """The reconstruction of ``x``: (N, *shape) to (N, *shape), both in the data's units."""
        return self.decode(self.encode(x))

    def reconstruct(self, x: np.ndarray) -> np.ndarray:
        """The reconstruction of an array, as an array, both in the units of the run's data.

        Bytes come back as numbers from 0 to 1.

        Raises:
            ValueError: the array has another shape or type than the inputs of the model.
        """
        units = self._units()
        return units.to_array(self._in_batches(self, units.to_tensor(x)))

    def _units(self) -> Units:
        """The units of arrays.

        Raises:
            ValueError: this model is not one that ``satae.load`` read.
        """
        if self.units is None:
            raise ValueError("arrays are for models of a run, as satae.load gives them; give this one a tensor")
        return self.units

    def _in_batches(self, function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        """Apply a function to inputs, without gradients; returns the result on the CPU."""
        with torch.no_grad():
            return torch.cat([function(part.to(self.mean.device)).cpu() for part in x.split(ARRAY_BATCH)])

    def layers(self) -> list[tuple[str, Layer]]:
        """The encoder's layers, in order, by name."""
        return list(self.encoder.named_children())  # type: ignore[arg-type]

    @torch.no_grad()
    def normalize_decoder(self) -> None:
        """Scale the weights that leave each unit of the decoder's inputs to length 1.

        Otherwise the model could escape the penalty by scaling the encoder down and the decoder up, which does not
        change the reconstruction (Goroshin & LeCun 2013, arXiv 1301.3577, for shrink and relu).

        Raises:
            ValueError: the decoder has no weights of its own.
        """
        maps = [part for part in self.decoder.modules() if isinstance(part, nn.Linear | nn.ConvTranspose2d)]
        if not maps:
            raise ValueError("a tied decoder has no weights of its own to normalize; use tied=False")
        for part in maps:
            of_one_input = (0,) if isinstance(part, nn.Linear) else (1, 2, 3)
            lengths = torch.linalg.vector_norm(part.weight, dim=of_one_input, keepdim=True)
            part.weight.div_(lengths.clamp_min(torch.finfo(lengths.dtype).tiny))


class Encoder(nn.Module):
    """The encoder of an autoencoder as a module: inputs (N, *shape) in the data's units to codes (N, K)."""

    def __init__(self, autoencoder: DenoisingAutoencoder) -> None:
        super().__init__()
        self.autoencoder = autoencoder

    def forward(self, x: Tensor) -> Tensor:
        """Compute the code."""
        return self.autoencoder.encode(x)
