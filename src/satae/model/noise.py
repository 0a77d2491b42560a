"""Corruption processes: what turns a clean input into the one that the model sees."""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch
from torch import Generator, Tensor

Span = tuple[float, float]  # the smallest and the largest value of the data
Noise = Callable[[Tensor, Generator], Tensor]


def none(x: Tensor, generator: Generator, *, span: Span) -> Tensor:
    """The input as it is."""
    return x


def gaussian(x: Tensor, generator: Generator, *, level: float, span: Span) -> Tensor:
    """x + level * n with n ~ N(0, 1), clipped to ``span``; ``level`` is in the data's own units."""
    return torch.empty_like(x).normal_(0.0, level, generator=generator).add_(x).clamp_(*span)


def uniform(x: Tensor, generator: Generator, *, level: float, span: Span) -> Tensor:
    """x + u with u ~ U(-level, level), clipped to ``span``; ``level`` is in the data's own units."""
    return torch.empty_like(x).uniform_(-level, level, generator=generator).add_(x).clamp_(*span)


def masking(x: Tensor, generator: Generator, *, level: float, span: Span) -> Tensor:
    """Each element set to 0 with probability ``level`` (Vincent et al. 2008)."""
    return x.masked_fill(torch.empty_like(x).uniform_(generator=generator) < level, 0.0)


def salt_and_pepper(x: Tensor, generator: Generator, *, level: float, span: Span) -> Tensor:
    """Each element set, with probability ``level``, to the smallest or the largest value of ``span``, evenly."""
    draw = torch.empty_like(x).uniform_(generator=generator)
    low, high = span
    return x.masked_fill(draw < level, high).masked_fill(draw < level / 2, low)


NOISES: dict[str, Callable[..., Tensor]] = {
    "none": none,
    "gaussian": gaussian,
    "masking": masking,
    "salt_and_pepper": salt_and_pepper,
    "uniform": uniform,
}


def corruption(name: str, *, span: Span = (0.0, 1.0), **options: float) -> Noise:
    """A corruption process by name.

    Args:
        name: one of ``NOISES``.
        span: the smallest and the largest value of the data.
        options: ``level``, for all but ``"none"``.

    Returns:
        A function (x, generator) -> x_noisy; ``x`` of any shape is left as it was.

    Raises:
        ValueError: unknown name.
    """
    if name not in NOISES:
        raise ValueError(f"noise={name}: choose one of {', '.join(NOISES)}")
    return functools.partial(NOISES[name], span=span, **options)
