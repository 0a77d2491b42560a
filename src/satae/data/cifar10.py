"""CIFAR-10: 60,000 color images of 32x32 pixels, in the archive that is made for Python."""

from __future__ import annotations

import io
import pickle
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from satae.config.option_types import Count, FilePath, OpenShare, Seed
from satae.config.registry import DATA_SOURCES
from satae.data.dataset import Dataset, Split, shuffled_splits
from satae.data.published import read_published


@DATA_SOURCES.register("cifar10")
def cifar10(
    *, valid: OpenShare = 0.1, split_seed: Seed = 0, limit: Count | None = None, dir: FilePath | None = None
) -> Dataset:
    """Photographs: images (3, 32, 32) in [0, 1], with labels 0 to 9.

    Source: A. Krizhevsky (2009), Learning multiple layers of features from tiny images.

    Raises:
        ValueError: a file is missing, is not what was published, or cannot be fetched; a split would be empty.
    """
    parts = read_published("cifar10", dir)
    xs, ys = zip(*(_read_batch(parts[name]) for name in sorted(parts)), strict=True)  # test_batch is the last
    train = Split(torch.cat(xs[:-1]), torch.cat(ys[:-1]))
    splits = shuffled_splits(train, valid=valid, test=Split(xs[-1], ys[-1]), seed=split_seed, limit=limit)
    return Dataset("cifar10", *splits, span=(0.0, 1.0), scale=1 / 255)


def _read_batch(content: bytes) -> tuple[Tensor, Tensor]:
    """Images (N, 3, 32, 32) and labels (N,)."""
    batch = ArrayUnpickler(io.BytesIO(content), encoding="bytes").load()
    return torch.from_numpy(batch[b"data"]).view(-1, 3, 32, 32), torch.tensor(batch[b"labels"])


class ArrayUnpickler(pickle.Unpickler):
    """Reads a pickle of plain data and arrays, and refuses any that asks for something else, which could run code."""

    known: ClassVar = {
        ("numpy.core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],  # the place differs between versions
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
    }

    def find_class(self, module: str, name: str) -> Any:
        """One of the three names that an array needs."""
        if (module, name) not in self.known:
            raise pickle.UnpicklingError(f"asks for {module}.{name}, which is not part of an array")
        return self.known[module, name]
