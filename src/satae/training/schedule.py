"""How alpha grows over a training run, by the share of the training that is done, in [0, 1]."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

Schedule = Callable[[float], float]

RAMP: Final = 0.5  # share of the training over which a linear schedule rises


def constant(done: float) -> float:
    """The whole of alpha throughout."""
    return 1.0


def linear(done: float) -> float:
    """From 0 to the whole of alpha over the first half, and the whole from there."""
    return min(1.0, done / RAMP)


SCHEDULES: Final[dict[str, Schedule]] = {"linear": linear, "constant": constant}


def alpha_schedule(alpha: float, kind: str) -> Schedule:
    """The weight of the penalty.

    Args:
        alpha: its largest value.
        kind: one of ``SCHEDULES``.

    Returns:
        A function of the share of the training that is done.

    Raises:
        ValueError: unknown kind.
    """
    if kind not in SCHEDULES:
        raise ValueError(f"alpha_schedule={kind}: choose one of {', '.join(SCHEDULES)}")
    return lambda done: alpha * SCHEDULES[kind](done)
