"""The activation functions: their names in a configuration, and where each of them is flat."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any, NamedTuple

from torch import nn

from satae.model.flat import FlatSet, Interval, tails


class Flatness(NamedTuple):
    """What the complementary function must know of an activation."""

    intervals: FlatSet  # (activation, eps) -> the closed intervals on which it is flat
    monotone: bool = True  # reading "output" needs it: f(z) may equal a level where f is steep
    piecewise_linear: bool = False  # its slope is constant between kinks: reading "slope" has gradient 0


def shrink(threshold: float = 0.5) -> nn.Module:
    """Soft-shrink: sign(z) * max(|z| - threshold, 0)."""
    return nn.Softshrink(threshold)


def satlin(low: float = -1.0, high: float = 1.0) -> nn.Module:
    """Saturating linear unit: z clipped to [low, high]."""
    return nn.Hardtanh(low, high)


ACTIVATIONS: dict[str, Callable[..., nn.Module]] = {
    "relu": nn.ReLU,
    "shrink": shrink,
    "satlin": satlin,
    "relu6": nn.ReLU6,
    "hardsigmoid": nn.Hardsigmoid,
    "hardswish": nn.Hardswish,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "softsign": nn.Softsign,
    "softplus": nn.Softplus,
    "elu": nn.ELU,
    "celu": nn.CELU,
    "selu": nn.SELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "mish": nn.Mish,
    "logsigmoid": nn.LogSigmoid,
}


def _dead_zone(act: Any, eps: float) -> list[Interval]:
    return [(-act.lambd, act.lambd)]


def _outside(act: Any, eps: float) -> list[Interval]:
    return [(-inf, act.min_val), (act.max_val, inf)]


FLATNESS: dict[type[nn.Module], Flatness] = {
    nn.ReLU: Flatness(lambda act, eps: [(-inf, 0.0)], piecewise_linear=True),
    nn.Softshrink: Flatness(_dead_zone, piecewise_linear=True),
    nn.Hardtanh: Flatness(_outside, piecewise_linear=True),
    nn.ReLU6: Flatness(lambda act, eps: [(-inf, 0.0), (6.0, inf)], piecewise_linear=True),
    nn.Hardsigmoid: Flatness(lambda act, eps: [(-inf, -3.0), (3.0, inf)], piecewise_linear=True),
    nn.Hardswish: Flatness(lambda act, eps: [(-inf, -3.0)], monotone=False),
    nn.Sigmoid: Flatness(tails("below", "above")),
    nn.Tanh: Flatness(tails("below", "above")),
    nn.Softsign: Flatness(tails("below", "above")),
    nn.Softplus: Flatness(tails("below")),
    nn.ELU: Flatness(tails("below")),
    nn.CELU: Flatness(tails("below")),
    nn.SELU: Flatness(tails("below")),
    nn.GELU: Flatness(tails("below"), monotone=False),
    nn.SiLU: Flatness(tails("below"), monotone=False),
    nn.Mish: Flatness(tails("below"), monotone=False),
    nn.LogSigmoid: Flatness(tails("above")),
}

NEVER_FLAT: tuple[type[nn.Module], ...] = (nn.LeakyReLU, nn.PReLU, nn.RReLU, nn.Tanhshrink)


def register(act: type[nn.Module], flat: FlatSet, *, monotone: bool = True, piecewise_linear: bool = False) -> None:
    """Teach the complementary function an activation class of your own.

        satae.register(Step, flat=lambda act, eps: [(-math.inf, 0.0)])
        satae.register(Swoosh, flat=satae.tails("below"), monotone=False)

    Args:
        act: the class; its ``forward`` must work element by element.
        flat: (activation, eps) -> closed intervals on which it is flat.
        monotone: False rules out the reading ``"output"``.
        piecewise_linear: True for a slope that is constant between kinks: reading ``"slope"`` then has no gradient.

    Raises:
        TypeError: ``act`` is not a class of modules.
    """
    if not (isinstance(act, type) and issubclass(act, nn.Module)):
        raise TypeError(f"act={act!r}: register takes a subclass of torch.nn.Module, not an instance or a function")
    FLATNESS[act] = Flatness(flat, monotone, piecewise_linear)


def flatness(act: nn.Module) -> Flatness:
    """The flatness of an activation.

    Raises:
        ValueError: it is flat nowhere, or is not known.
    """
    if type(act) in FLATNESS:
        return FLATNESS[type(act)]
    kind, known = type(act).__name__, ", ".join(sorted(known.__name__ for known in FLATNESS))
    if isinstance(act, (*NEVER_FLAT, nn.Identity)):
        raise ValueError(f"{kind} has no flat region to saturate in; choose one of {known}")
    raise ValueError(f"{kind} is not a known activation; choose one of {known}, or satae.register it")
