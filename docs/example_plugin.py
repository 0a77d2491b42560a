"""An example of a plugin: a residual encoder, an activation and a data source, in one file.

satae-train plugins=docs/example_plugin.py arch=resnet act=ramp data=stripes
"""

import math
from collections import OrderedDict
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from satae.config.option_types import Count, OpenShare, PositiveValue, Seed, Width, Widths
from satae.config.registry import ARCHITECTURES, DATA_SOURCES
from satae.data.dataset import Dataset, Split, shuffled_splits
from satae.model.activations import Properties, activation
from satae.model.autoencoder import DenoisingAutoencoder, Dense, Layer, MakeActivation

# an activation


@activation("ramp", Properties(flat=lambda act, eps: [(-math.inf, 0.0), (act.height, math.inf)], largest_slope=1.0))
class Ramp(nn.Module):
    """z clipped to [0, height]."""

    def __init__(self, *, height: PositiveValue = 2.0) -> None:
        super().__init__()
        self.height = height

    def forward(self, z: Tensor) -> Tensor:
        """Values in [0, height]."""
        return z.clamp(0.0, self.height)


# an architecture


class Block(Layer):
    """A residual layer of half the height and width: z = norm(conv(f(conv(h))) + skip(h)) (He et al. 2015)."""

    def __init__(self, inputs: int, outputs: int, act: MakeActivation) -> None:
        super().__init__(nn.Conv2d(inputs, outputs, 3, stride=2, padding=1), act(), nn.BatchNorm2d(outputs))
        self.inner, self.second = act(), nn.Conv2d(outputs, outputs, 3, padding=1)
        self.skip = nn.Conv2d(inputs, outputs, 1, stride=2)

    def pre_activation(self, h: Tensor) -> Tensor:
        """z (N, outputs, H/2, W/2), on which the penalty acts."""
        return self.norm(self.second(self.inner(self.affine(h))) + self.skip(h))


@ARCHITECTURES.register("resnet")
def resnet(
    shape: Sequence[int], act: MakeActivation, *, channels: Widths = (16, 32), code: Width = 32
) -> DenoisingAutoencoder:
    """Residual convolutions, then a fully connected code; a plain decoder."""
    if len(shape) != 3:
        raise ValueError(f"needs images (C, H, W), but the inputs are {tuple(shape)}")
    height, width = shape[1:]
    for _ in channels:
        height, width = (height + 1) // 2, (width + 1) // 2
    blocks: list[nn.Module] = [Block(fan_in, fan_out, act) for fan_in, fan_out in pairwise([shape[0], *channels])]
    blocks.append(Layer(Dense([channels[-1], height, width], [code]), act()))
    decoder = [Layer(Dense([code], [4 * code]), act()), Dense([4 * code], shape)]
    names = [f"layer{number}" for number in range(1, len(blocks) + 1)]
    return DenoisingAutoencoder(nn.Sequential(OrderedDict(zip(names, blocks, strict=True))), nn.Sequential(*decoder))


# a data source


@DATA_SOURCES.register("stripes", images=True)
def stripes(
    *,
    count: Count = 600,
    side: Width = 8,
    valid: OpenShare = 0.2,
    test: OpenShare = 0.2,
    split_seed: Seed = 0,
    limit: Count | None = None,
) -> Dataset:
    """Images (1, side, side) of horizontal and vertical stripes, computed."""
    random = torch.Generator().manual_seed(split_seed)
    y = torch.randint(2, (count,), generator=random)
    frequency, phase = (torch.rand(count, 1, 1, generator=random) for _ in range(2))
    wave = 0.5 + 0.5 * torch.sin(6.3 * (phase + (0.1 + 0.2 * frequency) * torch.arange(side).view(1, 1, side)))
    x = wave.expand(count, side, side)
    x = torch.where(y.view(-1, 1, 1) == 1, x, x.mT).unsqueeze(1).contiguous()
    splits = shuffled_splits(Split(x, y), valid=valid, test=test, seed=split_seed, limit=limit)
    return Dataset("stripes", *splits, span=(0.0, 1.0))
