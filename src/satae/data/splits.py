"""From one pool of examples to a split for training, one for validation and one for the test."""

from __future__ import annotations

import math
from typing import Final

import torch

from satae.data.dataset import Split
from satae.data.on_disk import OnDisk

HELD: Final = 2**29  # bytes up to which a split from a file is held in memory


def held(split: Split) -> Split:
    """A split read into memory, where it is small."""
    if not isinstance(split.x, OnDisk) or len(split.x) * math.prod(split.x.shape[1:]) * split.x.itemsize > HELD:
        return split
    return split._replace(x=split.x.load())


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
