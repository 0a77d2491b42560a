"""MNIST and Fashion-MNIST: 70,000 grey images of 28x28 pixels each, in IDX files."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor

from satae.config.option_types import Count, FilePath, OpenShare, Seed
from satae.config.registry import DATA_SOURCES
from satae.data.dataset import Dataset, Split, shuffled_splits
from satae.data.published import Archive, PublishedSet, read_published


def _archives(sha256: dict[str, str], *folders: str) -> tuple[Archive, ...]:
    return tuple(
        Archive(f"{name}.gz", {name: digest}, tuple(f"{folder}/{name}.gz" for folder in folders))
        for name, digest in sha256.items()
    )


MNIST: Final = PublishedSet(
    "mnist",
    _archives(
        {
            "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        },
        "https://ossci-datasets.s3.amazonaws.com/mnist",
        "https://storage.googleapis.com/cvdf-datasets/mnist",
    ),
)
FASHION_MNIST: Final = PublishedSet(
    "fashion_mnist",
    _archives(
        {
            "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        },
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion",
    ),
    system=Path("/usr/share/datasets/fashion-mnist"),  # of Debian's package dataset-fashion-mnist
)


@DATA_SOURCES.register("mnist", published=MNIST)
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
    return _read(MNIST, dir, binarize, valid, split_seed, limit)


@DATA_SOURCES.register("fashion_mnist", published=FASHION_MNIST)
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
    return _read(FASHION_MNIST, dir, binarize, valid, split_seed, limit)


def _read(
    published: PublishedSet, folder: str | None, binarize: bool, valid: float, seed: int, limit: int | None
) -> Dataset:
    parts = {name: _parse_idx(content) for name, content in read_published(published, folder).items()}

    def split(name: str) -> Split:
        x, y = parts[f"{name}-images-idx3-ubyte"].unsqueeze(1), parts[f"{name}-labels-idx1-ubyte"]
        return Split((x > 127).to(torch.uint8) * 255 if binarize else x, y.long())

    splits = shuffled_splits(split("train"), valid=valid, test=split("t10k"), seed=seed, limit=limit)
    return Dataset(published.name, *splits, span=(0.0, 1.0), scale=1 / 255)


def _parse_idx(idx: bytes) -> Tensor:
    """The array in an IDX file: its fourth byte counts the axes, whose lengths follow in four bytes each."""
    shape = np.frombuffer(idx, ">u4", count=idx[3], offset=4)
    return torch.from_numpy(np.frombuffer(idx, np.uint8, offset=4 + shape.nbytes).reshape(shape).copy())
