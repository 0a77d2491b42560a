"""One word on a robustness figure, and what it is made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

from satae.robustness.proportions import Share

Outcome = Literal["passed", "failed", "open"]
Verdict = Literal["holds", "masked", "inconclusive"]

RARE: Final = 0.01  # a share that may offend
SLACK: Final = 0.05  # below it a share is told to be rare, as far as the number of examples can tell


class Check(NamedTuple):
    """Something that would betray a figure, looked at."""

    number: int
    title: str
    figure: str
    outcome: Outcome


def verdict(found: Sequence[Check]) -> Verdict:
    """``masked`` where any check failed; ``holds`` where all passed; ``inconclusive`` where some could not tell."""
    words: dict[Outcome, Verdict] = {"failed": "masked", "open": "inconclusive", "passed": "holds"}
    return words[worst([check.outcome for check in found])]


def worst(outcomes: Sequence[Outcome]) -> Outcome:
    """The one of some outcomes that counts; of none, that nothing was found."""
    return next((outcome for outcome in ("failed", "open") if outcome in outcomes), "passed")


def is_rare(offenders: Share) -> Outcome:
    """Failed where the share is surely above 1 %, passed where it is surely not above 5 %."""
    if offenders.low > RARE:
        return "failed"
    return "passed" if offenders.high <= SLACK else "open"


def at_chance(accuracy: Share, chance: float) -> Outcome:
    """Failed where the accuracy is surely above chance, passed where it is surely no more than 5 % above."""
    if accuracy.low > chance:
        return "failed"
    return "passed" if accuracy.high <= chance + SLACK else "open"
