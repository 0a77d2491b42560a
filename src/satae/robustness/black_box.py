"""Black-box attacks: they only query the model, so a missing gradient cannot mislead them."""

from __future__ import annotations

import functools
import math
from typing import Final, NamedTuple

import torch
from torch import Tensor

from satae.config.option_types import Norm
from satae.robustness.attack_losses import ActiveBatch, AttackResult, Model, is_fooled, margin, select_examples
from satae.robustness.norm_ball import Balls, NormBall, RandomStreams

FIRST_FRACTION: Final = 0.8  # share of the image that the first windows cover; it is halved nine times
TILES_PER_SIDE: Final = 5  # tiles of the pattern from which the L_2 attack starts
FIRST_POINT_DRAW: Final = 1 << 40  # number of the random draw of the first point; no query reaches it
POINTS_AT_ONCE: Final = 128  # of the random search, in one pass
DRAWS: Final[dict[Norm, int]] = {"linf": 4, "l2": 8}  # random numbers of a query of Square, for each channel
DRAWN_AT_ONCE: Final = 50  # queries of the Square attack whose random numbers are drawn at once
HALVING_QUERIES: Final = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)  # if 10,000 are allowed; arXiv 1912.00049


@torch.no_grad()
def random_search(
    model: Model, x: Tensor, labels: Tensor, ball: NormBall, streams: RandomStreams, *, queries: int
) -> AttackResult:
    """Try ``queries`` independent random points, alternately on the border of the ball and inside it."""
    active, query = ActiveBatch(model, x, labels, ball, streams), 0
    while query < queries and len(active):
        at_once = range(query, min(queries, query + max(1, POINTS_AT_ONCE // len(active))))
        points = torch.stack([_random_point(active, count) for count in at_once])
        logits = model(points.flatten(0, 1)).unflatten(0, points.shape[:2])
        fooled = torch.stack([is_fooled(answers, active.labels) for answers in logits])
        first = fooled.int().argmax(dim=0), torch.arange(len(active), device=x.device)
        active.remove_fooled(points[first], logits[first])
        query = at_once.stop
    return active.result()


def _random_point(active: ActiveBatch, count: int) -> Tensor:
    """A random point for each active example: for even counts on the border of the ball, else inside it."""
    center, ball = active.balls.center, active.balls.ball
    if ball.norm == "linf":
        change = active.streams.coarse(count, center.shape[1:])
        return active.balls.project(torch.add(center, change if count % 2 else change.sign_(), alpha=ball.epsilon))
    if count % 2:
        return active.balls.random_start(active.streams, count)
    return active.balls.ascend(center, active.streams.normal(2 * count, center.shape[1:]).to(center), ball.epsilon)


class _SquareState(NamedTuple):
    """The state of the Square attack for each active example."""

    point: Tensor  # (M, *shape), the best point so far
    value: Tensor  # (M,), its margin
    draws: Tensor  # (M, queries, draws, channels), random numbers of the next queries


@torch.no_grad()
def square(
    model: Model, x: Tensor, labels: Tensor, ball: NormBall, streams: RandomStreams, *, queries: int
) -> AttackResult:
    """Square attack: random search in smaller and smaller windows of the image.

    Andriushchenko et al. (2020), arXiv 1912.00049. A change is kept if it raises the margin. An input that is not an
    image (C, H, W) is treated as one row of features. After the first point, ``queries`` changes are tried.
    """
    active = ActiveBatch(model, x, labels, ball, streams)
    propose = _propose_linf if ball.norm == "linf" else _propose_l2
    first_direction = vertical_stripes if ball.norm == "linf" else tiled_bumps
    if not len(active):
        return active.result()
    direction = first_direction(active.streams, as_image(active.balls.center)).reshape(active.balls.center.shape)
    point = active.balls.ascend(active.balls.center, direction, ball.epsilon)
    logits = model(point)
    state = _SquareState(point, margin(logits, active.labels), _draw(active, range(0)))
    state = select_examples(state, active.remove_fooled(point, logits))
    for query in range(1, queries + 1):
        if not len(active):
            break
        if (place := (query - 1) % DRAWN_AT_ONCE) == 0:
            draws = _draw(active, range(query, min(query + DRAWN_AT_ONCE, queries + 1)))
            state = state._replace(draws=draws)
        halvings = sum(query * 10_000 // queries > mark for mark in HALVING_QUERIES)  # the authors' schedule, stretched
        trial = propose(state.point, active.balls, state.draws[:, place], FIRST_FRACTION * 0.5**halvings)
        logits = model(trial)
        value = margin(logits, active.labels)
        (better,) = (value > state.value).nonzero(as_tuple=True)
        for best, now in ((state.point, trial), (state.value, value)):
            best.index_copy_(0, better, now[better])
        state = select_examples(state, active.remove_fooled(trial, logits))
    return active.result()


def _draw(active: ActiveBatch, queries: range) -> Tensor:
    """The random numbers of some queries: (M, queries, draws, channels)."""
    draws = DRAWS[active.balls.ball.norm]
    counts = torch.arange(draws * queries.start, draws * queries.stop, device=active.labels.device)
    channels = as_image(active.balls.center).shape[1]
    return active.streams.uniform(counts, (channels,)).view(len(active), len(queries), draws, channels)


def _propose_linf(point: Tensor, balls: Balls, draws: Tensor, fraction: float) -> Tensor:
    """Move one window to the border of the ball, each channel up or down."""
    image = as_image(point)
    window = Windows.draw(draws[:, :2, 0], window_sides(image, fraction), image)
    up = draws[:, 2, :, None, None] >= 0.5
    low, high = (window.cut(as_image(bound)) for bound in (balls.low, balls.high))  # type: ignore[arg-type]
    return window.paste(torch.where(up, high, low), image).reshape(point.shape)


def _propose_l2(point: Tensor, balls: Balls, draws: Tensor, fraction: float) -> Tensor:
    """Spend the distance used by a second window on a bump in the first (algorithm 3 of the paper)."""
    change, epsilon = as_image(point - balls.center), balls.ball.epsilon
    sides = window_sides(change, fraction, least=3)
    window, other = (Windows.draw(draws[:, i : i + 2, 0], sides, change) for i in (0, 2))
    either = window.mask() | other.mask()
    signs = torch.where(draws[:, 4, :, None, None] < 0.5, -1.0, 1.0).to(change)
    transposed = (draws[:, 5, 0] < 0.5).long()
    bumps = torch.stack([bump(*sides), bump(*sides[::-1]).t()]).to(change)[transposed][:, None] * signs
    inside = window.cut(change)
    mixed = bumps + inside / _channel_norm(inside)
    spare = (epsilon**2 - change.square().sum(dim=(1, 2, 3), keepdim=True)).clamp_min(0) / change.shape[1]
    budget = ((change * either).square().sum(dim=(2, 3), keepdim=True) + spare).sqrt()
    new = window.paste(mixed / _channel_norm(mixed) * budget, torch.where(either, 0, change))
    return balls.ascend(balls.center, new.reshape(point.shape), epsilon)


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
    def draw(cls, numbers: Tensor, sides: tuple[int, int], image: Tensor) -> Windows:
        """A random place in each image, from two numbers in [0, 1) for each: (N, 2)."""
        spare = [whole - side + 1 for whole, side in zip(image.shape[-2:], sides, strict=True)]
        top, left = (numbers.double() * torch.tensor(spare, device=numbers.device)).long().unbind(1)
        return cls(top, left, sides, (image.shape[-2], image.shape[-1]))

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
