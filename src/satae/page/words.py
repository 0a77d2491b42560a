"""Numbers and names as one reads them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from satae.config.messages import counted
from satae.page.spreads import TWO, half
from satae.sweeps.groups import TOO_LARGE, Spread, shown

LARGEST: Final = 1e6  # number that is written out
ROUNDING: Final = 1e-14  # share of a mean, below which the spread of equal numbers lies
PLUS_MINUS: Final = "\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}"
NOTHING: Final = "–"
ONE: Final = "all runs"  # the name of the only configuration


def number(value: float | None) -> str:
    """With four digits that count."""
    return NOTHING if value is None or math.isnan(value) else f"{value:#.4g}" if value else "0"


def spread(found: Spread) -> str:
    """``0.321 ± 0.007``: the mean and half of its interval, to two digits of that.

    Of two seeds both values: ``0.32 (0.31, 0.33)``.
    """
    by = half(found)
    if math.isnan(by):
        return number(found.mean)
    if by <= ROUNDING * abs(found.mean):
        return f"{number(found.mean)}{PLUS_MINUS}0"
    if not by < LARGEST or abs(found.mean) >= LARGEST:
        return f"{number(found.mean)}{PLUS_MINUS}{TOO_LARGE if math.isinf(by) else number(by)}"
    digits = min(6, max(0, 1 - math.floor(math.log10(by))))
    mean, low, high = (f"{value:.{digits}f}" for value in (found.mean, found.mean - by, found.mean + by))
    text = f"{mean} ({low}, {high})" if found.n == TWO else f"{mean}{PLUS_MINUS}{by:.{digits}f}"
    return text.replace("-", "\N{MINUS SIGN}")


def change(found: Spread) -> str:
    """The same with its sign."""
    return spread(found) if found.mean < 0 else f"+{spread(found)}"


def name(values: Mapping[str, Any]) -> str:
    """A configuration: ``act=relu, alpha=0.1``."""
    return ", ".join(f"{short(key)}={short(value)}" for key, value in values.items()) or ONE


def not_begun(number: int, all_runs: int) -> str:
    """``1 of 8 runs has not begun``."""
    return f"{number:,} of {counted(all_runs, 'run')} {'has' if number == 1 else 'have'} not begun"


def duration(seconds: float) -> str:
    """``1 h 02 min``, ``3 min 20 s`` or ``4.2 s``."""
    if not math.isfinite(seconds):
        return NOTHING
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = round(seconds) // 60
    return f"{minutes} min {round(seconds) % 60:02} s" if minutes < 60 else f"{minutes // 60:,} h {minutes % 60:02} min"


def short(value: object, most: int = 40) -> str:
    """A value as one types it, cut where it is long."""
    text = " ".join(shown(value).split())
    return text if len(text) <= most else f"{text[: most - 1]}…"
