"""What evaluations came to, in a sentence for each part."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

from satae.page.evaluations import table, verdicts
from satae.page.evaluations.outcomes import Part
from satae.page.evaluations.verdicts import ALONE
from satae.sweeps.formatting import format_configuration
from satae.sweeps.series import Point, spread_evenly

MOST_NAMED: Final = 3  # configurations
MOST_TOLD: Final = 3  # figures of each


def sentence(part: Part) -> tuple[str, str]:
    """The name of a part and what its figures are; of some configurations what these come to."""
    some = spread_evenly([Point.of_group(math.nan, group) for group in part.groups], MOST_NAMED)
    told = [
        f"{format_configuration(point.values)}: " * bool(point.values) + ", ".join(_figures(part, point))
        for point in some
    ]
    more = f"; {left} more in its table" if (left := len(part.groups) - len(some)) else ""
    name = part.name.capitalize()
    return f"{name}, {part.label}" if part.label else name, f"{'; '.join(told)}{more}."


def _figures(part: Part, point: Point) -> Iterator[str]:
    """Those that are known, each with its verdict."""
    for name in [name for name in table.evaluated(part) if name != ALONE][:MOST_TOLD]:
        if point.statistics(name).n:
            verdict = verdicts.counted(part.of(point), name)
            yield f"{name} {table.spread(part, point, name)}{f' ({verdict})' if verdict else ''}"
