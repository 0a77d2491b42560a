"""MNIST and Fashion-MNIST: 70,000 grey images of 28x28 pixels each, in IDX files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from satae.data import archives
from satae.data.archives import Archive, Published
from satae.data.dataset import Dataset, Split, shuffled_splits


def _files(sha256: Mapping[str, str], *folders: str) -> tuple[Archive, ...]:
    return tuple(
        Archive(f"{name}.gz", {name: digest}, tuple(f"{folder}/{name}.gz" for folder in folders))
        for name, digest in sha256.items()
    )


MNIST: Final = Published(
    "mnist",
    _files(
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
FASHION_MNIST: Final = Published(
    "fashion_mnist",
    _files(
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


def _read(published: Published, folder: str | None, binarize: bool, **choices: Any) -> Dataset:
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
