"""MNIST and Fashion-MNIST: 70,000 grey images of 28x28 pixels each, in IDX files."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from satae.data import archives
from satae.data.archives import PublishedSet
from satae.data.dataset import Dataset, Split
from satae.data.published import FASHION_MNIST, MNIST
from satae.data.splits import shuffled_splits


def mnist(
    *, valid: float = 0.1, split_seed: int = 0, limit: int | None = None, dir: str | None = None, binarize: bool = False
) -> Dataset:
    """Handwritten digits: images (1, 28, 28) in [0, 1], with labels 0 to 9.

    Source: Y. LeCun, L. Bottou, Y. Bengio and P. Haffner (1998), Gradient-based learning applied to document
    recognition, Proceedings of the IEEE 86(11).

    Args:
        valid: share of the 60,000 training images for validation; the 10,000 test images are the test split.
        split_seed: of that choice.
        limit: use only the first ``limit`` images of each split.
        dir: folder with the four files; by default the user's cache, to which they are fetched.
        binarize: 1 where a pixel is brighter than half, else 0.

    Raises:
        ValueError: a file is missing, damaged or another one, or cannot be fetched; a split would be empty.
    """
    return _read(MNIST, dir, binarize, valid=valid, seed=split_seed, limit=limit)


def fashion_mnist(
    *, valid: float = 0.1, split_seed: int = 0, limit: int | None = None, dir: str | None = None, binarize: bool = False
) -> Dataset:
    """Pictures of clothes: images (1, 28, 28) in [0, 1], with labels 0 to 9.

    Source: H. Xiao, K. Rasul and R. Vollgraf (2017), Fashion-MNIST, arXiv 1708.07747.

    Args:
        valid: share of the 60,000 training images for validation; the 10,000 test images are the test split.
        split_seed: of that choice.
        limit: use only the first ``limit`` images of each split.
        dir: folder with the four files; by default that of Debian's package dataset-fashion-mnist, then the user's
            cache, to which they are fetched.
        binarize: 1 where a pixel is brighter than half, else 0.

    Raises:
        ValueError: as for :func:`mnist`.
    """
    return _read(FASHION_MNIST, dir, binarize, valid=valid, seed=split_seed, limit=limit)


def _read(published: PublishedSet, folder: str | None, binarize: bool, **choices: Any) -> Dataset:
    parts = {name: _numbers(content) for name, content in archives.read(published, folder).items()}
    train, test = (
        Split(_images(parts[f"{name}-images-idx3-ubyte"], binarize), parts[f"{name}-labels-idx1-ubyte"].long())
        for name in ("train", "t10k")
    )
    splits = shuffled_splits(train, test=test, **choices)
    return Dataset(published.name, *splits, span=(0.0, 1.0), scale=1 / 255)


def _numbers(idx: bytes) -> Tensor:
    """What an IDX file holds: its fourth byte counts the axes, whose lengths follow in four bytes each."""
    shape = np.frombuffer(idx, ">u4", count=idx[3], offset=4)
    return torch.from_numpy(np.frombuffer(idx, np.uint8, offset=4 + shape.nbytes).reshape(shape).copy())


def _images(x: Tensor, binarize: bool) -> Tensor:
    return ((x > 127).to(torch.uint8) * 255 if binarize else x).unsqueeze(1)
