"""Encoders with their mirrored decoders, fully connected and convolutional, and their initial weights."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Final

import torch
from torch import Tensor, nn

from satae.config.option_types import Width, Widths
from satae.config.registry import ARCHITECTURES
from satae.model.autoencoder import Affine, DenoisingAutoencoder, Dense, Layer, MakeActivation, TiedDense

SMALLEST_SIDE: Final = 8  # pixels of square images that have likely been saved as vectors
RELU_DECODER_SCALE: Final = 0.1  # factor on the last decoder weights behind a convolutional relu code


@ARCHITECTURES.register("mlp")
def mlp(
    shape: Sequence[int],
    act: MakeActivation,
    *,
    widths: Widths = (512, 64),
    tied: bool = False,
    batch_norm: bool = False,
) -> DenoisingAutoencoder:
    """A fully connected autoencoder.

    Args:
        shape: the shape of one input, without the batch.
        act: makes an activation module, for example ``nn.ReLU``.
        widths: units of each encoder layer; the last one is the size of the code.
        tied: the decoder uses the encoder's weights, transposed.
        batch_norm: normalize each hidden layer before its activation.

    Raises:
        ValueError: ``widths`` is empty.
    """
    if not widths:
        raise ValueError("widths=[]: give at least one width, for example [64]")
    sizes = [tuple(shape), *((width,) for width in widths)]
    norm = nn.BatchNorm1d if batch_norm else None
    down = [Dense(inputs, outputs) for inputs, outputs in pairwise(sizes)]
    up: list[Affine] = [TiedDense(m) if tied else Dense(m.outputs, m.inputs) for m in reversed(down)]
    encoder = [_layer(part, act, norm, width) for part, width in zip(down, widths, strict=True)]
    decoder = [_layer(part, act, norm, width) for part, width in zip(up[:-1], reversed(widths[:-1]), strict=True)]
    return DenoisingAutoencoder(_sequence(encoder), _sequence([*decoder, up[-1]]))


@ARCHITECTURES.register("conv")
def conv(
    shape: Sequence[int],
    act: MakeActivation,
    *,
    channels: Widths = (32, 64),
    kernel: Width = 3,
    stride: Width = 2,
    code: Width = 64,
    batch_norm: bool = False,
) -> DenoisingAutoencoder:
    """A convolutional autoencoder: convolutions, then a fully connected code, and the mirror image of both.

    Args:
        shape: the shape of one input: (C, H, W).
        act: makes an activation module, for example ``nn.ReLU``.
        channels: output channels of each convolution.
        kernel: side of the kernels; the borders are padded by (kernel - 1) // 2.
        stride: stride of each convolution.
        code: units of the fully connected layer after the convolutions.
        batch_norm: normalize each hidden layer before its activation.

    Raises:
        ValueError: the input is not an image, ``channels`` is empty, or a kernel is larger than its layer's input.
    """
    sides = _conv_sides(shape, channels, kernel, stride)
    depths = [shape[0], *channels]
    pad = (kernel - 1) // 2
    norm = nn.BatchNorm2d if batch_norm else None
    volume = (depths[-1], *sides[-1])

    def up(i: int) -> Affine:
        height, width = ((n + 2 * pad - kernel) % stride for n in sides[i])  # what the convolution's floor cut off
        return nn.ConvTranspose2d(depths[i + 1], depths[i], kernel, stride, pad, output_padding=(height, width))

    encoder = [
        _layer(nn.Conv2d(fan_in, fan_out, kernel, stride, pad), act, norm, fan_out)
        for fan_in, fan_out in pairwise(depths)
    ]
    encoder += [_layer(Dense(volume, [code]), act, nn.BatchNorm1d if batch_norm else None, code)]
    decoder: list[nn.Module] = [_layer(Dense([code], volume), act, norm, depths[-1])]
    decoder += [_layer(up(i), act, norm, depths[i]) for i in range(len(channels) - 1, 0, -1)]
    return DenoisingAutoencoder(_sequence(encoder), _sequence([*decoder, up(0)]))


def _conv_sides(shape: Sequence[int], channels: Sequence[int], kernel: int, stride: int) -> list[tuple[int, int]]:
    """The height and width of the input and of each convolution's output."""
    if len(shape) != 3:
        images = f", such as {likely[1]}" if len(shape) == 1 and (likely := likely_images(shape[0])) else ""
        raise ValueError(
            f"needs images (C, H, W), but the inputs are {tuple(shape)}; choose mlp, or give the data as images{images}"
        )
    if not channels:
        raise ValueError("channels=[]: give at least one number of channels, for example [32]")
    pad, sides = (kernel - 1) // 2, [(shape[1], shape[2])]
    for depth in range(1, len(channels) + 1):
        height, width = sides[-1]
        if kernel > min(height, width):
            fits = f"at most {depth - 1} channels" if depth > 1 else f"kernel={min(height, width)} or less"
            raise ValueError(
                f"kernel={kernel} is larger than the {height}x{width} input of layer {depth}"
                f" (images {shape[1]}x{shape[2]}, stride={stride}, channels={list(channels)}); use {fits}"
            )
        sides.append(((height + 2 * pad - kernel) // stride + 1, (width + 2 * pad - kernel) // stride + 1))
    return sides


def likely_images(columns: int) -> tuple[str, str] | None:
    """The size of square images that have been saved as vectors, and the remedy; None if no square has so many numbers.

    Args:
        columns: of the vectors.
    """
    for depth, last in ((1, ""), (3, "; of 3 at the end, if the colors of a pixel lie together")):
        side = math.isqrt(columns // depth)
        if side >= SMALLEST_SIDE and depth * side**2 == columns:
            channels = "3, " if depth == 3 else ""
            return f"{side}x{side}{' in color' if last else ''}", f"x.reshape(-1, {channels}{side}, {side}){last}"
    return None


def unread_fraction(shape: Sequence[int], channels: Sequence[int], kernel: int, stride: int) -> float:
    """The fraction of the pixels that no convolution of ``conv`` reads: they reach neither code nor reconstruction.

    Windows are rectangles, so a pixel is read if its row and its column are.

    Args:
        shape: the shape of one input: (C, H, W).
        channels: as in ``conv``.
        kernel: as in ``conv``.
        stride: as in ``conv``.

    Raises:
        ValueError: ``conv`` cannot be built so.
    """
    sides, pad, share = _conv_sides(shape, channels, kernel, stride), (kernel - 1) // 2, 1.0
    for axis in (0, 1):
        read = set(range(sides[-1][axis]))
        for side in reversed(sides[:-1]):
            starts = [place * stride - pad for place in read]
            read = {place for start in starts for place in range(max(0, start), min(side[axis], start + kernel))}
        share *= len(read) / sides[0][axis]
    return 1 - share


def option_that_reads_all(shape: Sequence[int], channels: Sequence[int], kernel: int, stride: int) -> str:
    """The change with which ``conv`` reads every pixel: the nearest kernel, or else the nearest stride."""
    kernels = sorted(range(1, max(shape[1:]) + 1), key=lambda size: (abs(size - kernel), -size))
    for size in kernels:
        if size >= stride and _reads_all(shape, channels, size, stride):
            return f"kernel={size}"
    strides = range(min(stride, kernel), 0, -1)
    return next(f"stride={step}" for step in strides if _reads_all(shape, channels, kernel, step))


def _reads_all(shape: Sequence[int], channels: Sequence[int], kernel: int, stride: int) -> bool:
    try:
        return unread_fraction(shape, channels, kernel, stride) == 0
    except ValueError:  # the kernel is too large
        return False


@torch.no_grad()
def unit_variance(model: DenoisingAutoencoder, x: Tensor) -> None:
    """Scale the weights and shift the bias of each hidden layer so that its z has mean 0 and variance 1 on a batch.

    Layer-sequential unit variance (Mishkin & Matas 2015, arXiv 1511.06422), with the mean removed as well. Without it
    the units of a shrink network start, and stay, in the dead zone. Layers that are batch-normalized, whose weights
    belong to another layer, or whose z does not vary, are not changed.

    Behind a relu code, the weights of a convolutional decoder's last layer are scaled to a tenth. Such a code has
    thousands of inputs, so one step of Adam moves it far. If the first reconstructions were random and large, the first
    steps would kill relu units for good. This rule is our own: measured, not derived. A sigmoid code would learn too
    slowly from small reconstructions.

    Args:
        model: changed in place, encoder first, then the decoder's hidden layers.
        x: a batch (N, *shape), corrupted as in training.
    """
    h = model.standardize(x)
    for part in [*model.encoder.children(), *model.decoder.children()]:
        if isinstance(part, Layer) and isinstance(part.norm, nn.Identity) and not isinstance(part.affine, TiedDense):
            z = part.pre_activation(h)
            std = z.std(correction=0)
            if std > torch.finfo(z.dtype).eps:
                part.affine.weight.div_(std)
                part.affine.bias.sub_(z.mean()).div_(std)  # type: ignore[union-attr]
        h = part(h)
    last, code = [*model.decoder.children()][-1], model.layers()[-1][1]
    if isinstance(last, nn.ConvTranspose2d) and isinstance(code.act, nn.ReLU):
        last.weight.mul_(RELU_DECODER_SCALE)


def _layer(affine: Affine, act: MakeActivation, norm: Callable[[int], nn.Module] | None, width: int) -> Layer:
    return Layer(affine, act(), norm(width) if norm else None)


def _sequence(parts: Sequence[nn.Module]) -> nn.Sequential:
    return nn.Sequential(OrderedDict((f"layer{i}", part) for i, part in enumerate(parts, 1)))
