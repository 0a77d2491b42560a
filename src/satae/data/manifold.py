"""One-dimensional curves in the square [-1, 1]^2: data whose manifold is known."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated, Final, Literal

import torch
from pydantic import Field
from torch import Tensor

from satae.config.option_types import Count, OpenShare, Seed
from satae.config.registry import DATA_SOURCES
from satae.data.dataset import Dataset, Split, shuffled_splits


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


CURVES: Final[dict[str, Callable[[Tensor], Tensor]]] = {"arc": arc, "line": line, "circle": circle, "spiral": spiral}


@DATA_SOURCES.register("manifold", images=False)
def manifold(
    *,
    curve: Literal["arc", "line", "circle", "spiral"] = "arc",
    count: Annotated[int, Field(ge=3, le=10**7)] = 2000,
    valid: OpenShare = 0.15,
    test: OpenShare = 0.15,
    split_seed: Seed = 0,
    limit: Count | None = None,
) -> Dataset:
    """Points (2,) on a curve, their parameter drawn evenly from [0, 1].

    Raises:
        ValueError: a split would be empty.
    """
    t = torch.rand(count, generator=torch.Generator().manual_seed(split_seed))
    splits = shuffled_splits(Split(CURVES[curve](t)), valid=valid, test=test, seed=split_seed, limit=limit)
    return Dataset("manifold", *splits, span=(-1.0, 1.0))
