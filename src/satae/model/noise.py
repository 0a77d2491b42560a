"""Corruption processes: they turn a clean input into the input that the model sees."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Generator, Tensor

from satae.config.option_types import Level, Share
from satae.config.registry import NOISES

Span = tuple[float, float]  # the smallest and the largest value of the data
Noise = Callable[[Tensor, Generator], Tensor]


@NOISES.register("none")
def none(span: Span) -> Noise:
    """No noise: x_noisy = x."""
    return lambda x, generator: x


@NOISES.register("gaussian", in_data_units=True)
def gaussian(span: Span, *, level: Level) -> Noise:
    """x + level * n with n ~ N(0, 1), clipped to ``span``; ``level`` is in the data's own units."""
    return lambda x, generator: torch.empty_like(x).normal_(0.0, level, generator=generator).add_(x).clamp_(*span)


@NOISES.register("uniform", in_data_units=True)
def uniform(span: Span, *, level: Level) -> Noise:
    """x + u with u ~ U(-level, level), clipped to ``span``; ``level`` is in the data's own units."""
    return lambda x, generator: torch.empty_like(x).uniform_(-level, level, generator=generator).add_(x).clamp_(*span)


@NOISES.register("masking")
def masking(span: Span, *, level: Share) -> Noise:
    """Each element set to 0 with probability ``level`` (Vincent et al. 2008)."""
    return lambda x, generator: x.masked_fill(torch.empty_like(x).uniform_(generator=generator) < level, 0.0)


@NOISES.register("salt_and_pepper")
def salt_and_pepper(span: Span, *, level: Share) -> Noise:
    """Each element set, with probability ``level``, to the smallest or the largest value of ``span``, evenly."""
    low, high = span

    def corrupt(x: Tensor, generator: Generator) -> Tensor:
        draw = torch.empty_like(x).uniform_(generator=generator)
        return x.masked_fill(draw < level, high).masked_fill(draw < level / 2, low)

    return corrupt


def corruption(name: str, *, span: Span = (0.0, 1.0), **options: float) -> Noise:
    """A corruption process by name.

    Args:
        name: one of ``NOISES.names()``.
        span: the smallest and the largest value of the data.
        options: ``level``, for all but ``"none"``.

    Returns:
        A function (x, generator) -> x_noisy; ``x``, of any shape, is not changed.

    Raises:
        ValueError: an unknown name, or an option that is missing, unknown or out of range.
    """
    noise: Noise = NOISES.build(NOISES.choice(name, options), span)
    return noise
