"""Structural similarity of images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor

LEAST: Final = 7  # side of the smallest images that are compared
SMALL: Final = 16  # side below which the usual window would see most of an image at once
USUAL_WINDOW, SMALL_WINDOW = 7, 3


def window_of(shape: Sequence[int]) -> int | None:
    """The side of the window for inputs of a shape (C, H, W); None where they are no images, or too small.

    7 is usual (:func:`skimage.metrics.structural_similarity`); of an 8x8 image it would leave four places that share
    most of their pixels, so images below 16x16 get 3.
    """
    if len(shape) != 3 or shape[0] not in (1, 3) or min(shape[1:]) < LEAST:
        return None
    return USUAL_WINDOW if min(shape[1:]) >= SMALL else SMALL_WINDOW


def ssim(x: Tensor, y: Tensor, width: float, window: int) -> Tensor:
    """The structural similarity index of each pair of images, 1 for equal ones, averaged over windows and channels.

    Wang, Bovik, Sheikh and Simoncelli (2004), IEEE Trans. Image Processing 13(4), 600-612; by scikit-image.

    Args:
        x: (N, C, H, W).
        y: the same.
        width: of the range of the data.
        window: its side, odd.

    Returns:
        (N,), in float64.
    """
    from skimage.metrics import structural_similarity

    pairs = zip(x.cpu().double().numpy(), y.cpu().double().numpy(), strict=True)
    found = [structural_similarity(*pair, win_size=window, data_range=width, channel_axis=0) for pair in pairs]
    return torch.tensor(found, dtype=torch.float64)
