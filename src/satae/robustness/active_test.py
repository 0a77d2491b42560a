"""The active test: points that are known to exist near inputs of a model are planted, and attacks must find them.

Zimmermann et al. (2022), arXiv 2206.13991, plant them in the last layer, near random points. Ours are harder to find:
they lie near the best point of a long search.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Final, NamedTuple

import torch
from torch import Tensor, nn

from satae.robustness.attack_losses import Model, loss_gradient, margin
from satae.robustness.attack_suite import Attack, AttackKind
from satae.robustness.bpda import surrogate_gradients
from satae.robustness.norm_ball import NormBall, RandomStreams

STEPS: Final = 100  # of each search that follows a gradient; its step size falls from twice the radius to 0
GUESSES: Final = 200  # random points of the search that follows none
EXACT_PART, ANY_PART = 0.98, 0.9  # the goals, on the way from the input to the best point of all searches
LEAST_RISE: Final = 1e-4  # of w @ logits, in standard deviations over the inputs: less is rounding
FIRST_DRAW: Final = (1 << 40) + 1  # number of the random draw of w; no attack uses it


class PlantedOutcome(NamedTuple):
    """Which planted points were found, for the inputs near which there are some."""

    by_exact: Tensor  # (m,) bool: 98 % of the way, by an attack with exact gradients
    by_any: Tensor  # (m,) bool: 90 % of the way, by any attack that follows a gradient
    epsilon: float  # radius, in the units of the table


def active_test(
    model: nn.Module,
    x: Tensor,
    ball: NormBall,
    streams: RandomStreams,
    attacks: Sequence[Attack],
    temperatures: Sequence[float],
    spread: Tensor,
) -> Tensor:
    """Plant a point near each input and let attacks search for it.

    Args:
        model: inputs (N, *shape) to logits (N, classes), in evaluation mode.
        x: inputs in the range of the data.
        ball: the perturbations.
        streams: random numbers of these inputs.
        attacks: those that search, with exact gradients first.
        temperatures: of the surrogate gradients by which points to plant are searched, beside the exact ones.
        spread: standard deviation of each logit over all inputs (classes,).

    Returns:
        Booleans (N, 3): whether there is a planted point, whether an attack with exact gradients found it, and whether
        any attack came near it. The last two are true where no point was planted.
    """
    w, start, rise = find_planted_points(model, x, ball, streams, temperatures, spread)
    planted = rise > LEAST_RISE
    by_exact = _search(x, _goals(w, start + EXACT_PART * rise), ~planted, ball, streams, attacks, "exact")
    by_any = _search(x, _goals(w, start + ANY_PART * rise), by_exact, ball, streams, attacks, "exact", "surrogate")
    return torch.stack([planted, by_exact, by_any], dim=1)


def _search(
    x: Tensor,
    goals: Tensor,
    found: Tensor,
    ball: NormBall,
    streams: RandomStreams,
    attacks: Sequence[Attack],
    *kinds: AttackKind,
) -> Tensor:
    """Which goals are found already, or by an attack of some kinds: booleans (N,)."""
    for attack in attacks:
        left = ~found
        if attack.kind in kinds and left.any():
            found = found.masked_scatter(left, attack.run(x[left], goals[left], ball, streams[left]).fooled)
    return found


def _goals(w: Tensor, threshold: Tensor) -> Tensor:
    return torch.cat([w, threshold[:, None]], dim=1)


def find_planted_points(
    model: nn.Module,
    x: Tensor,
    ball: NormBall,
    streams: RandomStreams,
    temperatures: Sequence[float],
    spread: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Choose a random direction of the logits for each input, and search how far it can be followed.

    Args: those of :func:`active_test`.

    Returns:
        The direction w (N, classes), w @ logits of the input, and by how much the best point of all searches raises
        it: (N,) each.
    """
    w = streams.normal(FIRST_DRAW, spread.shape).to(spread) * torch.where(spread > 0, 1 / spread, 0)
    aim = _goals(w, torch.zeros_like(w[:, 0]))  # its margin is w @ logits
    with torch.no_grad():
        start = margin(model(x), aim)
        best = torch.maximum(start, _guess(model, x, aim, ball, streams))
    softened = [surrogate_gradients(model, temperature) for temperature in temperatures]
    contexts: list[AbstractContextManager[None]] = [nullcontext(), *softened]
    for context in contexts:
        with context:
            best = torch.maximum(best, _climb(model, x, aim, ball, streams))
    return w, start, best - start


def _guess(model: Model, x: Tensor, aim: Tensor, ball: NormBall, streams: RandomStreams) -> Tensor:
    """The largest margin at random points of the border: (N,)."""
    balls, best = ball.around(x), torch.full_like(aim[:, 0], -torch.inf)
    for guess in range(1, GUESSES + 1):
        direction = streams.normal(FIRST_DRAW + guess, x.shape[1:]).to(x.dtype)
        best = torch.maximum(best, margin(model(balls.ascend(x, direction, ball.epsilon)), aim).nan_to_num(-torch.inf))
    return best


def _climb(model: Model, x: Tensor, aim: Tensor, ball: NormBall, streams: RandomStreams) -> Tensor:
    """The largest margin on a path that follows the gradient: (N,)."""
    balls, best = ball.around(x), torch.full_like(aim[:, 0], -torch.inf)
    point = balls.random_start(streams, FIRST_DRAW)  # a start that no attack has
    for step in range(STEPS + 1):
        here = loss_gradient(model, point, aim, margin)
        best = torch.maximum(best, here.value.nan_to_num(-torch.inf))
        point = balls.ascend(point, here.gradient, 2 * ball.epsilon * (1 - step / STEPS))
    return best
