"""Certified upper bounds on how far the output of a network can move: layer norms and interval bound propagation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from satae.config.option_types import Norm
from satae.model.activations import PROPERTIES, evaluate
from satae.model.autoencoder import Affine, DenoisingAutoencoder, Dense, Encoder, Layer, TiedDense
from satae.robustness.norm_ball import NormBall, vector_norm

SHAPE_LAYERS: Final = (nn.Flatten, nn.Unflatten, nn.Identity, nn.Dropout)  # dropout does nothing in evaluation


class UnknownBoundError(ValueError):
    """No bound is known for a layer, such as one of a plugin."""


class CertifiedBound(NamedTuple):
    """The largest possible change of the output, in the norm of the ball."""

    change: Tensor  # (N,), the smaller of the two bounds
    by_norms: float  # radius times the product of the layers' norms, the same for every input
    by_intervals: Tensor  # (N,), from intervals propagated through the layers


@torch.no_grad()
def certified_bound(module: nn.Module, x: Tensor, ball: NormBall) -> CertifiedBound:
    """Upper bounds on |f(x + d) - f(x)| over all d of a ball, with both sides in the norm of the ball.

        by norms       epsilon * product over the layers of their operator norms (Szegedy et al. 2014, arXiv 1312.6199)
        by intervals   distance from f(x) to the furthest corner of a box that contains every f(x + d)
                       (interval bound propagation, Gowal et al. 2018, arXiv 1810.12715)

    The bounds hold in exact arithmetic and are computed in float64; a value measured in float32 can exceed them by its
    rounding errors.

    Args:
        module: an autoencoder, an ``Encoder``, a classifier, or a Sequential of these, in evaluation mode.
        x: inputs (N, *shape) in the range of the data.
        ball: the perturbations.

    Raises:
        UnknownBoundError: no bound is known for a layer.
    """
    layers, clean, h, product = list(layers_of(module)), x.double(), x[:1], 1.0
    low, high = ((clean + sign * ball.epsilon).clamp(ball.low, ball.high) for sign in (-1, 1))
    box = _Box(low, high, clean, torch.full_like(clean, ball.epsilon) if ball.norm == "l2" else None)
    for layer in layers:
        box = _propagate(layer, box)
        product *= operator_norm(layer, ball.norm, h)
        h = evaluate(layer, h) if type(layer) in BOUNDED_ACTIVATIONS else layer(h)
    by_intervals = vector_norm(torch.maximum(box.high - box.clean, box.clean - box.low), ball.norm)
    by_norms = ball.epsilon * product
    return CertifiedBound(by_intervals.clamp_max(by_norms), by_norms, by_intervals)


# activations with a known largest slope; each increases, or decreases up to ``minimum`` and then increases
BOUNDED_ACTIVATIONS: Final = {kind: known for kind, known in PROPERTIES.items() if known.largest_slope is not None}


def layers_of(module: nn.Module) -> Iterator[nn.Module]:
    """The layers of a network in the order of the forward pass.

    Raises:
        UnknownBoundError: no bound is known for a module.
    """
    if type(module) is DenoisingAutoencoder:  # a class of a plugin may do something else with its parts
        yield from (*layers_of(Encoder(module)), *layers_of(module.decoder), ElementwiseScale(module.std, module.mean))
    elif isinstance(module, Encoder) and type(module.autoencoder) is DenoisingAutoencoder:
        model = module.autoencoder
        yield ElementwiseScale(1 / model.std, -model.mean / model.std)
        yield from layers_of(model.encoder)
    elif type(module) is Layer:
        yield from (*layers_of(module.affine), *layers_of(module.norm), *layers_of(module.act))
    elif type(module) is nn.Sequential:
        for part in module:
            yield from layers_of(part)
    elif isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
        yield _batch_norm_scale(module)
    elif type(module) in (Dense, *get_args(Affine), *SHAPE_LAYERS, *BOUNDED_ACTIVATIONS):
        yield module
    else:
        known = sorted(kind.__name__ for kind in (*get_args(Affine), *SHAPE_LAYERS, *BOUNDED_ACTIVATIONS))
        raise UnknownBoundError(
            f"no bound is known for {type(module).__name__}; there are bounds for {', '.join(known)}, Sequential and"
            " batch norm"
        )


class ElementwiseScale(nn.Module):
    """y = factor * x + shift, element by element."""

    factor: Tensor
    shift: Tensor

    def __init__(self, factor: Tensor, shift: Tensor) -> None:
        super().__init__()
        self.register_buffer("factor", factor)
        self.register_buffer("shift", shift)

    def forward(self, x: Tensor) -> Tensor:
        """Compute factor * x + shift."""
        return self.factor * x + self.shift


def _batch_norm_scale(module: nn.BatchNorm1d | nn.BatchNorm2d) -> ElementwiseScale:
    """Batch normalization in evaluation mode, as one scale and shift."""
    if module.running_mean is None or module.running_var is None or module.training:
        raise UnknownBoundError(
            f"no bound is known for {type(module).__name__} in training; call eval() on the model first"
        )
    factor = (module.running_var + module.eps).rsqrt()
    factor = factor if module.weight is None else factor * module.weight.detach()
    shift = -module.running_mean * factor + (0 if module.bias is None else module.bias.detach())
    shape = (-1, 1, 1) if isinstance(module, nn.BatchNorm2d) else (-1,)
    return ElementwiseScale(factor.view(shape), shift.view(shape))


def apply_affine(layer: Affine, weight: Tensor, bias: Tensor | None, h: Tensor) -> Tensor:
    """Apply an affine layer with other weights: (N, ...) to (N, ...)."""
    match layer:
        case Dense() | TiedDense():
            return functional.linear(h.flatten(1), weight, bias).view(-1, *layer.outputs)
        case nn.Conv2d():
            convolved: Tensor = layer._conv_forward(h, weight, bias)
            return convolved
        case nn.ConvTranspose2d():
            options: Any = (layer.stride, layer.padding, layer.output_padding, layer.groups, layer.dilation)
            return functional.conv_transpose2d(h, weight, bias, *options)
    return functional.linear(h, weight, bias)


# bounds by norms


def operator_norm(layer: nn.Module, norm: Norm, h: Tensor) -> float:
    """The largest factor by which a layer of :func:`layers_of` can stretch a distance.

    For L_inf it is the largest sum of absolute weights of one output. For L_2 it is exact for a fully connected layer,
    and an upper bound for a convolution. ``h`` is an input of the layer (1, ...), for its shape.
    """
    if isinstance(layer, ElementwiseScale):
        return layer.factor.abs().max().item()
    if isinstance(layer, Affine):
        weight = layer.weight.detach().double()
        if norm == "linf":
            return apply_affine(layer, weight.abs(), None, torch.ones_like(h[:1]).double()).max().item()
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            small = h if isinstance(layer, nn.ConvTranspose2d) else layer(h)
            return _torus_spectral_norm(layer, weight, small.shape[-2:])
        return float(torch.linalg.matrix_norm(weight, 2))
    properties = BOUNDED_ACTIVATIONS.get(type(layer))
    slope_bound = None if properties is None else properties.slope_bound(layer)
    return 1.0 if slope_bound is None else slope_bound


def _torus_spectral_norm(conv: nn.Conv2d | nn.ConvTranspose2d, weight: Tensor, small: torch.Size) -> float:
    """The spectral norm of a strided convolution on a torus large enough that no kernel overlaps itself.

    A convolution with zero padding is a part of the convolution on the torus, so its norm is not larger. On a torus
    the Fourier transform splits it into one matrix for each frequency (Sedghi, Gupta & Long 2019, arXiv 1805.10408); a
    stride of s first becomes s^2 times the channels. A transposed convolution has the norm of the convolution that it
    transposes. ``small`` has the height and width of the images after the strides.
    """
    if conv.groups != 1 or any(step != 1 for step in conv.dilation) or conv.padding_mode != "zeros":
        raise UnknownBoundError(f"no bound is known for {conv}: groups, dilation and padding other than zeros")
    rows, columns = conv.stride
    down, across = (-weight.shape[2] % rows, -weight.shape[3] % columns)
    padded = functional.pad(weight, (0, across, 0, down))
    height, width = padded.shape[2] // rows, padded.shape[3] // columns
    phases = padded.view(*padded.shape[:2], height, rows, width, columns).permute(0, 1, 3, 5, 2, 4)
    kernel = phases.reshape(len(weight), -1, height, width)
    torus = (small[0] + height - 1, small[1] + width - 1)
    frequencies = torch.fft.fft2(kernel, s=torus).permute(2, 3, 0, 1)
    return float(torch.linalg.matrix_norm(frequencies, 2).max())


# bounds by intervals


class _Box(NamedTuple):
    """All values that the input of a layer can have."""

    low: Tensor
    high: Tensor
    clean: Tensor  # the value for the unperturbed input
    radii: Tensor | None  # (N, ...) as long as |change / radii|_2 <= 1 also holds: up to the first affine layer


def _propagate(layer: Any, box: _Box) -> _Box:
    if isinstance(layer, ElementwiseScale):
        factor, shift = layer.factor.double(), layer.shift.double()
        ends = torch.stack([factor * box.low, factor * box.high]) + shift
        radii = None if box.radii is None else factor.abs() * box.radii
        return _Box(ends.amin(dim=0), ends.amax(dim=0), factor * box.clean + shift, radii)
    if isinstance(layer, Affine):
        return _propagate_affine(layer, box)
    if type(layer) in BOUNDED_ACTIVATIONS:
        low, high, clean = (evaluate(layer, values) for values in (box.low, box.high, box.clean))
        return _Box(_lowest_value(layer, box, torch.minimum(low, high)), torch.maximum(low, high), clean, None)
    radii = None if box.radii is None else layer(box.radii)
    return _Box(layer(box.low), layer(box.high), layer(box.clean), radii)


def _propagate_affine(layer: Any, box: _Box) -> _Box:
    weight = layer.weight.double()
    bias = None if layer.bias is None else layer.bias.double()
    middle = apply_affine(layer, weight, bias, (box.high + box.low) / 2)
    reach = apply_affine(layer, weight.abs(), None, (box.high - box.low) / 2)
    clean = apply_affine(layer, weight, bias, box.clean)
    low, high = middle - reach, middle + reach
    if box.radii is not None:
        length = apply_affine(layer, weight.square(), None, box.radii.square()).sqrt()
        low, high = torch.maximum(low, clean - length), torch.minimum(high, clean + length)
    return _Box(low, high, clean, None)


def _lowest_value(layer: nn.Module, box: _Box, ends: Tensor) -> Tensor:
    """The smallest value on each interval: at an end, or at the lowest point if the interval contains it."""
    lowest = BOUNDED_ACTIVATIONS[type(layer)].minimum
    if lowest is None:
        return ends
    near = torch.linspace(lowest - 1e-3, lowest + 1e-3, 2001, dtype=torch.float64, device=ends.device)
    bottom = evaluate(layer, near).amin() - 1e-9
    contains = (box.low < near[-1]) & (box.high > near[0])
    return torch.where(contains, torch.minimum(ends, bottom), ends)
