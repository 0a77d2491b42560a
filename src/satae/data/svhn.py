"""SVHN: 99,289 colour images of house numbers, 32x32 pixels each, in Matlab's files."""

from __future__ import annotations

import io
from typing import Final

import torch

from satae.config.option_types import Count, FilePath, OpenShare, Seed
from satae.config.registry import DATA_SOURCES
from satae.data.dataset import Dataset, Split, shuffled_splits
from satae.data.published import Archive, PublishedSet, read_published

SVHN: Final = PublishedSet(
    "svhn",
    tuple(
        Archive(name, {name: digest}, (f"http://ufldl.stanford.edu/housenumbers/{name}",))
        for name, digest in {
            "train_32x32.mat": "435e94d69a87fde4fd4d7f3dd208dfc32cb6ae8af2240d066de1df7508d083b8",
            "test_32x32.mat": "cdce80dfb2a2c4c6160906d0bd7c68ec5a99d7ca4831afa54f09182025b6a75b",
        }.items()
    ),
)


@DATA_SOURCES.register("svhn", published=SVHN)
def svhn(
    *, valid: OpenShare = 0.1, split_seed: Seed = 0, limit: Count | None = None, dir: FilePath | None = None
) -> Dataset:
    """House numbers: images (3, 32, 32) in [0, 1], with labels 0 to 9.

    Source: Y. Netzer et al. (2011), Reading digits in natural images with unsupervised feature learning. The extra
    training images are not used.

    Raises:
        ValueError: a file is missing, is not what was published, or cannot be fetched; a split would be empty.
    """
    train, test = (_read_split(content) for content in read_published(SVHN, dir).values())
    splits = shuffled_splits(train, valid=valid, test=test, seed=split_seed, limit=limit)
    return Dataset("svhn", *splits, span=(0.0, 1.0), scale=1 / 255)


def _read_split(content: bytes) -> Split:
    from scipy.io import loadmat

    arrays = loadmat(io.BytesIO(content))
    x = torch.from_numpy(arrays["X"]).permute(3, 2, 0, 1).contiguous()  # (32, 32, 3, N) in the file
    return Split(x, torch.from_numpy(arrays["y"]).flatten().long() % 10)  # the files write 10 for the digit 0
