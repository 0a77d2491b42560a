"""Black-box attacks: they only query the model, so a missing gradient cannot mislead them."""

from __future__ import annotations

import functools
import math
from typing import Final, NamedTuple

import torch
from torch import Tensor

from satae.robustness.attack_losses import ActiveBatch, AttackResult, Model, margin, select_examples
from satae.robustness.norm_ball import NormBall, RandomStreams, expand_like

FIRST_FRACTION: Final = 0.8  # share of the image that the first windows cover; it is halved nine times
TILES_PER_SIDE: Final = 5  # tiles of the pattern from which the L_2 attack starts
FIRST_POINT_DRAW: Final = 1 << 40  # number of the random draw of the first point; no query reaches it
HALVING_QUERIES: Final = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)  # if 10,000 are allowed; arXiv 1912.00049


def random_search(
    model: Model, x: Tensor, labels: Tensor, ball: NormBall, streams: RandomStreams, *, queries: int
) -> AttackResult:
    """Try ``queries`` independent random points, alternately on the border of the ball and inside it."""
    active = ActiveBatch(model, x, labels, streams)
    for query in range(queries):
        if not len(active):
            break
        if query % 2:
            point = ball.random_start(active.x, active.streams, query)
        else:  # a corner for L_inf, a direction for L_2
            direction = active.streams.normal(2 * query, active.x.shape[1:]).to(x.dtype)
            point = ball.ascend(active.x, direction, ball.epsilon, active.x)
        active.remove_fooled(point)
    return active.result()


class _SquareState(NamedTuple):
    """The state of the Square attack for each active example."""

    point: Tensor  # (M, *shape), the best point so far
    value: Tensor  # (M,), its margin


@torch.no_grad()
def square(
    model: Model, x: Tensor, labels: Tensor, ball: NormBall, streams: RandomStreams, *, queries: int
) -> AttackResult:
    """Square attack: random search in smaller and smaller windows of the image.

    Andriushchenko et al. (2020), arXiv 1912.00049. A change is kept if it raises the margin. An input that is not an
    image (C, H, W) is treated as one row of features. After the first point, ``queries`` changes are tried.
    """
    active = ActiveBatch(model, x, labels, streams)
    propose = _propose_linf if ball.norm == "linf" else _propose_l2
    first_direction = vertical_stripes if ball.norm == "linf" else tiled_bumps
    if not len(active):
        return active.result()
    direction = first_direction(active.streams, as_image(active.x)).reshape(active.x.shape)
    point = ball.ascend(active.x, direction, ball.epsilon, active.x)
    state = _SquareState(point, x.new_full((len(active),), -torch.inf))
    for query in range(queries + 1):
        if query == 0:
            trial = point
        else:  # the authors' schedule for 10,000 queries, stretched
            halvings = sum(query * 10_000 // queries > mark for mark in HALVING_QUERIES)
            trial = propose(state.point, active, ball, query, FIRST_FRACTION * 0.5**halvings)
        logits = model(trial)
        value = margin(logits, active.labels)
        better = value > state.value
        stay = active.remove_fooled(trial, logits)
        best = torch.where(expand_like(better, x), trial, state.point)
        state = select_examples(_SquareState(best, torch.where(better, value, state.value)), stay)
        if not len(active):
            break
    return active.result()


def _propose_linf(point: Tensor, active: ActiveBatch, ball: NormBall, query: int, fraction: float) -> Tensor:
    """Move one window to the border of the ball, each channel up or down."""
    image = as_image(point)
    window = Windows.draw(active.streams, window_sides(image, fraction), image, 4 * query)
    signs = active.streams.signs(4 * query + 2, (image.shape[1], 1, 1)).to(point.dtype)
    moved = as_image(active.x) + ball.epsilon * signs
    return ball.project(torch.where(window.mask(), moved, image).reshape(point.shape), active.x)


def _propose_l2(point: Tensor, active: ActiveBatch, ball: NormBall, query: int, fraction: float) -> Tensor:
    """Spend the distance used by a second window on a bump in the first (algorithm 3 of the paper)."""
    change = as_image(point - active.x)
    sides = window_sides(change, fraction, least=3)
    window, other = (Windows.draw(active.streams, sides, change, 8 * query + i) for i in (0, 2))
    either = window.mask() | other.mask()
    signs = active.streams.signs(8 * query + 4, (change.shape[1], 1, 1)).to(point.dtype)
    transposed = active.streams.uniform(8 * query + 5) < 0.5
    bumps = torch.stack([bump(*sides), bump(*sides[::-1]).t()]).to(change)[transposed.long()][:, None] * signs
    inside = window.cut(change)
    mixed = bumps + inside / _channel_norm(inside)
    spare = (ball.epsilon**2 - change.square().sum(dim=(1, 2, 3), keepdim=True)).clamp_min(0) / change.shape[1]
    budget = ((change * either).square().sum(dim=(2, 3), keepdim=True) + spare).sqrt()
    new = window.paste(mixed / _channel_norm(mixed) * budget, torch.where(either, 0, change))
    return ball.ascend(active.x, new.reshape(point.shape), ball.epsilon, active.x)


def _channel_norm(change: Tensor) -> Tensor:
    """The L_2 norm of each channel, never 0: (M, C, 1, 1)."""
    length: Tensor = torch.linalg.vector_norm(change, dim=(2, 3), keepdim=True)
    return length.clamp_min(1e-12)


def as_image(x: Tensor) -> Tensor:
    """Images (N, C, H, W) as they are; anything else as one row: (N, 1, 1, features)."""
    return x if x.ndim == 4 else x.reshape(len(x), 1, 1, -1)


def window_sides(image: Tensor, fraction: float, least: int = 1) -> tuple[int, int]:
    """Height and width of a window that covers a fraction of the image; a square if one fits."""
    height, width = image.shape[-2:]
    side = max(round(math.sqrt(fraction * height * width)), least)
    rows = min(side, height)
    return rows, min(max(round(fraction * height * width / rows), least), width)


class Windows(NamedTuple):
    """A window of the same size in each of several images."""

    top: Tensor  # (N,)
    left: Tensor  # (N,)
    sides: tuple[int, int]  # height and width of the windows
    image_sides: tuple[int, int]  # height and width of the images

    @classmethod
    def draw(cls, streams: RandomStreams, sides: tuple[int, int], image: Tensor, count: int) -> Windows:
        """Draw a random place in each image; uses the random draws ``count`` and ``count`` + 1."""
        height, width = image.shape[-2:]
        top, left = streams.integers(height - sides[0] + 1, count), streams.integers(width - sides[1] + 1, count + 1)
        return cls(top, left, sides, (height, width))

    def mask(self) -> Tensor:
        """Which pixels lie in the window: booleans (N, 1, H, W)."""
        rows, columns = (
            (torch.arange(length, device=first.device) >= first[:, None])
            & (torch.arange(length, device=first.device) < first[:, None] + side)
            for first, side, length in zip((self.top, self.left), self.sides, self.image_sides, strict=True)
        )
        return (rows[:, :, None] & columns[:, None, :])[:, None]

    def cut(self, image: Tensor) -> Tensor:
        """The pixels in the window: (N, C, *sides)."""
        return image.flatten(2).gather(2, self._pixels(image)).view(*image.shape[:2], *self.sides)

    def paste(self, inside: Tensor, image: Tensor) -> Tensor:
        """A copy of the images with other pixels in their windows."""
        return image.flatten(2).scatter(2, self._pixels(image), inside.flatten(2)).view_as(image)

    def _pixels(self, image: Tensor) -> Tensor:
        rows = self.top[:, None, None] + torch.arange(self.sides[0], device=image.device)[:, None]
        columns = self.left[:, None, None] + torch.arange(self.sides[1], device=image.device)
        pixels: Tensor = (rows * self.image_sides[1] + columns).flatten(1)
        return pixels[:, None].expand(-1, image.shape[1], -1)


def vertical_stripes(streams: RandomStreams, image: Tensor) -> Tensor:
    """A random sign for each column and channel: the first direction of the L_inf attack, (N, C, H, W)."""
    return streams.signs(FIRST_POINT_DRAW, (image.shape[1], 1, image.shape[3])).to(image.dtype).expand_as(image)


def tiled_bumps(streams: RandomStreams, image: Tensor) -> Tensor:
    """A bump, up or down, in each tile and channel: the first direction of the L_2 attack, (N, C, H, W)."""
    channels, height, width = image.shape[1:]
    rows, columns = max(height // TILES_PER_SIDE, 1), max(width // TILES_PER_SIDE, 1)
    down, across = height // rows, width // columns
    one = bump(rows, columns).to(image)
    signs = streams.signs(FIRST_POINT_DRAW, (channels, down, across)).to(image.dtype)
    direction = torch.zeros_like(image)
    direction[..., : down * rows, : across * columns] = torch.kron(signs, one)
    return direction


@functools.lru_cache(maxsize=256)
def bump(height: int, width: int) -> Tensor:
    """Two hills of opposite sign, one above the other (side by side in a single row), of norm 1: (height, width).

    The hills are those of equation (2) of arXiv 1912.00049.
    """
    if height == 1 and width > 1:
        return bump(width, 1).reshape(1, width)
    upper = height // 2
    both = torch.cat([_hill(upper, width), -_hill(height - upper, width)])
    normalized: Tensor = both / torch.linalg.vector_norm(both)
    return normalized


def _hill(height: int, width: int) -> Tensor:
    """The sum over k >= d of 1 / (k + 1)^2, with d the distance from the middle; of norm 1."""
    rows, columns = (torch.arange(side) - side // 2 for side in (height, width))
    distance = torch.maximum(rows.abs()[:, None], columns.abs())
    last = max(height // 2 + 1, width // 2 + 1)
    terms = 1 / torch.arange(1, last + 1).float().square()
    hill = terms.flip(0).cumsum(0).flip(0)[distance]
    normalized: Tensor = hill / torch.linalg.vector_norm(hill).clamp_min(1e-12)
    return normalized
