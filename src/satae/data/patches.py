"""Patches of photographs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Annotated, Final

import numpy as np
import torch
from pydantic import Field

from satae.config.option_types import Count, FilePath, OpenShare, Seed, Width
from satae.config.registry import DATA_SOURCES
from satae.data.dataset import Dataset, Split, refuse_constant, split_sizes
from satae.data.decoding import Background, DecodedImage
from satae.data.images import decode, find_images, local_image, survey
from satae.data.local_files import scikit_learn_file

SCIKIT_LEARN_PHOTOGRAPHS: Final = ("china.jpg", "flower.jpg")  # 640x427 pixels each


@DATA_SOURCES.register("patches")
def patches(
    *,
    path: FilePath | None = None,
    size: Width = 12,
    count: Annotated[int, Field(ge=3, le=10**8)] = 50_000,
    colour: bool = False,
    background: Background = "auto",
    valid: OpenShare = 0.15,
    test: OpenShare = 0.15,
    split_seed: Seed = 0,
    limit: Count | None = None,
) -> Dataset:
    """Squares (1, size, size), or (3, size, size) in color, cut out at random places.

    The mean of all training pixels is subtracted and their standard deviation divides, as in Goroshin & LeCun (2013),
    arXiv 1301.3577, section 4. Patches overlap. Different splits take them from different parts of each photograph, so
    that splits share no pixel: training patches come from the left, then those for validation and for the test.

    Raises:
        ValueError: there are no photographs, one cannot be read or is too small, or a split would be empty.
    """
    files, notes = (
        find_images(path)
        if path
        else ([scikit_learn_file("datasets", "images", name) for name in SCIKIT_LEARN_PHOTOGRAPHS], [])
    )
    photographs = [local_image(file) for file in files]
    found = survey(photographs, background, size=None, colour=colour)
    names = [photographs[number].name for number, pages in enumerate(found.pages) for _ in pages]
    draw = np.random.default_rng(split_seed)
    sizes = split_sizes(count, valid, test)
    shares = draw.multinomial(sizes, np.full(len(names), 1 / len(names)))  # (3, photographs)
    cuts = np.cumsum([0.0, 1 - valid - test, valid, test])
    images = decode(photographs, found, size=None, colour=colour)
    squares = [
        list(_cut_patches(name, image, numbers, cuts, size, draw))
        for name, numbers, (_, image) in zip(names, shares.T, images, strict=True)
        if numbers.any()  # there may be more photographs than patches
    ]
    parts = [draw.permutation(np.concatenate(part))[:limit] for part in zip(*squares, strict=True)]
    refuse_constant(f"path={path}", Split(torch.from_numpy(parts[0])))
    mean, std = float(parts[0].mean()), float(parts[0].std())
    train_split, valid_split, test_split = (Split(torch.from_numpy(part)) for part in parts)
    brightest = 1 if found.rendering.fractions else 255
    return Dataset(
        "patches",
        train_split,
        valid_split,
        test_split,
        span=(-mean / std, (brightest - mean) / std),
        scale=1 / std,
        offset=-mean / std,
        notes=(*notes, *found.notes) if path else (),
    )


def _cut_patches(
    name: str, image: DecodedImage, numbers: np.ndarray, cuts: np.ndarray, size: int, draw: np.random.Generator
) -> Iterator[np.ndarray]:
    """Patches (n, C, size, size) for each split, from its own part of the width."""
    _, height, width = image.shape
    for number, (left, right) in zip(numbers, pairwise((cuts * width).round().astype(int)), strict=True):
        if min(height, right - left) < size:
            least = math.ceil((size + 1) / np.diff(cuts).min())
            raise ValueError(
                f"{name}: is {width}x{height}; for size={size} and these shares, photographs must be at least"
                f" {least}x{size}; remove it, or choose a smaller size"
            )
        places = np.lib.stride_tricks.sliding_window_view(image[:, :, left:right], (size, size), axis=(1, 2))
        rows, columns = (draw.integers(0, end, number) for end in places.shape[1:3])
        yield places[:, rows, columns].transpose(1, 0, 2, 3)
