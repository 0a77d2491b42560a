"""What every data source gives: three splits in memory, and how to read a batch of them."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Split(NamedTuple):
    """Some examples as they are stored: images as uint8, other data as float32."""

    x: Tensor  # (N, *shape)
    y: Tensor | None = None  # (N,) labels, where there are any

    def to(self, device: torch.device) -> Split:
        """The same on a device."""
        return Split(self.x.to(device), None if self.y is None else self.y.to(device))


class Dataset(NamedTuple):
    """A data set, split, with the range that its values promise to keep."""

    name: str
    train: Split
    valid: Split
    test: Split  # for evaluation only: training never reads it
    span: tuple[float, float]  # smallest and largest value, after scaling
    scale: float = 1.0  # stored values times this are the data's own units

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one input."""
        return tuple(self.train.x.shape[1:])

    def to(self, device: torch.device) -> Dataset:
        """The same with its examples on a device."""
        return self._replace(train=self.train.to(device), valid=self.valid.to(device), test=self.test.to(device))

    def batch(self, stored: Tensor) -> Tensor:
        """Stored examples (N, *shape) as float32 in the data's own units."""
        return stored.float() if self.scale == 1 else stored * self.scale


class Statistics(NamedTuple):
    """Of the training split, in the data's own units."""

    mean: Tensor  # (*shape): of each element
    std: Tensor  # (C, 1, 1) for images, (D,) for vectors: about ``mean``; 1 where nothing varies

    def to(self, device: torch.device) -> Statistics:
        """The same on a device."""
        return Statistics(self.mean.to(device), self.std.to(device))


CHUNK = 8192  # examples scaled at a time, so that memory does not grow with the data set


def statistics(dataset: Dataset) -> Statistics:
    """Mean and standard deviation for :meth:`satae.DenoisingAutoencoder.standardise_by`.

    The mean is that of each element. The deviation from it is one number for each channel of an image, and for each
    element of a vector: elements of an image share a unit, those of a vector need not.
    """
    chunks = dataset.train.x.split(CHUNK)
    count = len(dataset.train.x)
    zero = torch.zeros(dataset.shape, dtype=torch.float64, device=dataset.train.x.device)
    mean = sum((dataset.batch(c).double().sum(0) for c in chunks), start=zero) / count
    variance = sum(((dataset.batch(c).double() - mean).square().sum(0) for c in chunks), start=zero) / count
    if variance.dim() > 1:
        variance = variance.mean(dim=(-2, -1), keepdim=True)
    std = variance.sqrt()
    return Statistics(mean.float(), torch.where(std > 0, std, 1.0).float())


def shuffled_splits(
    x: Tensor, y: Tensor | None, *, valid: float, test: float, seed: int, limit: int | None = None
) -> tuple[Split, Split, Split]:
    """Train, valid and test from one pool, in an order drawn from ``seed``.

    Args:
        x: (N, *shape).
        y: (N,) labels, or None.
        valid: share of the pool for validation, in (0, 1).
        test: share for the test.
        seed: of the order, apart from the seed of training so that every run is measured on the same examples.
        limit: keep only the first ``limit`` examples of each split.

    Raises:
        ValueError: a split would be empty.
    """
    if limit is not None and limit < 1:
        raise ValueError(f"data.limit={limit}: must be at least 1, or null for all")
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))
    sizes = [round(len(x) * valid), round(len(x) * test)]
    train = len(x) - sum(sizes)
    if min(train, *sizes) < 1:
        raise ValueError(
            f"data.valid={valid}, data.test={test}: of {len(x)} examples {train} are left to train, {sizes[0]} to"
            f" validate, {sizes[1]} to test; each needs at least one"
        )
    parts = order.split([train, *sizes])
    kept = [part[:limit] for part in parts]
    train_split, valid_split, test_split = (Split(x[i], None if y is None else y[i]) for i in kept)
    return train_split, valid_split, test_split
