"""How far measures over seeds scatter, as it is told and drawn: 95 % intervals, and of two seeds their range."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from satae.sweeps.groups import Spread

ANY: Final = (-math.inf, math.inf)  # values that are possible
SHARE: Final = (0.0, 1.0)  # those of a share
TWO: Final = 2  # seeds, whose interval by Student's t is twelve times as wide as they lie apart


def half(found: Spread) -> float:
    """Of the interval of a mean, or of the range of two seeds; nan of one."""
    return found.deviation / math.sqrt(TWO) if found.n == TWO else found.margin


def reach(spreads: Sequence[Spread], possible: tuple[float, float] = ANY) -> tuple[list[float], list[float]]:
    """How far the bars of some means go down and up: not to where no value can be, and nowhere from one run."""
    halves = [0.0 if math.isnan(half(found)) else half(found) for found in spreads]
    low, high = possible
    down = [min(by, max(found.mean - low, 0.0)) for by, found in zip(halves, spreads, strict=True)]
    return down, [min(by, max(high - found.mean, 0.0)) for by, found in zip(halves, spreads, strict=True)]
