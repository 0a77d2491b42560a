"""Encoders with their mirrored decoders: fully connected and convolutional."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from itertools import pairwise

from torch import nn

from satae.model.autoencoder import DenoisingAutoencoder
from satae.model.layers import Affine, Dense, Layer, MakeActivation, TiedDense

Side = tuple[int, int]  # height, width


def mlp(
    shape: Sequence[int],
    act: MakeActivation,
    *,
    widths: Sequence[int] = (512, 64),
    tied: bool = False,
    batch_norm: bool = False,
) -> DenoisingAutoencoder:
    """A fully connected autoencoder.

    Args:
        shape: of one input, without the batch.
        act: makes an activation module, for example ``nn.ReLU``.
        widths: units of each encoder layer; the last one is the size of the code.
        tied: the decoder uses the encoder's weights, transposed.
        batch_norm: normalise each hidden layer before its activation.

    Raises:
        ValueError: no widths.
    """
    if not widths:
        raise ValueError("arch.widths=[]: give at least one width, for example arch.widths=[64]")
    sizes = [tuple(shape), *((width,) for width in widths)]
    norm = nn.BatchNorm1d if batch_norm else None
    forth = [Dense(inputs, outputs) for inputs, outputs in pairwise(sizes)]
    back: list[Affine] = [TiedDense(m) if tied else Dense(m.outputs, m.inputs) for m in reversed(forth)]
    encoder = [_layer(part, act, norm, width) for part, width in zip(forth, widths, strict=True)]
    decoder = [_layer(part, act, norm, width) for part, width in zip(back[:-1], reversed(widths[:-1]), strict=True)]
    return DenoisingAutoencoder(_named(encoder), _named([*decoder, back[-1]]))


def conv(
    shape: Sequence[int],
    act: MakeActivation,
    *,
    channels: Sequence[int] = (32, 64),
    kernel: int = 3,
    stride: int = 2,
    code: int = 64,
    batch_norm: bool = False,
) -> DenoisingAutoencoder:
    """A convolutional autoencoder: convolutions, then a fully connected code, and the mirror image of both.

    Args:
        shape: of one input: (C, H, W).
        act: makes an activation module, for example ``nn.ReLU``.
        channels: of each convolution.
        kernel: side of the kernels; the borders are padded by (kernel - 1) // 2.
        stride: of each convolution.
        code: units of the fully connected layer after them.
        batch_norm: normalise each hidden layer before its activation.

    Raises:
        ValueError: the input is no image, or a kernel is larger than what it looks at.
    """
    sides = conv_sides(shape, channels, kernel, stride)
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
    return DenoisingAutoencoder(_named(encoder), _named([*decoder, up(0)]))


ARCHITECTURES: dict[str, Callable[..., DenoisingAutoencoder]] = {"mlp": mlp, "conv": conv}


def conv_sides(shape: Sequence[int], channels: Sequence[int], kernel: int, stride: int) -> list[Side]:
    """Height and width of the input and of each convolution's output.

    Raises:
        ValueError: see :func:`conv`.
    """
    if len(shape) != 3:
        raise ValueError(
            f"arch=conv needs images (C, H, W), but the inputs are {tuple(shape)}; choose arch=mlp, or give the data as"
            " images"
        )
    if not channels:
        raise ValueError("arch.channels=[]: give at least one number of channels, for example arch.channels=[32]")
    pad, sides = (kernel - 1) // 2, [(shape[1], shape[2])]
    for depth in range(1, len(channels) + 1):
        height, width = sides[-1]
        if kernel > min(height, width):
            fits = f"at most {depth - 1} channels" if depth > 1 else f"arch.kernel={min(height, width)} or less"
            raise ValueError(
                f"arch.kernel={kernel} is larger than the {height}x{width} input of layer {depth}"
                f" (images {shape[1]}x{shape[2]}, arch.stride={stride}, arch.channels={list(channels)}); use {fits}"
            )
        sides.append(((height + 2 * pad - kernel) // stride + 1, (width + 2 * pad - kernel) // stride + 1))
    return sides


def _layer(affine: Affine, act: MakeActivation, norm: Callable[[int], nn.Module] | None, width: int) -> Layer:
    return Layer(affine, act(), norm(width) if norm else None)


def _named(parts: Sequence[nn.Module]) -> nn.Sequential:
    return nn.Sequential(OrderedDict((f"layer{i}", part) for i, part in enumerate(parts, 1)))
