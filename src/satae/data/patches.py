"""Patches of photographs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
import torch

from satae.data import images
from satae.data.dataset import Dataset, Split
from satae.data.embedded import scikit_learn
from satae.data.splits import check_limit, split_sizes

PHOTOGRAPHS: Final = ("china.jpg", "flower.jpg")  # those that scikit-learn carries


def patches(
    *,
    path: str | None = None,
    size: int = 12,
    count: int = 50_000,
    colour: bool = False,
    valid: float = 0.15,
    test: float = 0.15,
    split_seed: int = 0,
    limit: int | None = None,
) -> Dataset:
    """Squares (1, size, size), or (3, size, size) in colour, cut out at random places.

    The mean of all training pixels is subtracted and their standard deviation divides, as in Goroshin & LeCun (2013),
    arXiv 1301.3577, section 4. Patches overlap; those of different splits come from different parts of each
    photograph, so that they share no pixel: training patches from the left, then those for validation and for the test.

    Args:
        path: folder with photographs; by default the two of 640x427 pixels that scikit-learn carries.
        size: side of a patch.
        count: patches in all three splits together.
        colour: red, green and blue rather than grey.
        valid: share of the patches, and of the width of each photograph, for validation.
        test: share for the test.
        split_seed: of the places.
        limit: use only the first ``limit`` patches of each split.

    Raises:
        ValueError: no photographs, one that cannot be read or is too small; an empty split.
    """
    check_limit(limit)
    files = images.listed(path) if path else _photographs()
    draw = np.random.default_rng(split_seed)
    sizes = split_sizes(count, valid, test)
    shares = draw.multinomial(sizes, np.full(len(files), 1 / len(files)))  # (3, photographs)
    cuts = np.cumsum([0.0, 1 - valid - test, valid, test])
    squares = [
        list(_cut(file, wanted, cuts, size, colour, draw))
        for file, wanted in zip(files, shares.T, strict=True)
        if wanted.any()  # else there are more photographs than patches
    ]
    train, *others = (draw.permutation(np.concatenate(part))[:limit] for part in zip(*squares, strict=True))
    mean, std = float(train.mean()), float(train.std()) or 1.0  # of blank photographs
    train_split, valid_split, test_split = (Split(torch.from_numpy(part)) for part in (train, *others))
    return Dataset(
        "patches",
        train_split,
        valid_split,
        test_split,
        span=(-mean / std, (255 - mean) / std),
        scale=1 / std,
        offset=-mean / std,
    )


def _photographs() -> list[Path]:
    return [scikit_learn("datasets", "images", name) for name in PHOTOGRAPHS]


def _cut(
    file: Path, wanted: np.ndarray, cuts: np.ndarray, size: int, colour: bool, draw: np.random.Generator
) -> Iterator[np.ndarray]:
    """Patches (n, C, size, size) for each split, from its own part of the width."""
    image = images.opened(file, None, colour)
    _, height, width = image.shape
    for number, (left, right) in zip(wanted, pairwise((cuts * width).round().astype(int)), strict=True):
        if min(height, right - left) < size:
            least = math.ceil((size + 1) / np.diff(cuts).min())
            raise ValueError(
                f"{file}: is {width}x{height}; for data.size={size} and these shares, photographs must be at least"
                f" {least}x{size}; take it away, or a smaller data.size"
            )
        places = np.lib.stride_tricks.sliding_window_view(image[:, :, left:right], (size, size), axis=(1, 2))
        rows, columns = (draw.integers(0, end, number) for end in places.shape[1:3])
        yield places[:, rows, columns].transpose(1, 0, 2, 3)
