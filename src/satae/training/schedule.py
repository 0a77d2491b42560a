"""How alpha grows over a training run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

AlphaSchedule = Literal["constant", "linear"]
ALPHA_SCHEDULES: tuple[AlphaSchedule, ...] = get_args(AlphaSchedule)

RAMP = 0.5  # share of the training over which a linear schedule rises


def alpha_schedule(alpha: float, kind: AlphaSchedule) -> Callable[[float], float]:
    """The weight of the penalty as a function of the share of the training that is done, in [0, 1].

    ``"constant"`` is alpha throughout; ``"linear"`` rises from 0 to alpha over the first half and stays there.
    """
    if kind == "constant":
        return lambda done: alpha
    return lambda done: alpha * min(1.0, done / RAMP)
