"""What every data source gives: three splits, in memory or in a file, and how to read a batch of them."""

from __future__ import annotations

import hashlib
import math
from typing import Final, NamedTuple

import torch
from torch import Tensor

from satae.data.on_disk import OnDisk

CHUNK: Final = 2**22  # numbers taken at a time, at most
EXAMPLES: Final = 8192  # and examples
LOOKED_AT: Final = 1024  # examples in a fingerprint of those that stay in a file, about
WHOLE: Final = "whole:"  # begins a fingerprint
TENSOR: Final = 2**25  # numbers in one tensor of examples, at most

Stored = Tensor | OnDisk  # (N, *shape): images as uint8, other data as float32 (in a file, any float)


class Split(NamedTuple):
    """Some examples as they are stored."""

    x: Stored
    y: Tensor | None = None  # (N,) labels, where there are any

    def to(self, device: torch.device) -> Split:
        """The same on a device."""
        return Split(self.x.to(device), None if self.y is None else self.y.to(device))

    def rows(self, index: Tensor) -> Split:
        """Some of the examples, with their labels."""
        return Split(self.x[index], None if self.y is None else self.y[index])


class Dataset(NamedTuple):
    """A data set, split, with the range that its values promise to keep."""

    name: str
    train: Split
    valid: Split
    test: Split  # for evaluation only: training never reads it
    span: tuple[float, float]  # smallest and largest value, after scaling
    scale: float = 1.0  # stored values times this, plus the offset, are the data's own units
    offset: float = 0.0

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one input."""
        return tuple(self.train.x.shape[1:])

    def few(self, most: int) -> int:
        """How many examples one tensor may hold: ``most``, or fewer where they are large."""
        return max(1, min(most, TENSOR // max(1, math.prod(self.shape))))

    def to(self, device: torch.device) -> Dataset:
        """The same with its examples on a device."""
        return self._replace(train=self.train.to(device), valid=self.valid.to(device), test=self.test.to(device))

    def batch(self, stored: Stored) -> Tensor:
        """Stored examples (N, *shape) as float32 in the data's own units."""
        x = stored.load() if isinstance(stored, OnDisk) else stored
        x = x.float() if self.scale == 1 else x * self.scale
        return x if self.offset == 0 else x + self.offset


class Statistics(NamedTuple):
    """Of the training split, in the data's own units."""

    mean: Tensor  # (*shape): of each element
    std: Tensor  # (C, 1, 1) for images, (D,) for vectors: about ``mean``; 1 where nothing varies

    def to(self, device: torch.device) -> Statistics:
        """The same on a device."""
        return Statistics(self.mean.to(device), self.std.to(device))


def chunk(shape: tuple[int, ...]) -> int:
    """How many examples of a shape to take at a time, so that memory does not grow with the data set."""
    return max(1, min(EXAMPLES, CHUNK // max(1, math.prod(shape))))


def fingerprint(dataset: Dataset) -> str:
    """SHA-256 of the examples as they are stored: other numbers, or another order, have another.

    Of examples that stay in a file, since memory does not hold them, it is that of the file's size and of some of them,
    evenly spread. The test split has no part in it.
    """
    total = hashlib.sha256()
    for x in (dataset.train.x, dataset.valid.x):
        total.update(f"{len(x)} {tuple(x.shape)}".encode())
        if isinstance(x, OnDisk):
            total.update(str(x.file.stat().st_size).encode())
            x = x[torch.arange(0, len(x), max(1, len(x) // dataset.few(LOOKED_AT)))]
        for part in x.split(chunk(dataset.shape)):
            numbers = part.load() if isinstance(part, OnDisk) else part
            total.update(str(numbers.dtype).encode())
            total.update(numbers.cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return f"{WHOLE}{total.hexdigest()}"


def is_fingerprint(found: object) -> bool:
    """Whether something is one of these, and not one of an earlier version, which were of a few examples."""
    return isinstance(found, str) and found.startswith(WHOLE)


def statistics(dataset: Dataset) -> Statistics:
    """Mean and standard deviation for :meth:`satae.DenoisingAutoencoder.standardise_by`.

    The mean is that of each element. The deviation from it is one number for each channel of an image, and for each
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
