"""Attacks that only ask for answers, and so cannot be fooled by a gradient that is not there."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from satae.robustness.ball import Ball, each
from satae.robustness.draws import Draws
from satae.robustness.objectives import Model, margin
from satae.robustness.unbroken import Attempt, Unbroken, kept
from satae.robustness.windows import Windows, as_image, bump, sides_of, stripes, tiles


def random_search(model: Model, x: Tensor, labels: Tensor, ball: Ball, draws: Draws, *, queries: int = 1000) -> Attempt:
    """Points drawn one after another, none better than the last: by turns on the border of the ball and inside.

    Args:
        model: to be fooled.
        x: inputs (N, *shape) in the range of the data.
        labels: (N,).
        ball: what may be done to them.
        draws: of these inputs.
        queries: points for each input.
    """
    left = Unbroken(model, x, labels, draws)
    for query in range(queries):
        if not len(left):
            break
        if query % 2:
            at = ball.start(left.x, left.draws, query)
        else:  # a corner for L_inf, a direction for L_2
            way = left.draws.normal(2 * query, left.x.shape[1:]).to(x.dtype)
            at = ball.ascend(left.x, way, ball.epsilon, left.x)
        left.catch(at)
    return left.attempt()


class _State(NamedTuple):
    """Of the Square attack, for each example that is left."""

    at: Tensor  # (M, *shape), the best point so far
    value: Tensor  # (M,), its margin


def square(
    model: Model, x: Tensor, labels: Tensor, ball: Ball, draws: Draws, *, queries: int = 5000, share: float = 0.8
) -> Attempt:
    """Random search in ever smaller windows of the image: Andriushchenko et al. (2020), arXiv 1912.00049.

    A change is kept where it raises the margin. An input that is no image (C, H, W) is taken as one row of features.

    Args:
        model: to be fooled.
        x: inputs (N, *shape) in the range of the data.
        labels: (N,).
        ball: what may be done to them.
        draws: of these inputs.
        queries: changes that are tried for each input, after the first point.
        share: of the image that the first windows cover; halved nine times on the way.
    """
    left = Unbroken(model, x, labels, draws)
    propose = _window_of_signs if ball.norm == "linf" else _window_of_mass
    begin = stripes if ball.norm == "linf" else tiles
    if not len(left):
        return left.attempt()
    image = as_image(left.x)
    at = ball.ascend(left.x, begin(left.draws, image).reshape(left.x.shape), ball.epsilon, left.x)
    state = _State(at, torch.full_like(left.labels, -torch.inf, dtype=x.dtype))
    for query in range(queries + 1):
        trial = at if query == 0 else propose(state.at, left, ball, query, _share(share, query, queries))
        logits = _answers(model, trial)
        value = margin(logits, left.labels)
        better = value > state.value
        stay = left.catch(trial, logits)
        best = torch.where(each(better, x), trial, state.at)
        state = kept(_State(best, torch.where(better, value, state.value)), stay)
        if not len(left):
            break
    return left.attempt()


def _share(first: float, query: int, queries: int) -> float:
    """Of the image in the windows of a query: the authors' schedule for 10,000 queries, stretched."""
    reached = query * 10_000 // queries
    return first * 0.5 ** sum(reached > mark for mark in (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000))


def _window_of_signs(at: Tensor, left: Unbroken, ball: Ball, query: int, share: float) -> Tensor:
    """L_inf: one window moved to the border of the ball, up or down, each channel its own way."""
    image = as_image(at)
    window = Windows.draw(left.draws, sides_of(image, share), image, 4 * query)
    signs = left.draws.signs(4 * query + 2, (image.shape[1], 1, 1)).to(at.dtype)
    moved = as_image(left.x) + ball.epsilon * signs
    return ball.project(torch.where(window.mask(), moved, image).reshape(at.shape), left.x)


def _window_of_mass(at: Tensor, left: Unbroken, ball: Ball, query: int, share: float) -> Tensor:
    """L_2: what a second window holds of the distance is spent on a bump in the first (algorithm 3 of the paper)."""
    change = as_image(at - left.x)
    sides = sides_of(change, share, least=3)
    window, other = (Windows.draw(left.draws, sides, change, 8 * query + i) for i in (0, 2))
    either = window.mask() | other.mask()
    signs = left.draws.signs(8 * query + 4, (change.shape[1], 1, 1)).to(at.dtype)
    turned = left.draws.uniform(8 * query + 5) < 0.5
    shapes = torch.stack([bump(*sides), _turned(*sides)]).to(change)[turned.long()][:, None] * signs
    inside = window.cut(change)
    mixed = shapes + inside / _length(inside)
    spare = (ball.epsilon**2 - change.square().sum(dim=(1, 2, 3), keepdim=True)).clamp_min(0) / change.shape[1]
    budget = ((change * either).square().sum(dim=(2, 3), keepdim=True) + spare).sqrt()
    new = window.paste(mixed / _length(mixed) * budget, torch.where(either, 0, change))
    return ball.ascend(left.x, new.reshape(at.shape), ball.epsilon, left.x)


def _turned(height: int, width: int) -> Tensor:
    return bump(width, height).t()


def _length(change: Tensor) -> Tensor:
    """Of each channel, never 0: (M, C, 1, 1)."""
    length: Tensor = torch.linalg.vector_norm(change, dim=(2, 3), keepdim=True)
    return length.clamp_min(1e-12)


@torch.no_grad()
def _answers(model: Model, x: Tensor) -> Tensor:
    logits: Tensor = model(x)
    return logits
