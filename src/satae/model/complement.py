"""The complementary function f_c: zero where the activation f is flat, rising away from there."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence
from typing import Final, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from satae.config.option_types import Reading
from satae.model.activations import Interval, evaluate, properties_of, slope

READINGS: tuple[Reading, ...] = get_args(Reading)
AT_INFINITY: Final = 1e30  # an activation has reached its limit here in float64, and z * z does not overflow yet


class Complement:
    """The complementary function f_c of one activation; its flat set is computed once.

    Three readings of "complementary":

        output   f_c(z) = min_k |f(z) - v_k|     v_k the values of f where it is flat
        input    f_c(z) = min_{s in S} |z - s|   S the flat set
        slope    f_c(z) = |f'(z)|

    ``output`` is defined by Goroshin & LeCun (2013), arXiv 1301.3577, section 2; ``input`` and ``slope`` are printed by
    Nayebi & Ganguli (2017), arXiv 1703.09202. The first two agree wherever f is linear with slope 1.

    Attributes:
        intervals: the closed intervals of the flat set S; for an activation that only tends to flatness, its tails
            where |f'(z)| <= eps.
        levels: the values v_k that f takes, or tends to, on them.
        trains: whether f_c has a gradient anywhere: not for ``slope`` where f is piecewise linear.
    """

    def __init__(self, act: nn.Module, reading: Reading = "output", eps: float = 0.05) -> None:
        """Compute the flat set.

        Args:
            act: an activation with a flat set.
            reading: ``"output"``, ``"input"`` or ``"slope"``.
            eps: the slope below which a tail counts as flat, in (0, 1).

        Raises:
            ValueError: no flat set, unknown reading, ``eps`` out of range, or ``"output"`` for an activation that
                is not monotone.
        """
        if not 0 < eps < 1:
            raise ValueError(f"eps={eps!r}: must lie between 0 and 1; 0.05 is usual")
        if reading not in READINGS:
            raise ValueError(f"reading={reading!r}: choose one of {', '.join(READINGS)}")
        properties = properties_of(act)
        if reading == "output" and not properties.monotone:
            raise ValueError(
                f"the reading output is not defined for {type(act).__name__}, which is not monotone"
                " (it reaches its flat value where it is steep); choose input or slope"
            )
        assert properties.flat is not None
        self.act = act
        flat = properties.flat(act, eps)
        try:
            self.intervals: list[Interval] = [(float(lo), float(hi)) for lo, hi in flat]
            is_apart = all(one[1] <= other[0] for one, other in itertools.pairwise(sorted(self.intervals)))
            is_valid = bool(self.intervals) and all(lo <= hi for lo, hi in self.intervals) and is_apart
        except (TypeError, ValueError):  # not pairs of numbers
            is_valid = False
        if not is_valid:
            raise ValueError(
                f"{type(act).__name__}: its flat set is {flat}; register intervals (lo, hi), lo <= hi, that lie apart"
            )
        self.levels = [level(act, interval) for interval in self.intervals]
        if not all(math.isfinite(value) for value in self.levels):
            raise ValueError(f"{type(act).__name__}: its values where it is flat are {self.levels}, not finite")
        self.reading = reading
        self.trains = not (reading == "slope" and properties.piecewise_linear)

    def __call__(self, z: Tensor, f_z: Tensor | None = None) -> Tensor:
        """f_c(z), non-negative, shaped like ``z``; half-precision input is computed in float32.

        Args:
            z: pre-activations, any shape.
            f_z: f(z), where it has been computed already; ignored for half-precision ``z``.
        """
        wide = widen(z)
        if self.reading == "output":
            return self.from_output(evaluate(self.act, wide) if f_z is None or wide is not z else f_z)
        if self.reading == "input":
            return distance(wide, self.intervals)
        # torch cannot differentiate some slopes that are constant, so their gradient of 0 is left out
        return slope(self.act, wide if self.trains else wide.detach()).abs()

    def from_output(self, f_z: Tensor) -> Tensor:
        """f_c as a function of f(z), for the reading ``output``."""
        gaps = (f_z - value if value else f_z for value in self.levels)  # a level of 0 costs no pass
        return functools.reduce(torch.minimum, (gap.abs() for gap in gaps))

    def output_derivative(self, f_z: Tensor) -> Tensor:
        """The derivative d f_c / d f between the levels: the sign of f(z) - v, v the nearest level; halfway, 0.

        Args:
            f_z: values of an activation with one saturation level, or with two and no values beyond them.
        """
        if len(self.levels) == 1:
            return (f_z - self.levels[0] if self.levels[0] else f_z).sign()
        return (sum(self.levels) / 2 - f_z).sign()

    def is_flat(self, z: Tensor) -> Tensor:
        """Whether each pre-activation lies in the flat set: booleans shaped like ``z``."""
        return inside(widen(z), self.intervals)


def widen(z: Tensor) -> Tensor:
    """Convert half-precision numbers to float32; return others unchanged."""
    return z.float() if z.dtype in (torch.float16, torch.bfloat16) else z


def distance(z: Tensor, intervals: Sequence[Interval]) -> Tensor:
    """Distance from each element to the nearest of some closed intervals, shaped like ``z``.

        d(z) = min_k max(lo_k - z, z - hi_k, 0)

    Its subgradient is 0 at the borders and where two intervals are equally near. Ends may be infinite.
    """

    def to_interval(lo: float, hi: float) -> Tensor:
        below, above = lo - z, z - hi  # an infinite end is left out, since inf - inf is nan
        return functional.relu(below if hi == math.inf else above if lo == -math.inf else torch.maximum(below, above))

    return functools.reduce(torch.minimum, (to_interval(*interval) for interval in intervals))


def inside(z: Tensor, intervals: Sequence[Interval]) -> Tensor:
    """Whether each element lies in one of some closed intervals: booleans shaped like ``z``."""
    return functools.reduce(torch.logical_or, ((z >= lo) & (z <= hi) for lo, hi in intervals))


def level(act: nn.Module, interval: Interval) -> float:
    """The value that ``act`` takes, or tends to, on an interval where it is flat."""
    ends = [end for end in interval if math.isfinite(end)]
    far = AT_INFINITY if interval[1] == math.inf else -AT_INFINITY
    point = sum(ends) / 2 if len(ends) == 2 else far
    return evaluate(act, torch.tensor(point, dtype=torch.float64)).item()


def complement(act: nn.Module, z: Tensor, reading: Reading = "output", eps: float = 0.05) -> Tensor:
    """f_c(z) for one activation; :class:`Complement` is quicker for repeated calls.

    >>> complement(nn.ReLU(), torch.tensor([-1.0, 0.0, 2.0]))
    tensor([0., 0., 2.])
    """
    return Complement(act, reading, eps)(z)


def is_flat(act: nn.Module, z: Tensor, eps: float = 0.05) -> Tensor:
    """Whether each pre-activation lies where ``act`` is flat.

    >>> is_flat(nn.Hardtanh(), torch.tensor([-2.0, 0.0, 1.0]))
    tensor([ True, False,  True])
    """
    return Complement(act, "input", eps).is_flat(z)
