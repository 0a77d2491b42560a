"""The result of every data source: three splits, in memory or in a file, and their statistics."""

from __future__ import annotations

import hashlib
import math
from typing import Final, NamedTuple

import torch
from torch import Tensor

from satae.data.on_disk import OnDisk

CHUNK_NUMBERS: Final = 2**22  # numbers processed at a time, at most
CHUNK_EXAMPLES: Final = 8192  # examples processed at a time, at most
TENSOR_NUMBERS: Final = 2**25  # numbers in one tensor of examples, at most
MEMORY_BYTES: Final = 2**29  # a split from a file is read into memory up to this size
FINGERPRINT_EXAMPLES: Final = 1024  # about this number of examples in the fingerprint of a file
FINGERPRINT_PREFIX: Final = "whole:"

Stored = Tensor | OnDisk  # (N, *shape): images as uint8, other data as float32 (in a file, any float)


class Split(NamedTuple):
    """Some examples as they are stored."""

    x: Stored
    y: Tensor | None = None  # (N,) labels, if the data have any

    def to(self, device: torch.device) -> Split:
        """Move the split to a device."""
        return Split(self.x.to(device), None if self.y is None else self.y.to(device))

    def rows(self, index: Tensor) -> Split:
        """Select some of the examples, with their labels."""
        return Split(self.x[index], None if self.y is None else self.y[index])

    def in_memory_if_small(self) -> Split:
        """Read the examples into memory if they need at most ``MEMORY_BYTES``."""
        if not isinstance(self.x, OnDisk) or math.prod(self.x.shape) * self.x.itemsize > MEMORY_BYTES:
            return self
        return self._replace(x=self.x.load())


class Dataset(NamedTuple):
    """A data set in three splits, with the range of its values."""

    name: str
    train: Split
    valid: Split
    test: Split  # for evaluation only: training never reads it
    span: tuple[float, float]  # smallest and largest value, after scaling
    scale: float = 1.0  # stored values times the scale, plus the offset, are in the data's own units
    offset: float = 0.0

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one input."""
        return tuple(self.train.x.shape[1:])

    def few(self, most: int) -> int:
        """How many examples one tensor may hold: ``most``, or fewer if they are large."""
        return max(1, min(most, TENSOR_NUMBERS // max(1, math.prod(self.shape))))

    def to(self, device: torch.device) -> Dataset:
        """Move the splits to a device."""
        return self._replace(train=self.train.to(device), valid=self.valid.to(device), test=self.test.to(device))

    def batch(self, stored: Stored) -> Tensor:
        """Stored examples (N, *shape) as float32 in the data's own units."""
        x = stored.load() if isinstance(stored, OnDisk) else stored
        x = x.float() if self.scale == 1 else x * self.scale
        return x if self.offset == 0 else x + self.offset


class Statistics(NamedTuple):
    """Mean and standard deviation of the training split, in the data's own units."""

    mean: Tensor  # (*shape): of each element
    std: Tensor  # (C, 1, 1) for images, (D,) for vectors: about ``mean``; 1 where nothing varies

    def to(self, device: torch.device) -> Statistics:
        """Move the statistics to a device."""
        return Statistics(self.mean.to(device), self.std.to(device))


def chunk(shape: tuple[int, ...]) -> int:
    """How many examples of a shape to process at a time, so that memory does not grow with the data set."""
    return max(1, min(CHUNK_EXAMPLES, CHUNK_NUMBERS // max(1, math.prod(shape))))


def statistics(dataset: Dataset) -> Statistics:
    """Mean and standard deviation for :meth:`satae.DenoisingAutoencoder.standardize_by`.

    The mean is taken for each element. The deviation from it is one number for each channel of an image, and for each
    element of a vector: elements of an image share a unit, those of a vector need not.
    """
    x, size = dataset.train.x, chunk(dataset.shape)
    zero = torch.zeros(dataset.shape, dtype=torch.float64, device=x.device)
    mean = sum((dataset.batch(part).double().sum(0) for part in x.split(size)), start=zero) / len(x)
    squares = ((dataset.batch(part).double() - mean).square_().sum(0) for part in x.split(size))
    variance = sum(squares, start=zero) / len(x)
    if variance.dim() > 1:
        variance = variance.mean(dim=(-2, -1), keepdim=True)
    std = variance.sqrt()
    return Statistics(mean.float(), torch.where(std > 0, std, 1.0).float())


def fingerprint(dataset: Dataset) -> str:
    """SHA-256 of the examples as they are stored, which changes with any number and with their order.

    If the examples stay in a file, it covers the size of the file and some of the examples, evenly spread, since memory
    does not hold all. It does not depend on the test split.
    """
    digest = hashlib.sha256()
    for x in (dataset.train.x, dataset.valid.x):
        digest.update(f"{len(x)} {tuple(x.shape)}".encode())
        if isinstance(x, OnDisk):
            digest.update(str(x.file.stat().st_size).encode())
            x = x[torch.arange(0, len(x), max(1, len(x) // dataset.few(FINGERPRINT_EXAMPLES)))]
        for part in x.split(chunk(dataset.shape)):
            numbers = part.load() if isinstance(part, OnDisk) else part
            digest.update(str(numbers.dtype).encode())
            digest.update(numbers.cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return f"{FINGERPRINT_PREFIX}{digest.hexdigest()}"


def is_fingerprint(value: object) -> bool:
    """Whether a value is from :func:`fingerprint`, not from an earlier version, which read a few examples only."""
    return isinstance(value, str) and value.startswith(FINGERPRINT_PREFIX)


def check_limit(limit: int | None) -> None:
    """Refuse to keep fewer than one example of each split.

    Raises:
        ValueError: ``limit`` is below 1.
    """
    if limit is not None and limit < 1:
        raise ValueError(f"limit={limit}: must be at least 1, or null for all")


def split_sizes(count: int, valid: float, test: float | None) -> list[int]:
    """How many of ``count`` examples go to train, valid and test; ``test`` is None if the data have a test split.

    Raises:
        ValueError: a split would be empty.
    """
    shares = f"valid={valid:g}" + ("" if test is None else f", test={test:g}")
    if valid + (test or 0) >= 1:
        raise ValueError(f"{shares}: together must be below 1")
    sizes = [round(count * valid), *([] if test is None else [round(count * test)])]
    sizes = [count - sum(sizes), *sizes]
    if min(sizes) < 1:
        uses = ["are left to train", "to validate", "to test"]
        left = ", ".join(f"{size} {use}" for size, use in zip(sizes, uses, strict=False))
        raise ValueError(f"{shares}: of {count} examples {left}; each needs at least one")
    return sizes


def shuffled_splits(
    pool: Split, *, valid: float, test: float | Split, seed: int, limit: int | None = None
) -> tuple[Split, Split, Split]:
    """Divide a pool of examples at random into train, valid and test. Small splits are read into memory.

    Args:
        pool: the examples.
        valid: share of the pool for validation, in (0, 1).
        test: share of the pool for the test, or the test split that the data set has.
        seed: of the order. It is separate from the seed of training, so that every run is measured on the same
            examples.
        limit: keep only the first ``limit`` examples of each split.

    Raises:
        ValueError: a split would be empty.
    """
    check_limit(limit)
    order = torch.randperm(len(pool.x), generator=torch.Generator().manual_seed(seed))
    parts = order.split(split_sizes(len(order), valid, None if isinstance(test, Split) else test))
    splits = [pool.rows(part[:limit]) for part in parts]
    if isinstance(test, Split):
        splits.append(test.rows(torch.arange(len(test.x))[:limit]))
    train_split, valid_split, test_split = (split.in_memory_if_small() for split in splits)
    return train_split, valid_split, test_split
