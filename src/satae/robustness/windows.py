"""Windows of images, a different one for each image: what the Square attack moves."""

from __future__ import annotations

import functools
import math
from typing import Final, NamedTuple

import torch
from torch import Tensor

from satae.robustness.draws import Draws

TILES: Final = 5  # along each side, of the first point of the L_2 attack
FIRST_COUNT: Final = 1 << 40  # of the draws of the first point, which no query comes to


def as_image(x: Tensor) -> Tensor:
    """(N, C, H, W) of images; anything else as one row: (N, 1, 1, features)."""
    return x if x.ndim == 4 else x.reshape(len(x), 1, 1, -1)


def sides_of(image: Tensor, share: float, least: int = 1) -> tuple[int, int]:
    """Height and width of a window that covers a share of the image, a square where there is room for one."""
    height, width = image.shape[-2:]
    side = max(round(math.sqrt(share * height * width)), least)
    rows = min(side, height)
    return rows, min(max(round(share * height * width / rows), least), width)


class Windows(NamedTuple):
    """A window of the same size in each of several images."""

    top: Tensor  # (N,)
    left: Tensor  # (N,)
    sides: tuple[int, int]
    of: tuple[int, int]  # height and width of the images

    @classmethod
    def draw(cls, draws: Draws, sides: tuple[int, int], image: Tensor, count: int) -> Windows:
        """Somewhere in each image; it takes the draws ``count`` and ``count`` + 1."""
        height, width = image.shape[-2:]
        top, left = draws.below(height - sides[0] + 1, count), draws.below(width - sides[1] + 1, count + 1)
        return cls(top, left, sides, (height, width))

    def mask(self) -> Tensor:
        """Which pixels are in it: booleans (N, 1, H, W)."""
        rows, columns = (
            (torch.arange(length, device=begin.device) >= begin[:, None])
            & (torch.arange(length, device=begin.device) < begin[:, None] + side)
            for begin, side, length in zip((self.top, self.left), self.sides, self.of, strict=True)
        )
        return (rows[:, :, None] & columns[:, None, :])[:, None]

    def cut(self, image: Tensor) -> Tensor:
        """What is in it: (N, C, *sides)."""
        return image.flatten(2).gather(2, self._pixels(image)).view(*image.shape[:2], *self.sides)

    def paste(self, inside: Tensor, image: Tensor) -> Tensor:
        """The images with something else in their windows."""
        return image.flatten(2).scatter(2, self._pixels(image), inside.flatten(2)).view_as(image)

    def _pixels(self, image: Tensor) -> Tensor:
        rows = self.top[:, None, None] + torch.arange(self.sides[0], device=image.device)[:, None]
        columns = self.left[:, None, None] + torch.arange(self.sides[1], device=image.device)
        pixels: Tensor = (rows * self.of[1] + columns).flatten(1)
        return pixels[:, None].expand(-1, image.shape[1], -1)


def stripes(draws: Draws, image: Tensor) -> Tensor:
    """A sign for each column and channel: the first direction of the L_inf attack, (N, C, H, W)."""
    return draws.signs(FIRST_COUNT, (image.shape[1], 1, image.shape[3])).to(image.dtype).expand_as(image)


def tiles(draws: Draws, image: Tensor) -> Tensor:
    """A bump, up or down, in each tile and channel: the first direction of the L_2 attack, (N, C, H, W)."""
    channels, height, width = image.shape[1:]
    rows, columns = max(height // TILES, 1), max(width // TILES, 1)
    down, across = height // rows, width // columns
    one = bump(rows, columns).to(image)
    signs = draws.signs(FIRST_COUNT, (channels, down, across)).to(image.dtype)
    found = torch.zeros_like(image)
    found[..., : down * rows, : across * columns] = torch.kron(signs, one)
    return found


@functools.lru_cache(maxsize=256)
def bump(height: int, width: int) -> Tensor:
    """Two hills of opposite sign, side by side along the rows where there are two; of length 1: (height, width).

    The hills are those of equation (2) of arXiv 1912.00049.
    """
    if height == 1 and width > 1:
        return bump(width, 1).reshape(1, width)
    upper = height // 2
    both = torch.cat([_hill(upper, width), -_hill(height - upper, width)])
    normed: Tensor = both / torch.linalg.vector_norm(both)
    return normed


def _hill(height: int, width: int) -> Tensor:
    """The sum over k >= d of 1 / (k + 1)^2, d the distance from the middle; of length 1."""
    rows, columns = (torch.arange(side) - side // 2 for side in (height, width))
    far = torch.maximum(rows.abs()[:, None], columns.abs())
    last = max(height // 2 + 1, width // 2 + 1)
    steps = 1 / torch.arange(1, last + 1).float().square()
    hill = steps.flip(0).cumsum(0).flip(0)[far]
    normed: Tensor = hill / torch.linalg.vector_norm(hill).clamp_min(1e-12)
    return normed
