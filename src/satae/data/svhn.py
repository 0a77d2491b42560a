"""SVHN: 99,289 colour images of house numbers, 32x32 pixels each, in Matlab's files."""

from __future__ import annotations

import io

import torch

from satae.data import archives
from satae.data.dataset import Dataset, Split
from satae.data.published import SVHN
from satae.data.splits import shuffled_splits


def svhn(*, valid: float = 0.1, split_seed: int = 0, limit: int | None = None, dir: str | None = None) -> Dataset:
    """House numbers: images (3, 32, 32) in [0, 1], with labels 0 to 9.

    Source: Y. Netzer et al. (2011), Reading digits in natural images with unsupervised feature learning. The extra
    training images are not used.

    Args:
        valid: share of the 73,257 training images for validation; the 26,032 test images are the test split.
        split_seed: of that choice.
        limit: use only the first ``limit`` images of each split.
        dir: folder with the two files; by default the user's cache, to which they are fetched.

    Raises:
        ValueError: a file is missing, damaged or another one, or cannot be fetched; a split would be empty.
    """
    parts = archives.read(SVHN, dir)
    train, test = (_split(content) for content in parts.values())
    splits = shuffled_splits(train, valid=valid, test=test, seed=split_seed, limit=limit)
    return Dataset("svhn", *splits, span=(0.0, 1.0), scale=1 / 255)


def _split(content: bytes) -> Split:
    from scipy.io import loadmat

    found = loadmat(io.BytesIO(content))
    x = torch.from_numpy(found["X"]).permute(3, 2, 0, 1).contiguous()  # (32, 32, 3, N)
    return Split(x, torch.from_numpy(found["y"]).flatten().long() % 10)  # 0 is written 10
