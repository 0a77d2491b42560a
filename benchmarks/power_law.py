"""How one number grows with another."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import linear_regression


def exponent(xs: Sequence[float], ys: Sequence[float]) -> float:
    """The p of y = c * x^p, by least squares of the logarithms.

    Raises:
        ValueError: fewer than two points, or a number that is not positive.
    """
    if len(xs) < 2 or min(*xs, *ys) <= 0:
        raise ValueError(f"{list(xs)} and {list(ys)}: give two points or more, all of them positive")
    return linear_regression([math.log(x) for x in xs], [math.log(y) for y in ys]).slope
