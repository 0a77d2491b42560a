"""The table of a part: what it came to, one row for each configuration."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Sequence
from typing import Final

from satae.page.evaluations import verdicts
from satae.page.evaluations.defence import CLEAN, DEFENCE
from satae.page.evaluations.outcomes import Outcome, Part, over_inputs
from satae.page.evaluations.verdicts import ALONE, OWN, VICTIMS
from satae.sweeps.formatting import (
    ALL_RUNS,
    NOTHING,
    TextTable,
    format_number,
    format_statistics,
    table_keys,
    table_values,
)
from satae.sweeps.series import Point

MOST_TITLES: Final = 12  # figures
CHECKS: Final = "not passed"  # checks that the verdict on the model itself follows from, so beside it
WIDEST: Final = 18  # characters of a line in a cell


def table(part: Part, axes: Sequence[str]) -> TextTable:
    """One row for each configuration; an estimate has its interval with it, an accuracy under attack its verdict.

    Args:
        part: what was found.
        axes: in which the configurations differ.
    """
    keys, names = table_keys(axes), evaluated(part)
    titles = [*names[: 1 + names.index(OWN)], CHECKS, *names[1 + names.index(OWN) :]] if part.epsilon else names

    def rows() -> Iterator[list[str]]:
        for group in part.groups:
            point = Point.of_group(math.nan, group)
            found = part.of(point)
            told = [_checks(found) if name == CHECKS else _told(part, point, name) for name in titles]
            named = table_values(group, keys) or [ALL_RUNS]
            yield [*named, str(len(found)), _inputs(found, names), *told]

    head = [*(keys or ["configuration"]), "n", "inputs", *titles]
    title, numbers = f"{part.name.capitalize()}, evaluated", len(head) - max(1, len(keys))
    return TextTable.from_rows(title, head, rows(), numbers)._replace(files="evaluation.csv", caption=part.label)


def evaluated(part: Part) -> list[str]:
    """The names of what a part tells."""
    if part.name == DEFENCE:
        known = {victim for found in part.outcomes.values() for victim in found.told}
        return [name for name in (CLEAN, *VICTIMS) if name in (CLEAN, OWN) or name in known]
    return [*dict.fromkeys(name for group in part.groups for run in group.runs for name in run.metrics)][:MOST_TITLES]


def spread(part: Part, point: Point, name: str) -> str:
    """A figure over the seeds; that of the classifier alone, which is one for all of them, is no draw of theirs."""
    found = point.statistics(name)
    return format_number(found.mean) if name == ALONE and part.epsilon else format_statistics(found)


def _told(part: Part, point: Point, name: str) -> str:
    """A figure over the seeds, of an estimate with its interval; of an accuracy under attack with the verdicts."""
    found, lines = part.of(point), [spread(part, point, name)]
    if ends := over_inputs(found, name):
        lines.append(f"[{', '.join(map(format_number, ends))}]")
    if part.epsilon is not None and name in VICTIMS and (verdict := verdicts.counted(found, name)):
        lines.append(f"({verdict})")
    return "\n".join(lines)


def _checks(found: Sequence[Outcome]) -> str:
    return "\n".join(line for told in verdicts.unpassed(found) for line in textwrap.wrap(told, WIDEST)) or NOTHING


def _inputs(found: Sequence[Outcome], names: Sequence[str]) -> str:
    """How many inputs are behind the figures, and of some of them others."""
    counts: dict[str, list[str]] = {}
    for name in names:
        behind = sorted({each.inputs[name] for each in found if name in each.inputs})
        if behind:
            ends = dict.fromkeys(f"{number:,}" for number in (behind[0], behind[-1]))
            counts.setdefault(" to ".join(ends), []).append(name)
    usual, *others = sorted(counts, key=lambda count: -len(counts[count])) or [NOTHING]
    return "\n".join([usual, *(f"{', '.join(counts[count])}: {count}" for count in others)])
