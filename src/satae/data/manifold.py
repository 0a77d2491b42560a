"""One-dimensional curves in the square [-1, 1]^2: data whose manifold is known."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from satae.data.dataset import Dataset, Split
from satae.data.splits import shuffled_splits


def arc(t: Tensor) -> Tensor:
    """A piece of a parabola, y = x^2 - 1/2 for |x| <= 0.9."""
    x = 1.8 * t - 0.9
    return torch.stack([x, x.square() - 0.5], dim=1)


def line(t: Tensor) -> Tensor:
    """The segment y = x / 2 for |x| <= 0.9."""
    x = 1.8 * t - 0.9
    return torch.stack([x, x / 2], dim=1)


def circle(t: Tensor) -> Tensor:
    """The circle of radius 0.8."""
    angle = 2 * math.pi * t
    return 0.8 * torch.stack([angle.cos(), angle.sin()], dim=1)


def spiral(t: Tensor) -> Tensor:
    """An Archimedean spiral of two turns, from radius 0.1 to 0.9."""
    angle = 4 * math.pi * t
    return (0.1 + 0.8 * t)[:, None] * torch.stack([angle.cos(), angle.sin()], dim=1)


CURVES: dict[str, Callable[[Tensor], Tensor]] = {"arc": arc, "line": line, "circle": circle, "spiral": spiral}


def manifold(
    *,
    curve: str = "arc",
    count: int = 2000,
    valid: float = 0.15,
    test: float = 0.15,
    split_seed: int = 0,
    limit: int | None = None,
) -> Dataset:
    """Points (2,) on a curve, their parameter drawn evenly from [0, 1].

    Args:
        curve: ``"arc"``, ``"line"``, ``"circle"`` or ``"spiral"``.
        count: points in all three splits together.
        valid: share of the points for validation.
        test: share for the test.
        split_seed: of the points and the split.
        limit: use only the first ``limit`` points of each split.

    Raises:
        ValueError: unknown curve, or a split would be empty.
    """
    if curve not in CURVES:
        raise ValueError(f"data.curve={curve}: choose one of {', '.join(CURVES)}")
    t = torch.rand(count, generator=torch.Generator().manual_seed(split_seed))
    splits = shuffled_splits(Split(CURVES[curve](t)), valid=valid, test=test, seed=split_seed, limit=limit)
    return Dataset("manifold", *splits, span=(-1.0, 1.0))
