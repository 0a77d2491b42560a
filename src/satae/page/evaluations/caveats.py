"""What one should know of evaluations before one relies on them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from satae.config.messages import count_words, join_words
from satae.page.evaluations.gathering import Evaluated
from satae.page.evaluations.outcomes import Part
from satae.page.evaluations.verdicts import MASKED, VICTIMS
from satae.sweeps.formatting import format_configuration, shorten_value

SHARED: Final = ("best", "split", "seed")  # settings in which parts that are read together are alike
MOST_NAMED: Final = 4  # configurations


def caveats(found: Evaluated) -> Iterator[str]:
    """A sentence for each: weights of before, other inputs or draws from part to part, masked gradients."""
    yield from _stale(found)
    yield from _apart(found)
    for part in found.parts:
        for victim in VICTIMS:
            yield from _masked(part, victim)


def _stale(found: Evaluated) -> Iterator[str]:
    each = [[part for part, outcome in parts.items() if outcome.is_stale] for parts in found.runs.values()]
    if some := [parts for parts in each if parts]:
        names = join_words(dict.fromkeys(part for parts in some for part in parts), "and")
        told = f"{count_words(len(some), 'run was', 'runs were')} trained further after {names} had been measured"
        yield f"{told}: what was found of earlier weights is in no mean and no figure; satae-eval measures it again."


def _apart(found: Evaluated) -> Iterator[str]:
    for key in SHARED:
        values: dict[str, list[str]] = {}
        for part in found.parts:
            if key in part.settings:
                values.setdefault(part.settings[key], []).append(part.name)
        if len(values) > 1:
            told = "; ".join(
                f"{key}={shorten_value(value)} of {join_words(names, 'and')}" for value, names in values.items()
            )
            yield f"The parts of the evaluation differ: {told}."


def _masked(part: Part, victim: str) -> Iterator[str]:
    """In how many runs a model is, and of which configurations."""
    runs = {
        format_configuration(group.values): [part.outcomes[run.directory] for run in group.finished]
        for group in part.groups
    }
    counts = {name: sum(each.told.get(victim) == MASKED for each in some) for name, some in runs.items()}
    named = [name for name, count in counts.items() if count]
    if named:
        more = [f"{len(named) - MOST_NAMED} more"] if len(named) > MOST_NAMED else []
        which = f" ({'; '.join([*named[:MOST_NAMED], *more])})" if len(runs) > 1 else ""
        masked = count_words(sum(counts.values()), "run")
        yield (
            f"{part.name.capitalize()}: {victim} is {MASKED} in {masked}{which}: a check"
            " failed, so that its accuracy under attack may be an illusion."
        )
