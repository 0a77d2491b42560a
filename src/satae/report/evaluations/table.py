"""The table of a part: what it came to, one row for each configuration."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final

from satae.report import words
from satae.report.evaluations import verdicts
from satae.report.evaluations.defence import CLEAN, DEFENCE
from satae.report.evaluations.outcomes import Outcome, Part
from satae.report.evaluations.verdicts import OWN, VICTIMS
from satae.report.series import Point
from satae.report.tables import INTERVAL, Table, keys_of, values_of

MOST_TITLES: Final = 12  # figures


def table(part: Part, axes: Sequence[str]) -> Table:
    """One row for each configuration; an accuracy has its verdict with it.

    Args:
        part: what was found.
        axes: in which the configurations differ.
    """
    keys, names = keys_of(axes), _evaluated(part)
    spread = INTERVAL if any(len(group.finished) > 1 for group in part.groups) else ""
    judged = {name: f"{name} at {part.epsilon:g}{spread} (verdict)" for name in VICTIMS} if part.epsilon else {}
    balls = {name: ball for found in part.outcomes.values() for name, ball in found.balls.items()}
    within = {name: f" ({ball})" for name, ball in balls.items()}
    titles = [judged.get(name, f"{name}{spread}{within.get(name, '')}") for name in names]
    more = ["own: checks not passed"] if part.name == DEFENCE else []

    def rows() -> Iterator[list[str]]:
        for group in part.groups:
            point = Point.of(math.nan, group)
            found = part.of(point)
            told = [_told(part, point, name) for name in names]
            checks = ["; ".join(verdicts.unpassed(found)) or words.NOTHING] * len(more)
            named = values_of(group, keys) or [words.ONE]
            yield [*named, str(len(found)), _inputs(found, names), *told, *checks]

    head = [*(keys or ["configuration"]), "n", "inputs", *titles, *more]
    title, numbers = f"{part.name.capitalize()}, evaluated", len(head) - max(1, len(keys))
    return Table.of(title, head, rows(), numbers)._replace(files="evaluation.csv")


def _told(part: Part, point: Point, name: str) -> str:
    """A figure over the seeds, or of one run an accuracy with its interval; under attack with the verdicts."""
    found, number = part.of(point), words.spread(point.spread(name))
    verdict = verdicts.counted(found, name) if name in VICTIMS else ""
    if len(found) == 1 and part.epsilon is not None:
        victim, epsilon = (OWN, 0.0) if name == CLEAN else (name, part.epsilon)
        ends = found[0].ends.get(victim, {}).get(epsilon)
        number += f" [{', '.join(map(words.number, ends))}]" if ends else ""
    return f"{number}\n({verdict})" if verdict else number


def _evaluated(part: Part) -> list[str]:
    """The names of what a part tells."""
    if part.name == DEFENCE:
        known = {victim for found in part.outcomes.values() for victim in found.told}
        return [name for name in (CLEAN, *VICTIMS) if name == CLEAN or name in known]
    return [*dict.fromkeys(name for group in part.groups for run in group.runs for name in run.metrics)][:MOST_TITLES]


def _inputs(found: Sequence[Outcome], names: Sequence[str]) -> str:
    """How many inputs are behind the figures, and of some of them others."""
    counts: dict[str, list[str]] = {}
    for name in names:
        behind = sorted({each.inputs[name] for each in found if name in each.inputs})
        if behind:
            ends = dict.fromkeys(f"{number:,}" for number in (behind[0], behind[-1]))
            counts.setdefault(" to ".join(ends), []).append(name)
    usual, *others = sorted(counts, key=lambda count: -len(counts[count])) or [words.NOTHING]
    return "; ".join([usual, *(f"{', '.join(counts[count])}: {count}" for count in others)])
