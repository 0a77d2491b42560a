"""Whether accuracies under attack can be believed, of each model that was attacked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from satae.page.evaluations.outcomes import Outcome
from satae.sweeps.formatting import shorten_value

OWN, TWIN, ALONE = VICTIMS = ("own", "twin", "alone")
MASKED, INCONCLUSIVE, HOLDS = VERDICTS = ("masked", "inconclusive", "holds")  # the worst first
PASSED: Final = "passed"


def counted(outcomes: Iterable[Outcome], victim: str) -> str:
    """How often each came out: ``masked 1, holds 2``; of one run the word alone."""
    found = Counter(outcome.told[victim] for outcome in outcomes if victim in outcome.told)
    told = [f"{verdict}\N{NO-BREAK SPACE}{found[verdict]}" for verdict in VERDICTS if found[verdict]]
    return ", ".join(told) if found.total() > 1 else "".join(found)


def worst(outcomes: Iterable[Outcome], victim: str) -> str:
    """The worst verdict of some runs; of none, inconclusive."""
    found = {outcome.told[victim] for outcome in outcomes if victim in outcome.told}
    return next((verdict for verdict in VERDICTS if verdict in found), INCONCLUSIVE)


def unpassed(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """The checks that were not passed, by what came of them: ``2, 3 failed``, ``8 open in 1 of 3``."""
    found = Counter((number, how) for outcome in outcomes for number, how in outcome.checks.items())
    alike: dict[tuple[str, int], list[str]] = {}
    for (number, how), times in sorted(found.items()):
        alike.setdefault((how, times), []).append(str(number))
    for (how, times), numbers in alike.items():
        seldom = f" in {times} of {len(outcomes)}" if times < len(outcomes) else ""
        yield f"{', '.join(numbers)} {shorten_value(how)}{seldom}"
