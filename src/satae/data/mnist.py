"""MNIST and Fashion-MNIST: 70,000 grey images of 28x28 pixels each, in IDX files."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from satae.config.option_types import Count, FilePath, OpenShare, Seed
from satae.config.registry import DATA_SOURCES
from satae.data.dataset import Dataset, Split, shuffled_splits
from satae.data.published import read_published


@DATA_SOURCES.register("mnist")
def mnist(
    *,
    valid: OpenShare = 0.1,
    split_seed: Seed = 0,
    limit: Count | None = None,
    dir: FilePath | None = None,
    binarize: bool = False,
) -> Dataset:
    """Handwritten digits: images (1, 28, 28) in [0, 1], with labels 0 to 9.

    Source: Y. LeCun, L. Bottou, Y. Bengio and P. Haffner (1998), Gradient-based learning applied to document
    recognition, Proceedings of the IEEE 86(11).

    Raises:
        ValueError: a file is missing, is not what was published, or cannot be fetched; a split would be empty.
    """
    return _read("mnist", dir, binarize, valid, split_seed, limit)


@DATA_SOURCES.register("fashion_mnist")
def fashion_mnist(
    *,
    valid: OpenShare = 0.1,
    split_seed: Seed = 0,
    limit: Count | None = None,
    dir: FilePath | None = None,
    binarize: bool = False,
) -> Dataset:
    """Pictures of clothes: images (1, 28, 28) in [0, 1], with labels 0 to 9.

    Source: H. Xiao, K. Rasul and R. Vollgraf (2017), Fashion-MNIST, arXiv 1708.07747.

    Raises:
        ValueError: as for :func:`mnist`.
    """
    return _read("fashion_mnist", dir, binarize, valid, split_seed, limit)


def _read(name: str, folder: str | None, binarize: bool, valid: float, seed: int, limit: int | None) -> Dataset:
    parts = {part: _parse_idx(content) for part, content in read_published(name, folder).items()}

    def split(part: str) -> Split:
        x, y = parts[f"{part}-images-idx3-ubyte"].unsqueeze(1), parts[f"{part}-labels-idx1-ubyte"]
        return Split((x > 127).to(torch.uint8) * 255 if binarize else x, y.long())

    splits = shuffled_splits(split("train"), valid=valid, test=split("t10k"), seed=seed, limit=limit)
    return Dataset(name, *splits, span=(0.0, 1.0), scale=1 / 255)


def _parse_idx(idx: bytes) -> Tensor:
    """The array in an IDX file: its fourth byte counts the axes, whose lengths follow in four bytes each."""
    shape = np.frombuffer(idx, ">u4", count=idx[3], offset=4)
    return torch.from_numpy(np.frombuffer(idx, np.uint8, offset=4 + shape.nbytes).reshape(shape).copy())
