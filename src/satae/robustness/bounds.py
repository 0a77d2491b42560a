"""Certified upper bounds on how far the output of a network can move in a ball."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from satae.model.flat import evaluate
from satae.robustness.ball import Ball, size_of
from satae.robustness.propagation import AFFINE, CURVES, Scale, gain, parts, weighted


class Bound(NamedTuple):
    """How far the output can move at most, in the norm of the ball."""

    change: Tensor  # (N,), the smaller of the two
    by_norms: float  # radius times the product of the layers' norms, for every input
    by_intervals: Tensor  # (N,), from intervals that are carried from layer to layer


@torch.no_grad()
def certified(module: nn.Module, x: Tensor, ball: Ball) -> Bound:
    """Upper bounds on |f(x + d) - f(x)| over all d of a ball, both sides in the norm of the ball.

        by norms       epsilon * product over the layers of their operator norms (Szegedy et al. 2014, arXiv 1312.6199)
        by intervals   the distance from f(x) to the furthest corner of the box that holds f(x + d)
                       (Gowal et al. 2018, arXiv 1810.12715)

    True in exact arithmetic, computed in float64: what is measured in float32 can be above it by its rounding errors.

    Args:
        module: an autoencoder, an ``Encoder``, a classifier, or a Sequential of such, in evaluation mode.
        x: inputs (N, *shape) in the range of the data.
        ball: the perturbations.

    Raises:
        ValueError: a layer whose effect is not known.
    """
    layers = list(parts(module))
    by_intervals = _by_intervals(layers, x.double(), ball)
    by_norms = ball.epsilon * _product(layers, x[:1], ball)
    return Bound(by_intervals.clamp_max(by_norms), by_norms, by_intervals)


def _product(layers: Sequence[nn.Module], h: Tensor, ball: Ball) -> float:
    product = 1.0
    for part in layers:
        product *= gain(part, ball.norm, h)
        h = evaluate(part, h) if type(part) in CURVES else part(h)
    return product


class _Box(NamedTuple):
    """What a layer can be given."""

    low: Tensor
    high: Tensor
    at: Tensor  # of the unperturbed input
    radii: Tensor | None  # (N, ...) while what comes in is also |change / radii|_2 <= 1: up to the first weights


def _by_intervals(layers: Sequence[nn.Module], x: Tensor, ball: Ball) -> Tensor:
    low, high = ((x + sign * ball.epsilon).clamp(ball.low, ball.high) for sign in (-1, 1))
    box = _Box(low, high, x, torch.full_like(x, ball.epsilon) if ball.norm == "l2" else None)
    for part in layers:
        box = _through(part, box)
    return size_of(torch.maximum(box.high - box.at, box.at - box.low), ball.norm)


def _through(part: Any, box: _Box) -> _Box:
    if isinstance(part, Scale):
        factor, shift = part.factor.double(), part.shift.double()
        ends = torch.stack([factor * box.low, factor * box.high]) + shift
        radii = None if box.radii is None else factor.abs() * box.radii
        return _Box(ends.amin(dim=0), ends.amax(dim=0), factor * box.at + shift, radii)
    if isinstance(part, AFFINE):
        return _through_weights(part, box)
    if type(part) in CURVES:
        low, high, at = (evaluate(part, end) for end in (box.low, box.high, box.at))
        return _Box(_lowest(part, box, torch.minimum(low, high)), torch.maximum(low, high), at, None)
    radii = None if box.radii is None else part(box.radii)
    return _Box(part(box.low), part(box.high), part(box.at), radii)


def _through_weights(part: Any, box: _Box) -> _Box:
    weight = part.weight.double()
    bias = None if part.bias is None else part.bias.double()
    middle = weighted(part, weight, bias, (box.high + box.low) / 2)
    reach = weighted(part, weight.abs(), None, (box.high - box.low) / 2)
    at = weighted(part, weight, bias, box.at)
    low, high = middle - reach, middle + reach
    if box.radii is not None:
        length = weighted(part, weight.square(), None, box.radii.square()).sqrt()
        low, high = torch.maximum(low, at - length), torch.minimum(high, at + length)
    return _Box(low, high, at, None)


def _lowest(part: nn.Module, box: _Box, ends: Tensor) -> Tensor:
    """The smallest value on each interval: that of an end, or the lowest of all where the interval holds its place."""
    place = CURVES[type(part)].lowest
    if place is None:
        return ends
    near = torch.linspace(place - 1e-3, place + 1e-3, 2001, dtype=torch.float64, device=ends.device)
    bottom = evaluate(part, near).amin() - 1e-9
    holds = (box.low < near[-1]) & (box.high > near[0])
    return torch.where(holds, torch.minimum(ends, bottom), ends)
