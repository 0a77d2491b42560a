"""Whether what was found of a run is of the weights that it has now, told without reading these."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Final

from satae.page.evaluations.outcomes import Outcome
from satae.sweeps.results import RunResult, parse_time

BEST: Final = "best"  # the setting that says which weights of a run were measured
NEWEST: Final = "false"


def marked(run: RunResult, found: Mapping[str, Outcome]) -> dict[str, Outcome]:
    """The parts of a run, those that are stale marked.

    A part is stale if it was measured before the run ended, or has other weights than the part that was measured last.
    The best weights are compared with one another alone: they may well be those of an earlier epoch.

    Args:
        run: whose parts they are.
        found: what each came to, by its name.
    """
    stale = {*_differing(found), *_before(parse_time(str(run.record.get("ended", ""))), found)}
    return {part: outcome._replace(is_stale=part in stale) for part, outcome in found.items()}


def _differing(found: Mapping[str, Outcome]) -> Iterator[str]:
    last = {each.settings.get(BEST): each for each in sorted(found.values(), key=_when)}
    yield from (part for part, each in found.items() if each.weights != last[each.settings.get(BEST)].weights)


def _before(ended: float | None, found: Mapping[str, Outcome]) -> Iterator[str]:
    """Those that were measured before a time; evaluations tell whole seconds."""
    for part, each in found.items():
        if ended is not None and each.settings.get(BEST) == NEWEST and _when(each) + 1 <= ended:
            yield part


def _when(outcome: Outcome) -> float:
    return math.inf if outcome.measured is None else outcome.measured
