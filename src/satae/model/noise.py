"""Corruption processes: they turn a clean input into the input that the model sees."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import torch
from torch import Generator, Tensor

from satae.config.option_types import Count, Level, Share
from satae.config.registry import NOISES
from satae.model.autoencoder import DenoisingAutoencoder, evaluation_mode
from satae.model.complement import widen

Span = tuple[float, float]  # the smallest and the largest value of the data
Model = DenoisingAutoencoder | None  # the model that sees the noisy inputs; most kinds of noise do not look at it
Noise = Callable[[Tensor, Generator], Tensor]

FIRST_STEP: Final = 2.0  # of a search, in levels, as of the attack ``pgd``; with 3 steps it finds more than even steps
SEARCHED_NUMBERS: Final = 2**20  # numbers in the inputs that are searched at a time, at most


@NOISES.register("none")
def none(span: Span, model: Model) -> Noise:
    """No noise: x_noisy = x."""
    return lambda x, generator: x


@NOISES.register("gaussian", in_data_units=True)
def gaussian(span: Span, model: Model, *, level: Level) -> Noise:
    """x + level * n with n ~ N(0, 1), clipped to ``span``; ``level`` is in the data's own units."""
    return lambda x, generator: torch.empty_like(x).normal_(0.0, level, generator=generator).add_(x).clamp_(*span)


@NOISES.register("uniform", in_data_units=True)
def uniform(span: Span, model: Model, *, level: Level) -> Noise:
    """x + u with u ~ U(-level, level), clipped to ``span``; ``level`` is in the data's own units."""
    return lambda x, generator: torch.empty_like(x).uniform_(-level, level, generator=generator).add_(x).clamp_(*span)


@NOISES.register("masking")
def masking(span: Span, model: Model, *, level: Share) -> Noise:
    """Each element set to 0 with probability ``level`` (Vincent et al. 2008)."""
    return lambda x, generator: x.masked_fill(torch.empty_like(x).uniform_(generator=generator) < level, 0.0)


@NOISES.register("salt_and_pepper")
def salt_and_pepper(span: Span, model: Model, *, level: Share) -> Noise:
    """Each element set, with probability ``level``, to the smallest or the largest value of ``span``, evenly."""
    low, high = span

    def corrupt(x: Tensor, generator: Generator) -> Tensor:
        draw = torch.empty_like(x).uniform_(generator=generator)
        return x.masked_fill(draw < level, high).masked_fill(draw < level / 2, low)

    return corrupt


@NOISES.register("adversarial", in_data_units=True)
def adversarial(span: Span, model: Model, *, level: Level, steps: Count) -> Noise:
    """The x_noisy within ``level`` of x in each element, and within ``span``, from which x is reconstructed worst.

    It is searched for by projected gradient ascent from a random start, the ``uniform`` noise of the same generator, as
    in Madry et al. (2018), arXiv 1706.06083, but with steps that shrink:

        x_noisy <- project(x_noisy + 2 level (1 - step / steps) * sign(gradient of |(x_hat(x_noisy) - x) / std|^2))

    Of each path, the point with the largest error is taken, so the result is never easier than the start. Where
    saturated units hide the gradient, the search finds less than there is.

    This is an extension: Goroshin & LeCun (2013) use no noise. Yan et al. (2022), arXiv 2201.04397, train denoisers on
    such inputs, beside random ones. The penalty is no part of the search, so alpha counts only through the weights. The
    model is searched in evaluation mode, so a batch normalization uses its running statistics and does not change
    them, and the noise of an input does not depend on the rest of its batch.

    Raises:
        ValueError: no model.
    """
    if model is None:
        raise ValueError("is searched for on a model; give model=")
    random_start = uniform(span, model, level=level)

    def corrupt(x: Tensor, generator: Generator) -> Tensor:
        rows = max(1, SEARCHED_NUMBERS // max(1, x.shape[1:].numel()))
        with torch.inference_mode(False), evaluation_mode(model):
            starts = random_start(x, generator).split(rows)
            return torch.cat([search(*part) for part in zip(x.split(rows), starts, strict=True)])

    @torch.no_grad()
    def search(x: Tensor, x_noisy: Tensor) -> Tensor:
        low, high, target = (x - level).clamp_(*span), (x + level).clamp_(*span), model.standardize(x)
        worst, largest = x_noisy, x.new_full((len(x),), -torch.inf)
        for steps_left in reversed(range(steps + 1)):
            with torch.set_grad_enabled(steps_left > 0):
                x_hat = model.decoder(model.encode(x_noisy.requires_grad_(steps_left > 0)))
                errors = (widen(x_hat) - target).square().flatten(1).sum(dim=1)
            is_worse = (errors > largest).view(-1, *[1] * (x.ndim - 1))
            worst, largest = torch.where(is_worse, x_noisy, worst), torch.maximum(errors, largest)
            if steps_left:
                (gradient,) = torch.autograd.grad(errors, x_noisy, torch.ones_like(errors))
                size = FIRST_STEP * level * steps_left / steps
                x_noisy = torch.add(x_noisy, gradient.sign(), alpha=size).clamp_(low, high)
        return worst

    return corrupt


def corruption(name: str, *, span: Span = (0.0, 1.0), model: Model = None, **options: float) -> Noise:
    """A corruption process by name.

    Args:
        name: one of ``NOISES.names()``.
        span: the smallest and the largest value of the data.
        model: what ``"adversarial"`` noise is searched for on; the others do without.
        options: ``level``, for all but ``"none"``; ``steps`` for ``"adversarial"``.

    Returns:
        A function (x, generator) -> x_noisy; ``x``, of any shape (N, ...), is not changed.

    Raises:
        ValueError: an unknown name, an option that is missing, unknown or out of range, or a missing model.
    """
    noise: Noise = NOISES.build(NOISES.choice(name, options), span, model)
    return noise
