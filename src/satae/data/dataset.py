"""What every data source gives: three splits, in memory or in a file, and how to read a batch of them."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import torch
from torch import Tensor

from satae.data.on_disk import OnDisk

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

    def to(self, device: torch.device) -> Dataset:
        """The same with its examples on a device."""
        return self._replace(train=self.train.to(device), valid=self.valid.to(device), test=self.test.to(device))

    def batch(self, stored: Stored) -> Tensor:
        """Stored examples (N, *shape) as float32 in the data's own units."""
        x = stored.float()
        x = x if self.scale == 1 else x * self.scale
        return x if self.offset == 0 else x + self.offset


class Statistics(NamedTuple):
    """Of the training split, in the data's own units."""

    mean: Tensor  # (*shape): of each element
    std: Tensor  # (C, 1, 1) for images, (D,) for vectors: about ``mean``; 1 where nothing varies

    def to(self, device: torch.device) -> Statistics:
        """The same on a device."""
        return Statistics(self.mean.to(device), self.std.to(device))


CHUNK: Final = 2**22  # numbers scaled at a time, so that memory does not grow with the data set


def chunk(shape: tuple[int, ...], most: int = 8192) -> int:
    """How many examples of a shape to take at a time."""
    return max(1, min(most, CHUNK // max(1, math.prod(shape))))


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


HELD: Final = 2**29  # bytes up to which a split from a file is held in memory


def held(split: Split) -> Split:
    """A split read into memory, where it is small."""
    if not isinstance(split.x, OnDisk) or len(split.x) * math.prod(split.x.shape[1:]) * split.x.itemsize > HELD:
        return split
    return split._replace(x=split.x.load())


def check_alike(where: str, test: Split, train: Split, remedy: str = "save both alike") -> None:
    """Refuse a test split that is of another shape or kind than what is trained on.

    Args:
        where: the test split comes from, for the message.
        test: the split.
        train: what is trained on.
        remedy: what to do.

    Raises:
        ValueError: it is.
    """
    kinds = [
        f"{tuple(split.x.shape[1:])} of {'uint8' if split.x.itemsize == 1 else 'float32'}" for split in (test, train)
    ]
    if kinds[0] != kinds[1]:
        raise ValueError(f"{where}: its test examples are {kinds[0]}, those to train on {kinds[1]}; {remedy}")


def check_limit(limit: int | None) -> None:
    """Refuse to keep fewer than one example of each split.

    Raises:
        ValueError: ``limit`` is below 1.
    """
    if limit is not None and limit < 1:
        raise ValueError(f"data.limit={limit}: must be at least 1, or null for all")


def split_sizes(count: int, valid: float, test: float | None) -> list[int]:
    """How many of ``count`` examples go to train, valid and test; ``test`` is None where a set has a test split.

    Raises:
        ValueError: a split would be empty.
    """
    sizes = [round(count * valid), *([] if test is None else [round(count * test)])]
    sizes = [count - sum(sizes), *sizes]
    if min(sizes) < 1:
        shares = f"data.valid={valid}" + ("" if test is None else f", data.test={test}")
        uses = ["are left to train", "to validate", "to test"][: len(sizes)]
        left = ", ".join(f"{size} {use}" for size, use in zip(sizes, uses, strict=True))
        raise ValueError(f"{shares}: of {count} examples {left}; each needs at least one")
    return sizes


def shuffled_splits(
    pool: Split, *, valid: float, test: float | Split, seed: int, limit: int | None = None
) -> tuple[Split, Split, Split]:
    """Train, valid and test, drawn from ``seed``; in memory, where they are small.

    Args:
        pool: what is split.
        valid: share of the pool for validation, in (0, 1).
        test: share of the pool for the test, or the test split that the data set has.
        seed: of the order, apart from the seed of training so that every run is measured on the same examples.
        limit: keep only the first ``limit`` examples of each split.

    Raises:
        ValueError: a split would be empty.
    """
    check_limit(limit)
    order = torch.randperm(len(pool.x), generator=torch.Generator().manual_seed(seed))
    parts = order.split(split_sizes(len(order), valid, None if isinstance(test, Split) else test))
    splits = [pool.rows(part[:limit]) for part in parts]
    splits += [test.rows(torch.arange(len(test.x))[:limit])] if isinstance(test, Split) else []
    train_split, valid_split, test_split = map(held, splits)
    return train_split, valid_split, test_split
