"""Whether a robustness figure can be believed: eleven checks, and one word."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Final, Literal, NamedTuple

import torch
from torch import Tensor

from satae.robustness.attacks import Kind
from satae.robustness.evidence import Evidence, Verdict, robust_accuracy
from satae.robustness.proportions import Share

Outcome = Literal["passed", "failed", "open"]

RARE: Final = 0.01  # a share that may offend
SLACK: Final = 0.05  # below it a share is told to be rare, as far as the number of examples can tell
RECOVERED: Final = 0.05  # how near the control must come to the level without it


class Check(NamedTuple):
    """One of the eleven."""

    number: int
    title: str
    figure: str
    outcome: Outcome


def checks(evidence: Evidence) -> list[Check]:
    """The eleven, in their order."""
    return [check(evidence) for check in CHECKS]


def verdict(found: Sequence[Check]) -> Verdict:
    """``masked`` where any check failed; ``holds`` where all passed; ``inconclusive`` where some could not tell."""
    outcomes = {check.outcome for check in found}
    if "failed" in outcomes:
        return "masked"
    return "inconclusive" if "open" in outcomes else "holds"


def _is_rare(offenders: Share) -> Outcome:
    """Failed where the share is surely above 1 %, passed where it is surely not above 5 %."""
    if offenders.low > RARE:
        return "failed"
    return "passed" if offenders.high <= SLACK else "open"


def _at_chance(accuracy: Share, chance: float) -> Outcome:
    """Failed where the accuracy is surely above chance, passed where it is surely no more than 5 % above."""
    if accuracy.low > chance:
        return "failed"
    return "passed" if accuracy.high <= chance + SLACK else "open"


def _worst(outcomes: Sequence[Outcome]) -> Outcome:
    return next((outcome for outcome in ("failed", "open") if outcome in outcomes), "passed")


def _offending(evidence: Evidence, number: int, title: str, by: tuple[Kind, ...], not_by: tuple[Kind, ...]) -> Check:
    """Whether attacks of some kinds break what those of other kinds do not, at any radius."""
    missing = [epsilon for epsilon in evidence.epsilons for kind in (*by, *not_by) if not evidence.made(epsilon, kind)]
    if missing or not evidence.epsilons:
        return Check(number, title, "not all of the attacks were made", "open")
    offends = {
        f"epsilon {epsilon:g}": evidence.broken(epsilon, *by) & ~evidence.broken(epsilon, *not_by)
        for epsilon in evidence.epsilons
    }
    return _judged(number, title, offends)


def _judged(number: int, title: str, offends: Mapping[str, Tensor]) -> Check:
    """By the worst of several shares, each named by where it was found."""
    shares = {where: Share.of(int(found.sum()), len(found)) for where, found in offends.items()}
    most = max(shares, key=lambda where: shares[where].low)
    outcome = _worst([_is_rare(share) for share in shares.values()])
    return Check(number, title, f"{shares[most]}, {most}", outcome)


def whole_pipeline(evidence: Evidence) -> Check:
    """1. An attack on a part, or on probabilities that round to 1, says nothing of the whole."""
    good = evidence.whole and evidence.on_logits
    return Check(1, "whole pipeline attacked, on logits", evidence.path, "passed" if good else "failed")


def gradients_there(evidence: Evidence) -> Check:
    """2. Where the input gradient is exactly 0 an attack that follows it goes nowhere."""
    share = Share.of(int(evidence.no_gradient.sum()), len(evidence.no_gradient))
    return Check(2, "inputs without a gradient", str(share), _is_rare(share))


def iterative_beats_single(evidence: Evidence) -> Check:
    """3. What one step breaks and many do not, the many steps have missed."""
    return _offending(evidence, 3, "broken by one step, not by many", ("single",), ("plain",))


def grows_with_epsilon(evidence: Evidence) -> Check:
    """4. A larger ball holds every smaller one, and the largest a grey image that nobody can tell from another."""
    title, radii = "left in the largest ball", evidence.epsilons
    if evidence.everything is None or not radii or radii[-1] < evidence.everything:
        return Check(4, title, "no radius was tried within which everything is possible", "open")
    lost = [
        Share.of(int((evidence.broken(a) & ~evidence.broken(b)).sum()), len(evidence.correct))
        for a, b in pairwise(radii)
    ]
    last = robust_accuracy(evidence.results, evidence.correct, radii[-1])
    most = max((share.value for share in lost), default=0.0)
    figure = f"{last}; broken in a ball, not in the next: {100 * most:.1f} %"
    return Check(4, title, figure, _worst([_at_chance(last, evidence.chance), *map(_is_rare, lost)]))


def converged(evidence: Evidence) -> Check:
    """5. What only twice the steps or restarts break, the attacks gave up too early."""
    return _offending(evidence, 5, "broken by more effort alone", _more_effort(evidence), ("plain",))


def _more_effort(evidence: Evidence) -> tuple[Kind, ...]:
    """Twice the steps or restarts, and the attacks of others where they were made."""
    with_libraries = any(result.kind == "library" for result in evidence.results)
    return ("doubled", "library") if with_libraries else ("doubled",)


def white_beats_black(evidence: Evidence) -> Check:
    """6. An attack with gradients should find whatever one without them finds, or the gradients lead astray."""
    title = "broken without its gradient alone"
    return _offending(evidence, 6, title, ("black", "transfer"), ("plain",))


def more_than_one_loss(evidence: Evidence) -> Check:
    """7. Cross-entropy fades where a model is sure of itself, a margin does not; what it adds is in the figure."""
    title = "margin losses beside cross-entropy"
    by_loss = [
        {_loss(result.attack) for result in evidence.results if result.epsilon == epsilon and result.kind == "plain"}
        for epsilon in evidence.epsilons
    ]
    if not by_loss or any(not {"ce", "margin"} <= losses for losses in by_loss):
        return Check(7, title, "not with both losses at every radius", "open")
    alone = [_only_margin(evidence, epsilon) for epsilon in evidence.epsilons]
    most = max(alone, key=lambda share: share.value)
    return Check(7, title, f"{most} broken by them alone", "passed")


def surrogates_add_nothing(evidence: Evidence) -> Check:
    """8. What a softened backward pass breaks and the same attack with the exact one does not, exact gradients hide."""
    title = "broken by softened gradients alone"
    exact = {(result.attack, result.epsilon): result for result in evidence.results if result.kind == "plain"}
    hidden: dict[tuple[str, float], Tensor] = {}
    for result in evidence.results:
        if result.kind == "surrogate":
            key = result.like, result.epsilon
            if key not in exact:
                return Check(8, title, f"no exact {result.like} to compare with", "open")
            withstood = exact[key].withstood
            broken = withstood & ~result.withstood
            hidden[key] = hidden.get(key, torch.zeros_like(broken)) | broken
    if {epsilon for _, epsilon in hidden} != {*evidence.epsilons}:
        return Check(8, title, "not all of the attacks were made", "open")
    return _judged(8, title, {f"epsilon {epsilon:g}, {like}": found for (like, epsilon), found in hidden.items()})


def twin_is_broken(evidence: Evidence) -> Check:
    """9. Attacks that cannot break the unregularised twin in the largest ball say nothing of another model."""
    title = "twin left in the largest ball"
    if evidence.everything is None or not any(result.epsilon >= evidence.everything for result in evidence.twin):
        return Check(9, title, "not measured", "open")
    radius = max(result.epsilon for result in evidence.twin)
    everything = torch.ones_like(evidence.correct)
    accuracy = robust_accuracy(evidence.twin, everything, radius)
    return Check(9, title, str(accuracy), _at_chance(accuracy, evidence.chance))


def control_is_seen(evidence: Evidence) -> Check:
    """10. The suite has to see masking where it was put in, and only there, and to find the level under it."""
    title = "control seen, and its level found"
    if evidence.control is None:
        return Check(10, title, "not made", "open")
    (calm, level), hidden = evidence.control
    found = ", ".join(f"{said} at {100 * accuracy:.1f} %" for said, accuracy in hidden)
    wrong = calm == "masked" or any(said == "holds" or abs(accuracy - level) > RECOVERED for said, accuracy in hidden)
    seen = all(said == "masked" for said, _ in hidden)  # with few examples nothing can be told
    outcome: Outcome = "failed" if wrong else "passed" if seen else "open"
    return Check(10, title, f"{found}; {calm} at {100 * level:.1f} % unchanged", outcome)


def minimum_per_example(evidence: Evidence) -> Check:
    """11. An example is robust if it withstands every attack; their mean is lower than that of any one attack."""
    title = "worst attack for each example"
    reported = evidence.reported
    if reported is None or {*reported} != {*evidence.epsilons} or not reported:
        return Check(11, title, "not printed for every radius", "open")
    true = {epsilon: robust_accuracy(evidence.results, evidence.correct, epsilon).value for epsilon in reported}
    apart = max(abs(true[epsilon] - value) for epsilon, value in reported.items())
    attacks = len({result.attack for result in evidence.results})
    figure = f"{attacks} attacks, {len(evidence.correct)} examples; differs by {apart:.3g}"
    return Check(11, title, figure, "passed" if apart < 1e-6 else "failed")


CHECKS: Final[tuple[Callable[[Evidence], Check], ...]] = (
    whole_pipeline,
    gradients_there,
    iterative_beats_single,
    grows_with_epsilon,
    converged,
    white_beats_black,
    more_than_one_loss,
    surrogates_add_nothing,
    twin_is_broken,
    control_is_seen,
    minimum_per_example,
)


def _loss(attack: str) -> str:
    return "ce" if attack.endswith("-ce") else "margin"


def _only_margin(evidence: Evidence, epsilon: float) -> Share:
    plain = [result for result in evidence.results if result.epsilon == epsilon and result.kind == "plain"]
    broken = dict.fromkeys(("ce", "margin"), ~evidence.correct)
    for result in plain:
        loss = _loss(result.attack)
        broken[loss] = broken[loss] | ~result.withstood
    alone = broken["margin"] & ~broken["ce"]
    return Share.of(int(alone.sum()), len(alone))
