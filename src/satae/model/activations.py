"""The activation functions, where each is flat, and everything else that the program knows of each: one table."""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable, Sequence
from math import asinh, inf
from typing import Any, Final, Literal, NamedTuple, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from satae.config.option_types import PositiveValue, Value
from satae.config.registry import ACTIVATIONS
from satae.errors import ConfigError

Make = TypeVar("Make", bound=Callable[..., nn.Module])
Interval = tuple[float, float]
Side = Literal["below", "above"]
FlatSet = Callable[[Any, float], Sequence[Interval]]  # (activation, eps) -> intervals

FARTHEST_TAIL: Final = 1e6  # a tail must start within |z| <= FARTHEST_TAIL; enough for softsign down to eps = 1e-12
SUBDIVISIONS: Final = 6  # rounds with 1024 points each: beyond the resolution of float64
ROUNDING: Final = 1e-12  # relative difference of two tails that only rounding tells apart
FLOAT64_STEP: Final = 2.0**-52  # from 1 to the next number
aten: Final = torch.ops.aten


class Derivative(NamedTuple):
    """What the hand-written training step needs: f' as a function of f(z), and f within its saturation levels."""

    forward: Callable[[Any, Tensor], Tensor]  # (activation, z) -> f(z); it may overwrite z
    backward: Callable[[Any, Tensor, Tensor], Tensor]  # (activation, g, f(z)) -> f'(z) * g


class Properties(NamedTuple):
    """What the program knows of an activation f."""

    flat: FlatSet | None  # (activation, eps) -> the closed intervals on which it is flat; None: flat nowhere
    monotone: bool = True  # required for the reading "output": else f(z) may equal a level where f is steep
    piecewise_linear: bool = False  # constant slope between kinks: the reading "slope" has gradient 0
    largest_slope: float | Callable[[Any], float] | None = None  # upper bound of |f'|; None: unknown
    minimum: float | None = None  # z at which f is lowest, where f falls before it and rises after it
    derivative: Derivative | None = None  # None: training uses automatic differentiation

    def slope_bound(self, act: nn.Module) -> float | None:
        """An upper bound of |f'| for an instance of this activation; None if it is unknown."""
        return self.largest_slope(act) if callable(self.largest_slope) else self.largest_slope


PROPERTIES: Final[dict[type[nn.Module], Properties]] = {  # by class; registered activations are added below
    nn.LeakyReLU: Properties(None, largest_slope=lambda act: max(1.0, act.negative_slope)),
    nn.PReLU: Properties(None),
    nn.RReLU: Properties(None),
    nn.Tanhshrink: Properties(None),
}


def activation(name: str, properties: Properties) -> Callable[[Make], Make]:
    """Decorate a function, or a class, that makes the activation ``name``; its return type has the ``properties``.

    ``conf/act/<name>.yaml`` has the values of its keyword-only arguments.

    Raises:
        ConfigError: the class that it returns is not known, or has properties already.
    """

    def add(make: Make) -> Make:
        kind = make if isinstance(make, type) else typing.get_type_hints(make).get("return")
        if not (isinstance(kind, type) and issubclass(kind, nn.Module)):
            raise ConfigError(f"act={name}: its function must say which class of modules it returns: -> Ramp")
        if kind in PROPERTIES:
            raise ConfigError(f"act={name}: {kind.__name__} has properties already; return a class of your own")
        ACTIVATIONS.register(name)(make)
        PROPERTIES[kind] = properties
        return make

    return add


def properties_of(act: nn.Module) -> Properties:
    """The properties of an activation that is flat somewhere.

    Raises:
        ValueError: it is flat nowhere, or is unknown.
    """
    properties = PROPERTIES.get(type(act))
    if properties is not None and properties.flat is not None:
        return properties
    kind = type(act).__name__
    known = ", ".join(sorted(known.__name__ for known in PROPERTIES if PROPERTIES[known].flat))
    never_flat = tuple(known for known in PROPERTIES if PROPERTIES[known].flat is None)
    if isinstance(act, (*never_flat, nn.Identity)):
        raise ValueError(f"{kind} has no flat region to saturate in; choose one of {known}")
    raise ValueError(f"{kind} is not a known activation; choose one of {known}, or satae.register it")


def register(act: type[nn.Module], flat: FlatSet, *, monotone: bool = True, piecewise_linear: bool = False) -> None:
    """Add an activation class of your own to those that the complementary function knows.

        satae.register(Step, flat=lambda act, eps: [(-math.inf, 0.0)])
        satae.register(Swoosh, flat=satae.tails("below"), monotone=False)

    Args:
        act: the class; its ``forward`` must work element by element.
        flat: (activation, eps) -> closed intervals on which it is flat.
        monotone: False rules out the reading ``"output"``.
        piecewise_linear: True for a slope that is constant between kinks: reading ``"slope"`` then has no gradient.

    Raises:
        TypeError: ``act`` is not a class of modules, or ``flat`` is not a function of two arguments.
    """
    if not (isinstance(act, type) and issubclass(act, nn.Module)):
        raise TypeError(f"act={act!r}: register takes a subclass of torch.nn.Module, not an instance or a function")
    try:
        inspect.signature(flat).bind(act, 0.05)
    except (TypeError, ValueError):  # no function, or one of other arguments
        raise TypeError(
            f"flat={flat!r}: must be a function of (activation, eps), such as lambda act, eps: [(-1.0, 1.0)]"
        ) from None
    PROPERTIES[act] = Properties(flat, monotone, piecewise_linear)


def evaluate(act: nn.Module, z: Tensor) -> Tensor:
    """f(z); ``z`` is not changed, and no hooks of ``act`` run."""
    value: Tensor = act.forward(z.clone() if getattr(act, "inplace", False) else z)
    return value


def slope(act: nn.Module, z: Tensor) -> Tensor:
    """f'(z), shaped like ``z`` and differentiable with respect to it, by forward-mode differentiation."""
    derivative: Tensor = torch.func.jvp(functools.partial(evaluate, act), (z,), (torch.ones_like(z),))[1]
    return derivative


def tails(*sides: Side) -> FlatSet:
    """The flat set of an activation that only tends to flatness: the tails where |f'(z)| <= eps.

    Args:
        sides: ``"below"`` for the tail towards -inf, ``"above"`` for the one towards +inf.

    Returns:
        A function (activation, eps) -> intervals.
    """

    def flat_set(act: nn.Module, eps: float) -> list[Interval]:
        found = [_tail(act, eps, side) for side in sides]
        ends = [lo if hi == inf else hi for lo, hi in found]
        # |f'| is even: both tails are equally near 0, but for its rounding, which is that of numbers near 1
        if len(ends) == 2 and abs(sum(ends)) <= ROUNDING * abs(ends[0]) + FLOAT64_STEP / eps:
            found[1] = (-found[0][1], -found[0][0])
        return found

    return flat_set


@torch.no_grad()
def _tail(act: nn.Module, eps: float, side: Side) -> Interval:
    """The half-line from infinity to the place where |f'| first exceeds ``eps``."""
    far = asinh(FARTHEST_TAIL) * (-1 if side == "below" else 1)
    grid = torch.linspace(far, -far, 4097, dtype=torch.float64).sinh()  # fine near 0, coarse far out
    for _ in range(SUBDIVISIONS):
        steep = slope(act, grid).abs() > eps
        if not steep.any() or steep[0]:
            raise ValueError(
                f"eps={eps:g}: {type(act).__name__} has no tail {side} where |slope| <= eps and which ends"
                f" (its largest slope is {slope(act, grid).abs().max().item():.3g}); try eps=0.05"
            )
        first = int(steep.nonzero()[0])
        grid = torch.linspace(grid[first - 1].item(), grid[first].item(), 1025, dtype=torch.float64)
    border = grid[0].item()
    return (-inf, border) if side == "below" else (border, inf)


@activation(
    "shrink",
    Properties(
        flat=lambda act, eps: [(-act.lambd, act.lambd)],
        piecewise_linear=True,
        largest_slope=1.0,
        derivative=Derivative(
            forward=lambda act, z: functional.softshrink(z, act.lambd),
            backward=lambda act, g, f_z: aten.threshold_backward(g, f_z.abs(), 0.0),
        ),
    ),
)
def shrink(*, threshold: PositiveValue = 0.5) -> nn.Softshrink:
    """Soft-shrink: sign(z) * max(|z| - threshold, 0)."""
    return nn.Softshrink(threshold)


@activation(
    "satlin",
    Properties(
        flat=lambda act, eps: [(-inf, act.min_val), (act.max_val, inf)],
        piecewise_linear=True,
        largest_slope=1.0,
        derivative=Derivative(
            forward=lambda act, z: z.clamp_(act.min_val, act.max_val),
            backward=lambda act, g, f_z: aten.hardtanh_backward(g, f_z, act.min_val, act.max_val),
        ),
    ),
)
def satlin(*, low: Value = -1.0, high: Value = 1.0) -> nn.Hardtanh:
    """Saturating linear unit: z clipped to [low, high].

    Raises:
        ValueError: ``high`` is not above ``low``.
    """
    if not low < high:
        raise ValueError(f"low={low:g}, high={high:g}: high must be above low")
    return nn.Hardtanh(low, high)


# Slope bounds that are not round numbers come from a search on a fine grid, rounded up; a test repeats the search.
activation(
    "relu",
    Properties(
        flat=lambda act, eps: [(-inf, 0.0)],
        piecewise_linear=True,
        largest_slope=1.0,
        derivative=Derivative(
            forward=lambda act, z: z.relu_(),
            backward=lambda act, g, f_z: aten.threshold_backward(g, f_z, 0.0),
        ),
    ),
)(nn.ReLU)
activation("relu6", Properties(lambda act, eps: [(-inf, 0.0), (6.0, inf)], piecewise_linear=True, largest_slope=1.0))(
    nn.ReLU6
)
activation(
    "hardsigmoid", Properties(lambda act, eps: [(-inf, -3.0), (3.0, inf)], piecewise_linear=True, largest_slope=1 / 6)
)(nn.Hardsigmoid)
activation("hardswish", Properties(lambda act, eps: [(-inf, -3.0)], monotone=False, largest_slope=1.5, minimum=-1.5))(
    nn.Hardswish
)
activation(
    "sigmoid",
    Properties(
        flat=tails("below", "above"),
        largest_slope=0.25,
        derivative=Derivative(
            forward=lambda act, z: z.sigmoid_(),
            backward=lambda act, g, f_z: aten.sigmoid_backward(g, f_z),
        ),
    ),
)(nn.Sigmoid)
activation(
    "tanh",
    Properties(
        flat=tails("below", "above"),
        largest_slope=1.0,
        derivative=Derivative(
            forward=lambda act, z: z.tanh_(),
            backward=lambda act, g, f_z: aten.tanh_backward(g, f_z),
        ),
    ),
)(nn.Tanh)
activation("softsign", Properties(tails("below", "above"), largest_slope=1.0))(nn.Softsign)
activation("softplus", Properties(tails("below"), largest_slope=1.0))(nn.Softplus)
activation("elu", Properties(tails("below"), largest_slope=lambda act: max(1.0, act.alpha)))(nn.ELU)
activation("celu", Properties(tails("below"), largest_slope=1.0))(nn.CELU)
activation("selu", Properties(tails("below"), largest_slope=1.7580994))(nn.SELU)
activation("gelu", Properties(tails("below"), monotone=False, largest_slope=1.12950, minimum=-0.7519))(nn.GELU)
activation("silu", Properties(tails("below"), monotone=False, largest_slope=1.09984, minimum=-1.27846))(nn.SiLU)
activation("mish", Properties(tails("below"), monotone=False, largest_slope=1.08850, minimum=-1.19241))(nn.Mish)
activation("logsigmoid", Properties(tails("above"), largest_slope=1.0))(nn.LogSigmoid)
