"""SVHN: 99,289 color images of house numbers, 32x32 pixels each, in Matlab's files."""

from __future__ import annotations

import io

import torch

from satae.config.option_types import Count, FilePath, OpenShare, Seed
from satae.config.registry import DATA_SOURCES
from satae.data.dataset import Dataset, Split, shuffled_splits
from satae.data.published import read_published


@DATA_SOURCES.register("svhn")
def svhn(
    *, valid: OpenShare = 0.1, split_seed: Seed = 0, limit: Count | None = None, dir: FilePath | None = None
) -> Dataset:
    """House numbers: images (3, 32, 32) in [0, 1], with labels 0 to 9.

    Source: Y. Netzer et al. (2011), Reading digits in natural images with unsupervised feature learning. The extra
    training images are not used.

    Raises:
        ValueError: a file is missing, is not what was published, or cannot be fetched; a split would be empty.
    """
    train, test = (_read_split(content) for content in read_published("svhn", dir).values())
    splits = shuffled_splits(train, valid=valid, test=test, seed=split_seed, limit=limit)
    return Dataset("svhn", *splits, span=(0.0, 1.0), scale=1 / 255)


def _read_split(content: bytes) -> Split:
    from scipy.io import loadmat

    arrays = loadmat(io.BytesIO(content))
    x = torch.from_numpy(arrays["X"]).permute(3, 2, 0, 1).contiguous()  # (32, 32, 3, N) in the file
    return Split(x, torch.from_numpy(arrays["y"]).flatten().long() % 10)  # the files write 10 for the digit 0
