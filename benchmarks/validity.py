"""When a ratio may be believed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import mean, variance
from typing import Final

from benchmarks.measurement import Measurement

ALTERNATIONS: Final = 5  # at least
ERRORS: Final = 3  # standard errors of the difference that two mean losses may be apart
SLACK: Final = 0.02  # share of the loss that they may be apart in any case
NOISIEST: Final = 0.10  # and share that they may not, however noisy the seeds

RULE: Final = (
    f"Losses agree if the means over the seeds of the final validation total are within {ERRORS} standard errors of"
    f" their difference, or {SLACK:.0%} of the loss, whichever is more, but never more than {NOISIEST:.0%}."
)


def losses_differ(one: Sequence[float], other: Sequence[float]) -> str:
    """Why two sets of final losses, one a seed, do not come from the same training; empty if they may.

    The share is for tools whose seeds hardly differ, where three standard errors are less than what rounding and the
    order of sums make of a training; the limit is for seeds that differ so much that anything would pass.
    """
    if min(len(one), len(other)) < 2:
        return "one seed says nothing of seed noise"
    if not all(map(math.isfinite, (*one, *other))):
        return "losses differ: not finite"
    gap, error = mean(one) - mean(other), math.sqrt(variance(one) / len(one) + variance(other) / len(other))
    scale = abs(mean(other))
    if abs(gap) <= min(max(ERRORS * error, SLACK * scale), NOISIEST * scale):
        return ""
    return f"losses differ: {mean(one):.4f} and {mean(other):.4f}"


def refusals(one: Sequence[Measurement], other: Sequence[Measurement] | None, limit: int | None = None) -> list[str]:
    """Why a ratio of two quantities is not valid; none if it is.

    Args:
        one: the measurements of the first, one an alternation.
        other: those of the second; None for a figure that is a ratio of nothing.
        limit: images of each split, where not all were used.
    """
    both = [*one, *(other or ())]
    found = [f"only {limit} images"] if limit else []
    if not one or other == []:
        found += ["not measured"]
    if failed := {f"{m.tool} failed" for m in both if m.failed}:
        found += sorted(failed)
    elif min(len(one), len(other or one)) < ALTERNATIONS:
        found += [f"fewer than {ALTERNATIONS} alternations"]
    if disturbed := sum(m.quiet.disturbed for m in both):
        found += [f"machine busy ({disturbed} of {len(both)})"]
    losses = [[loss for m in part for loss in m.losses] for part in (one, other or ())]
    if all(losses) and (difference := losses_differ(*losses)):
        found += [difference]
    return found
