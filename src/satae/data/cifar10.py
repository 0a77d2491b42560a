"""CIFAR-10: 60,000 colour images of 32x32 pixels, in the archive that is made for Python."""

from __future__ import annotations

import io
import pickle
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from satae.data import archives
from satae.data.dataset import Dataset, Split
from satae.data.published import BATCHES, CIFAR10
from satae.data.splits import shuffled_splits


def cifar10(*, valid: float = 0.1, split_seed: int = 0, limit: int | None = None, dir: str | None = None) -> Dataset:
    """Photographs: images (3, 32, 32) in [0, 1], with labels 0 to 9.

    Source: A. Krizhevsky (2009), Learning multiple layers of features from tiny images.

    Args:
        valid: share of the 50,000 training images for validation; the 10,000 test images are the test split.
        split_seed: of that choice.
        limit: use only the first ``limit`` images of each split.
        dir: folder with the archive or what was unpacked from it; by default the user's cache, to which it is fetched.

    Raises:
        ValueError: a file is missing, damaged or another one, or cannot be fetched; a split would be empty.
    """
    batches = archives.read(CIFAR10, dir)
    xs, ys = zip(*(_batch(batches[name]) for name in BATCHES), strict=True)
    train, test = (Split(torch.cat(xs[part]), torch.cat(ys[part])) for part in (slice(-1), slice(-1, None)))
    splits = shuffled_splits(train, valid=valid, test=test, seed=split_seed, limit=limit)
    return Dataset("cifar10", *splits, span=(0.0, 1.0), scale=1 / 255)


def _batch(content: bytes) -> tuple[Tensor, Tensor]:
    """Images (N, 3, 32, 32) and labels (N,)."""
    batch = ArrayUnpickler(io.BytesIO(content), encoding="bytes").load()
    return torch.from_numpy(batch[b"data"]).view(-1, 3, 32, 32), torch.tensor(batch[b"labels"])


class ArrayUnpickler(pickle.Unpickler):
    """Reads a pickle of plain data and arrays, and refuses one that asks for anything else, which could run code."""

    known: ClassVar = {
        ("numpy.core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],  # wherever this numpy keeps it
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
    }

    def find_class(self, module: str, name: str) -> Any:
        """The three names that an array asks for."""
        if (module, name) not in self.known:
            raise pickle.UnpicklingError(f"asks for {module}.{name}, which is no part of an array")
        return self.known[module, name]
