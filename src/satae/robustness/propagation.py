"""What each layer of a network does to distances: the parts that certified bounds are put together from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from satae.model.autoencoder import DenoisingAutoencoder
from satae.model.layers import Dense, Layer, TiedDense
from satae.robustness.ball import Norm

Affine = nn.Linear | TiedDense | nn.Conv2d | nn.ConvTranspose2d
AFFINE: Final = (nn.Linear, TiedDense, nn.Conv2d, nn.ConvTranspose2d)
RESHAPING: Final = (nn.Flatten, nn.Unflatten, nn.Identity, nn.Dropout)  # dropout does nothing in evaluation


class Encoder(nn.Module):
    """The encoder of an autoencoder as a module of its own: inputs (N, *shape) in the data's units to codes (N, K)."""

    def __init__(self, autoencoder: DenoisingAutoencoder) -> None:
        super().__init__()
        self.autoencoder = autoencoder

    def forward(self, x: Tensor) -> Tensor:
        """The code."""
        return self.autoencoder.encode(x)


class Curve(NamedTuple):
    """An activation that rises everywhere, or falls to one lowest point and rises from there."""

    steepest: Callable[[Any], float]  # the largest |f'|
    lowest: float | None = None  # where that point is


# The numbers are those of a search on a fine grid, rounded up; a test repeats it.
CURVES: Final[dict[type[nn.Module], Curve]] = {
    nn.ReLU: Curve(lambda act: 1.0),
    nn.Softshrink: Curve(lambda act: 1.0),
    nn.Hardtanh: Curve(lambda act: 1.0),
    nn.ReLU6: Curve(lambda act: 1.0),
    nn.Hardsigmoid: Curve(lambda act: 1 / 6),
    nn.Hardswish: Curve(lambda act: 1.5, lowest=-1.5),
    nn.Sigmoid: Curve(lambda act: 0.25),
    nn.Tanh: Curve(lambda act: 1.0),
    nn.Softsign: Curve(lambda act: 1.0),
    nn.Softplus: Curve(lambda act: 1.0),
    nn.ELU: Curve(lambda act: max(1.0, act.alpha)),
    nn.CELU: Curve(lambda act: 1.0),
    nn.SELU: Curve(lambda act: 1.7580994),
    nn.GELU: Curve(lambda act: 1.12950, lowest=-0.7519),
    nn.SiLU: Curve(lambda act: 1.09984, lowest=-1.27846),
    nn.Mish: Curve(lambda act: 1.08850, lowest=-1.19241),
    nn.LogSigmoid: Curve(lambda act: 1.0),
    nn.LeakyReLU: Curve(lambda act: max(1.0, act.negative_slope)),
}


def parts(module: nn.Module) -> Iterator[nn.Module]:
    """The layers of a network in the order of the forward pass.

    Raises:
        ValueError: a module whose effect is not known.
    """
    if isinstance(module, DenoisingAutoencoder):
        yield from (*parts(Encoder(module)), *parts(module.decoder), Scale(module.std, module.mean))
    elif isinstance(module, Encoder):
        whole = module.autoencoder
        yield Scale(1 / whole.std, -whole.mean / whole.std)
        yield from parts(whole.encoder)
    elif isinstance(module, Layer):
        yield from (*parts(module.affine), *parts(module.norm), *parts(module.act))
    elif isinstance(module, nn.Sequential):
        for part in module:
            yield from parts(part)
    elif isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
        yield _normalisation(module)
    elif isinstance(module, (*AFFINE, *RESHAPING)) or type(module) in CURVES:
        yield module
    else:
        raise ValueError(
            f"no bound is known for {type(module).__name__}; they are for"
            f" {', '.join(sorted(kind.__name__ for kind in (*AFFINE, *RESHAPING, *CURVES)))}, Sequential and batch norm"
        )


class Scale(nn.Module):
    """y = factor * x + shift, element by element."""

    factor: Tensor
    shift: Tensor

    def __init__(self, factor: Tensor, shift: Tensor) -> None:
        super().__init__()
        self.register_buffer("factor", factor)
        self.register_buffer("shift", shift)

    def forward(self, x: Tensor) -> Tensor:
        """factor * x + shift."""
        return self.factor * x + self.shift


def _normalisation(module: nn.BatchNorm1d | nn.BatchNorm2d) -> Scale:
    """Batch normalisation as it is in evaluation mode."""
    if module.running_mean is None or module.running_var is None or module.training:
        raise ValueError(f"no bound is known for {type(module).__name__} in training; call eval() on the model first")
    factor = (module.running_var + module.eps).rsqrt()
    factor = factor if module.weight is None else factor * module.weight.detach()
    shift = -module.running_mean * factor + (0 if module.bias is None else module.bias.detach())
    shape = (-1, 1, 1) if isinstance(module, nn.BatchNorm2d) else (-1,)
    return Scale(factor.view(shape), shift.view(shape))


def weighted(affine: Affine, weight: Tensor, bias: Tensor | None, h: Tensor) -> Tensor:
    """An affine layer with other weights: (N, ...) to (N, ...)."""
    match affine:
        case Dense():
            return functional.linear(h.flatten(1), weight, bias).view(-1, *affine.outputs)
        case TiedDense():
            return functional.linear(h.flatten(1), weight, bias).view(-1, *affine._forth[0].inputs)
        case nn.Conv2d():
            convolved: Tensor = affine._conv_forward(h, weight, bias)
            return convolved
        case nn.ConvTranspose2d():
            settled: Any = (affine.stride, affine.padding, affine.output_padding, affine.groups, affine.dilation)
            return functional.conv_transpose2d(h, weight, bias, *settled)
    return functional.linear(h, weight, bias)


def gain(part: nn.Module, norm: Norm, h: Tensor) -> float:
    """The largest factor by which a layer can stretch a distance.

    Args:
        part: one of :func:`parts`.
        norm: of the distances on both sides.
        h: an input of the layer (1, ...), for its shape.
    """
    if isinstance(part, Scale):
        return part.factor.abs().max().item()
    if isinstance(part, AFFINE):
        return _row_sum(part, h) if norm == "linf" else _spectral(part, h)
    return CURVES[type(part)].steepest(part) if type(part) in CURVES else 1.0


def _row_sum(affine: Affine, h: Tensor) -> float:
    """The norm from L_inf to L_inf: the largest sum of absolute weights that reach one output. Exact."""
    return weighted(affine, affine.weight.detach().abs().double(), None, torch.ones_like(h[:1]).double()).max().item()


def _spectral(affine: Affine, h: Tensor) -> float:
    """The norm from L_2 to L_2: exact for a fully connected layer, an upper bound for a convolution."""
    weight = affine.weight.detach().double()
    if isinstance(affine, nn.Conv2d | nn.ConvTranspose2d):
        small = h if isinstance(affine, nn.ConvTranspose2d) else affine(h)
        return _on_a_torus(affine, weight, small.shape[-2:])
    return float(torch.linalg.matrix_norm(weight, 2))


def _on_a_torus(conv: nn.Conv2d | nn.ConvTranspose2d, weight: Tensor, small: torch.Size) -> float:
    """The spectral norm of a convolution with strides on a torus so large that nothing meets itself around it.

    What a convolution with zeros at its borders does is part of what the one on the torus does, so its norm is not
    larger. On a torus the Fourier transform takes it apart into a matrix for each frequency (Sedghi, Gupta & Long 2019,
    arXiv 1805.10408); a stride of s first becomes s^2 times the channels. A transposed convolution has the norm of the
    convolution that it transposes.

    Args:
        conv: for its strides.
        weight: (outputs, inputs, height, width) of the convolution.
        small: height and width of the images behind the strides.
    """
    if conv.groups != 1 or any(step != 1 for step in conv.dilation) or conv.padding_mode != "zeros":
        raise ValueError(f"no bound is known for {conv}: groups, dilation and other borders than zeros")
    rows, columns = conv.stride
    down, across = (-weight.shape[2] % rows, -weight.shape[3] % columns)
    padded = functional.pad(weight, (0, across, 0, down))
    height, width = padded.shape[2] // rows, padded.shape[3] // columns
    phases = padded.view(*padded.shape[:2], height, rows, width, columns).permute(0, 1, 3, 5, 2, 4)
    kernel = phases.reshape(len(weight), -1, height, width)
    around = (small[0] + height - 1, small[1] + width - 1)
    frequencies = torch.fft.fft2(kernel, s=around).permute(2, 3, 0, 1)
    return float(torch.linalg.matrix_norm(frequencies, 2).max())
