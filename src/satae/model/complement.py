"""The complementary function f_c: zero where the activation f is flat, rising away from there."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from satae.model.activations import Flatness, flatness
from satae.model.flat import Interval, distance, evaluate, inside, level, slope

Reading = Literal["output", "input", "slope"]
READINGS: tuple[Reading, ...] = get_args(Reading)


class Complement:
    """f_c of one activation, with its flat set worked out once.

    Three readings of "complementary":

        output   f_c(z) = min_k |f(z) - v_k|     v_k the values of f where it is flat
        input    f_c(z) = min_{s in S} |z - s|   S the flat set
        slope    f_c(z) = |f'(z)|

    ``output`` is that of Goroshin & LeCun (2013), arXiv 1301.3577, section 2; ``input`` and ``slope`` are printed
    by Nayebi & Ganguli (2017), arXiv 1703.09202. The first two agree wherever f is linear with slope 1.

    Attributes:
        intervals: the closed intervals of the flat set S; for an activation that only tends to flatness, its tails
            where |f'(z)| <= eps.
        levels: the values v_k that f takes, or tends to, on them.
        reading: as given.
        trains: whether f_c has a gradient anywhere: not for ``slope`` where f is piecewise linear.
    """

    def __init__(self, act: nn.Module, reading: Reading = "output", eps: float = 0.05) -> None:
        """Work out the flat set.

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
            raise ValueError(f"complement={reading!r}: choose one of {', '.join(READINGS)}")
        known = flatness(act)
        if reading == "output" and not known.monotone:
            raise ValueError(
                f"complement=output is not defined for {type(act).__name__}, which is not monotone"
                " (it reaches its flat value where it is steep); choose complement=input or slope"
            )
        self.act = act
        self.intervals: list[Interval] = list(known.intervals(act, eps))
        if not (self.intervals and all(lo <= hi for lo, hi in self.intervals)):
            raise ValueError(
                f"{type(act).__name__}: its flat set is {self.intervals}; register intervals (lo, hi), lo <= hi"
            )
        self.levels = [level(act, interval) for interval in self.intervals]
        if not all(math.isfinite(value) for value in self.levels):
            raise ValueError(f"{type(act).__name__}: is not finite where it is said to be flat, but {self.levels}")
        self.reading = reading
        self.trains = not (reading == "slope" and known.piecewise_linear)
        self._function = self._choose(reading, known)

    def _choose(self, reading: Reading, known: Flatness) -> Callable[[Tensor, Tensor | None], Tensor]:
        functions: dict[Reading, Callable[[Tensor, Tensor | None], Tensor]] = {
            "output": lambda z, f_z: self.of_output(evaluate(self.act, z) if f_z is None else f_z),
            "input": lambda z, _: distance(z, self.intervals),
            # torch cannot differentiate some slopes that are constant, so their gradient of 0 is left out
            "slope": lambda z, _: slope(self.act, z.detach() if known.piecewise_linear else z).abs(),
        }
        return functions[reading]

    def of_output(self, f_z: Tensor) -> Tensor:
        """f_c as a function of f(z), in the reading ``output``."""
        gaps = (f_z - value if value else f_z for value in self.levels)  # a level of 0 costs no pass
        return functools.reduce(torch.minimum, (gap.abs() for gap in gaps))

    def __call__(self, z: Tensor, f_z: Tensor | None = None) -> Tensor:
        """f_c(z), non-negative, shaped like ``z``; half-precision input is computed in float32.

        Args:
            z: pre-activations, any shape.
            f_z: f(z), where it has been computed already; not looked at for half-precision ``z``.
        """
        wide = widen(z)
        return self._function(wide, f_z if wide is z else None)

    def rise(self, f_z: Tensor) -> Tensor:
        """Its derivative by f(z), between the levels: the sign of f(z) - v, v the nearest one; halfway, 0.

        Args:
            f_z: values of an activation that has one saturation level, or two and no values beyond them.
        """
        if len(self.levels) == 1:
            return (f_z - self.levels[0] if self.levels[0] else f_z).sign()
        return (sum(self.levels) / 2 - f_z).sign()

    def is_flat(self, z: Tensor) -> Tensor:
        """Whether each pre-activation lies in the flat set: booleans shaped like ``z``."""
        return inside(widen(z), self.intervals)


def widen(z: Tensor) -> Tensor:
    """Half-precision numbers as float32; others as they are."""
    return z.float() if z.dtype in (torch.float16, torch.bfloat16) else z


def complement(act: nn.Module, z: Tensor, reading: Reading = "output", eps: float = 0.05) -> Tensor:
    """f_c(z) for one activation: see :class:`Complement`, which is quicker where it is called again and again.

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
