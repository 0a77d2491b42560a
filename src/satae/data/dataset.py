"""The result of every data source: three splits, in memory or in a file too large for it, and their statistics."""

from __future__ import annotations

import functools
import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from torch import Tensor

CHUNK_NUMBERS: Final = 2**22  # numbers processed at a time, at most
CHUNK_EXAMPLES: Final = 8192  # examples processed at a time, at most
TENSOR_NUMBERS: Final = 2**25  # numbers in one tensor of examples, at most
MEMORY_BYTES: Final = 2**29  # a split from a file is read into memory up to this size
FINGERPRINT_EXAMPLES: Final = 1024  # about this number of examples in the fingerprint of a file
FINGERPRINT_PREFIX: Final = "whole:"
LEAST_DIFFERENCE: Final = 1e-15  # between examples: of smaller ones, errors have no squares in float32

CPU: Final = torch.device("cpu")


@dataclass(frozen=True)
class OnDisk:
    """Rows of a ``.npy`` file, which stand for a tensor (N, *shape) of examples; :meth:`load` reads them.

    Rows are read one by one, not through a memory map: the system counts every page that it maps around a row as memory
    of the process, and soon that is the whole file.
    """

    file: Path
    offset: int  # bytes before the first number
    dtype: np.dtype
    row: tuple[int, ...]  # shape of one row of the file
    axes: tuple[int, ...]  # axes of the file, in the order of the tensor's axes; 0 is the first
    index: Tensor  # (N,): numbers of the rows, on the CPU
    device: torch.device = CPU  # of the tensors that ``load`` returns
    center: np.ndarray | None = None  # subtracted from each row of the file; a number, or one for each column

    @classmethod
    def of(cls, array: np.memmap) -> OnDisk:
        """All rows of an array that ``numpy.load`` mapped, which is stored row by row."""
        file, (count, *row) = Path(str(array.filename)), array.shape
        return cls(file, array.offset, array.dtype, tuple(row), tuple(range(array.ndim)), torch.arange(count))

    @property
    def shape(self) -> torch.Size:
        """The shape of the tensor that ``load`` returns, (N, *shape)."""
        return torch.Size([len(self), *(self.row[axis - 1] for axis in self.axes[1:])])

    @property
    def itemsize(self) -> int:
        """Bytes of one number in the tensor that ``load`` returns."""
        return 1 if self.dtype == np.uint8 else 4

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, rows: slice | Tensor) -> OnDisk:
        return replace(self, index=self.index[rows if isinstance(rows, slice) else rows.cpu()])

    def index_select(self, axis: int, rows: Tensor) -> OnDisk:
        """Select rows, like the method of a tensor; ``axis`` is 0."""
        assert axis == 0
        return self[rows]

    def split(self, size: int) -> list[OnDisk]:
        """Divide the rows into parts of ``size`` rows."""
        return [replace(self, index=part) for part in self.index.split(size)]

    def to(self, device: torch.device) -> OnDisk:
        """Choose the device of the tensors that ``load`` returns."""
        return replace(self, device=device)

    def float(self) -> Tensor:
        """Read the rows as float32, (N, *shape)."""
        return self.load().float()

    def load(self) -> Tensor:
        """Read the rows, (N, *shape): as uint8 if they are stored so, else as float32.

        Raises:
            OSError: the file is missing, or has become shorter.
        """
        rows = self.read_rows()
        stored = as_stored((rows if self.center is None else rows - self.center).transpose(self.axes))
        on_gpu = self.device.type == "cuda"
        return (stored.pin_memory() if on_gpu else stored).to(self.device, non_blocking=on_gpu)

    def read_rows(self) -> np.ndarray:
        """Read the rows as they are in the file, (N, *row).

        Raises:
            OSError: the file is missing, or has become shorter.
        """
        rows = np.empty((len(self), *self.row), self.dtype)
        places = rows.reshape(len(self), math.prod(self.row)).view(np.uint8)
        index = self.index.numpy()
        starts = np.flatnonzero(np.diff(index, prepend=-2) != 1)  # adjacent rows are read together
        with self.file.open("rb", buffering=0) as file:
            for start, end in pairwise([*starts.tolist(), len(index)]):
                run = places[start:end]
                file.seek(self.offset + int(index[start]) * places.shape[1])
                if file.readinto(run.data) != run.nbytes:
                    raise OSError(f"{self.file}: has become shorter while it was read")
        return rows


Stored = Tensor | OnDisk  # (N, *shape): images as uint8, other data as float32 (in a file, any float)


def as_stored(values: np.ndarray) -> Tensor:
    """An array as a tensor: uint8 stays, other types become float32. Numbers too large for that become infinite."""
    with np.errstate(over="ignore"):
        kind = np.uint8 if values.dtype == np.uint8 else np.float32
        return torch.from_numpy(np.ascontiguousarray(values, dtype=kind))


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


class Statistics(NamedTuple):
    """Mean and standard deviation of the training split, in the data's own units."""

    mean: Tensor  # (*shape): of each element
    std: Tensor  # (C, 1, 1) for images, (D,) for vectors: about ``mean``; 1 where nothing varies

    def to(self, device: torch.device) -> Statistics:
        """Move the statistics to a device."""
        return Statistics(self.mean.to(device), self.std.to(device))


class ColumnRanges(NamedTuple):
    """The range of each column of vectors in the training split, which is mapped to 0..1."""

    low: Tensor  # (D,), as stored
    width: Tensor  # (D,); 1 where nothing varies
    center: Tensor  # (D,), float64: stored numbers plus this are those in the file
    shared: tuple[float, float]  # smallest and largest value of all columns, as stored
    note: str  # says so to the user

    def to(self, device: torch.device) -> ColumnRanges:
        """Move the ranges to a device."""
        return self._replace(low=self.low.to(device), width=self.width.to(device))

    def to_dict(self) -> dict[str, list[float]]:
        """The smallest and the largest value of each column, in the units of the file."""
        low = self.low.cpu().double() + self.center
        return {"low": low.tolist(), "high": (low + self.width.cpu().double()).tolist()}


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set in three splits, with the range of its values."""

    name: str
    train: Split
    valid: Split
    test: Split  # for evaluation only: training never reads it
    span: tuple[float, float]  # smallest and largest value, after scaling
    scale: float = 1.0  # stored values times the scale, plus the offset, are in the data's own units
    offset: float = 0.0
    columns: ColumnRanges | None = None  # then the own unit of each column is its range
    center: np.ndarray | None = None  # of data without ``columns``: stored numbers plus this are those in the file
    notes: tuple[str, ...] = ()  # what was guessed, dropped or converted, for the user; one line each

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one input."""
        return tuple(self.train.x.shape[1:])

    @property
    def splits(self) -> tuple[Split, Split, Split]:
        """The training, validation and test split."""
        return self.train, self.valid, self.test

    def max_examples(self, most: int) -> int:
        """How many examples one tensor may hold: ``most``, or fewer if they are large."""
        return max(1, min(most, TENSOR_NUMBERS // max(1, math.prod(self.shape))))

    def to(self, device: torch.device) -> Dataset:
        """Move the splits to a device."""
        train, valid, test = (split.to(device) for split in self.splits)
        columns = self.columns and self.columns.to(device)
        return replace(self, train=train, valid=valid, test=test, columns=columns)

    def batch(self, stored: Stored) -> Tensor:
        """Stored examples (N, *shape) as float32 in the data's own units."""
        x = stored.load() if isinstance(stored, OnDisk) else stored
        if self.columns is not None:
            return (x - self.columns.low).div_(self.columns.width)
        x = x.float() if self.scale == 1 else x * self.scale
        return x if self.offset == 0 else x + self.offset

    def as_seen_by(self, facts: Mapping[str, Any]) -> Dataset:
        """The data set as a run with these facts saw it: earlier versions had one range for all columns."""
        if self.columns is None:
            return self
        notes = tuple(note for note in self.notes if note != self.columns.note)
        shared = replace(self, columns=None, span=self.columns.shared, notes=notes)
        return shared if facts.get("data") == shared.fingerprint else self

    @functools.cached_property
    def statistics(self) -> Statistics:
        """Mean and standard deviation of the training split, for :meth:`satae.DenoisingAutoencoder.standardize_by`.

        The mean is taken for each element. The deviation from it is one number for each channel of an image, and for
        each element of a vector: elements of an image share a unit, those of a vector need not. Both are computed in
        float64, which not every GPU has.
        """
        x, size = self.train.x, chunk(self.shape)
        zero = torch.zeros(self.shape, dtype=torch.float64, device=x.device)
        mean = sum((self.batch(part).double().sum(0) for part in x.split(size)), start=zero) / len(x)
        squares = ((self.batch(part).double() - mean).square_().sum(0) for part in x.split(size))
        variance = sum(squares, start=zero) / len(x)
        if variance.dim() > 1:
            variance = variance.mean(dim=(-2, -1), keepdim=True)
        std = variance.sqrt()
        return Statistics(mean.float(), torch.where(std > 0, std, 1.0).float())

    @functools.cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the examples as they are stored, which changes with any number and with their order.

        If the examples stay in a file, it covers the size of the file and some of the examples, evenly spread, since
        memory does not hold all. It does not depend on the test split.
        """
        columns = b"" if self.columns is None else b"a range for each column"
        return f"{FINGERPRINT_PREFIX}{self._digest(columns, self.train.x, self.valid.x)}"

    @functools.cached_property
    def evaluated_fingerprints(self) -> dict[str, str]:
        """SHA-256 of what only evaluations read: the test examples, and the labels of each split that has some."""
        names = ("training", "validation", "test")
        labels = {f"{name} labels": split.y for name, split in zip(names, self.splits, strict=True)}
        parts: dict[str, Stored | None] = {"test examples": self.test.x, **labels}
        return {name: self._digest(b"", x) for name, x in parts.items() if x is not None}

    def _digest(self, start: bytes, *parts: Stored) -> str:
        digest = hashlib.sha256(start)
        for x in parts:
            digest.update(f"{len(x)} {tuple(x.shape)}".encode())
            if isinstance(x, OnDisk):
                digest.update(str(x.file.stat().st_size).encode())
                x = x[torch.arange(0, len(x), max(1, len(x) // self.max_examples(FINGERPRINT_EXAMPLES)))]
            for part in x.split(chunk(tuple(x.shape[1:]))):
                numbers = part.load() if isinstance(part, OnDisk) else part
                digest.update(str(numbers.dtype).encode())
                digest.update(numbers.cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
        return digest.hexdigest()


def chunk(shape: tuple[int, ...]) -> int:
    """How many examples of a shape to process at a time, so that memory does not grow with the data set."""
    return max(1, min(CHUNK_EXAMPLES, CHUNK_NUMBERS // max(1, math.prod(shape))))


def is_fingerprint(value: object) -> bool:
    """Whether a value is a :attr:`Dataset.fingerprint`, not one of an earlier version, which read a few examples."""
    return isinstance(value, str) and value.startswith(FINGERPRINT_PREFIX)


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
    pool: Split,
    *,
    valid: float,
    test: float | Split,
    seed: int,
    limit: int | None = None,
    groups: Tensor | None = None,
) -> tuple[Split, Split, Split]:
    """Divide a pool of examples at random into train, valid and test. Small splits are read into memory.

    Args:
        pool: the examples.
        valid: share of the pool for validation, in (0, 1).
        test: share of the pool for the test, or the test split that the data set has.
        seed: of the order; not the seed of training, so that every run is measured on the same examples.
        limit: keep only the first ``limit`` examples of each split.
        groups: numbers (N,) from 0; examples with the same number stay in one split. If there are too few groups, each
            split takes the next examples in their order.

    Raises:
        ValueError: a split would be empty, or ``limit`` is below 1.
    """
    if limit is not None and limit < 1:
        raise ValueError(f"limit={limit}: must be at least 1, or null for all")
    order = torch.randperm(len(pool.x), generator=torch.Generator().manual_seed(seed))
    sizes = split_sizes(len(order), valid, None if isinstance(test, Split) else test)
    parts: Sequence[Tensor] = order.split(sizes)
    if groups is not None:
        number = _split_groups(groups, sizes, seed)
        parts = [order[number[order] == part] for part in range(len(sizes))]
    splits = [pool.rows(part[:limit]) for part in parts]
    if isinstance(test, Split):
        splits.append(test.rows(torch.arange(len(test.x))[:limit]))
    train_split, valid_split, test_split = (split.in_memory_if_small() for split in splits)
    return train_split, valid_split, test_split


def can_split_groups(groups: Tensor, parts: int) -> bool:
    """Whether there are enough groups to give each of some splits a group of its own."""
    return len(groups.unique()) >= parts


def _split_groups(groups: Tensor, sizes: list[int], seed: int) -> Tensor:
    """The number (N,) of the split of each example: 0 to train, 1 to validate, 2 to test."""
    if not can_split_groups(groups, len(sizes)):
        return torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
    counts = groups.bincount()
    order = torch.randperm(len(counts), generator=torch.Generator().manual_seed(seed)).tolist()
    order = [group for group in order if counts[group]]
    split_of = torch.zeros(len(counts), dtype=torch.long)
    for part in range(1, len(sizes)):
        size, later = sizes[part], len(sizes) - part  # splits that still need a group: these and the training
        chosen = list[int]()
        for group in order:
            if counts[group] <= size and len(order) - len(chosen) > later:
                chosen.append(group)
                size -= int(counts[group])
        chosen = chosen or [min(order, key=lambda group: int(counts[group]))]
        split_of[chosen] = part
        order = [group for group in order if group not in chosen]
    return split_of[groups]


def refuse_constant(where: str, train: Split) -> None:
    """Refuse training examples that are all the same, or nearly so: nothing can be learned from them.

    Args:
        where: their origin, for messages.
        train: the training split.

    Raises:
        ValueError: they are all the same, there is only one, or their differences have no squares in float32.
    """
    if len(train.x) == 1:
        raise ValueError(f"{where}: one example is left to train on, from which there is nothing to learn; use more")
    first, same = _load(train.x[:1]), True
    for numbers in map(_load, train.x.split(chunk(tuple(train.x.shape[1:])))):
        if (numbers.float() - first.float()).abs().max() > LEAST_DIFFERENCE:
            return
        same = same and torch.equal(numbers, first.expand_as(numbers))
    if not same:
        raise ValueError(
            f"{where}: the examples to train on differ by {LEAST_DIFFERENCE:g} at most, and float32 cannot hold the"
            " squares of such differences; multiply all numbers by a suitable unit"
        )
    what = f"every number is {first.flatten()[0].item():g}" if len(first.unique()) == 1 else "all are the same"
    raise ValueError(
        f"{where}: of {len(train.x):,} examples to train on, {what}, so that there is nothing to learn; check the file"
    )


def _load(x: Stored) -> Tensor:
    return x.load() if isinstance(x, OnDisk) else x
