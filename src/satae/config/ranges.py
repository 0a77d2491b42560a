"""Fields of the schema with the values that they take."""

from __future__ import annotations

import math
from dataclasses import field
from typing import Any, Final

from omegaconf import MISSING

SEEDS: Final = 2**32  # seeds lie below
MOST: Final = 2**31 - 1  # of anything that is counted
WIDEST: Final = 10**6  # units of a layer
MOST_THREADS: Final = 1024
DEEPEST: Final = 256  # layers of an encoder
LARGEST: Final = 1e6  # of values that stand beside the data's own


def one_of(*choices: str) -> Any:
    """A field that takes one of some words."""
    return field(default=MISSING, metadata={"choices": choices})


def path() -> Any:
    """A field that takes the name of a file or folder."""
    return field(default=MISSING, metadata={"path": True})


def between(low: float, high: float = math.inf, *, above: bool = False, below: bool = False) -> Any:
    """A field of finite numbers from ``low`` to ``high``; ``above`` and ``below`` leave these ends out."""
    return field(default=MISSING, metadata={"low": low, "high": high, "above": above, "below": below})


def count(least: int = 1, most: int = MOST) -> Any:
    """A field of whole numbers."""
    return between(least, most)
