"""Whether a robustness figure can be believed: eleven checks, and one word."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Final

from torch import Tensor

from satae.robustness.attacks import CROSS_ENTROPY, Kind
from satae.robustness.evidence import Evidence
from satae.robustness.proportions import Share
from satae.robustness.verdict import Check, Outcome, at_chance, is_rare, worst

RECOVERED: Final = 0.05  # how near the control must come to the level without it


def checks(evidence: Evidence) -> list[Check]:
    """The eleven, in their order."""
    return [check(evidence) for check in CHECKS]


def _offending(evidence: Evidence, number: int, title: str, by: tuple[Kind, ...], not_by: tuple[Kind, ...]) -> Check:
    """Whether attacks of some kinds break what those of other kinds do not, at any radius."""
    radii = evidence.outcomes.epsilons
    here = {epsilon: evidence.outcomes.at(epsilon) for epsilon in radii}
    if not radii or not all(found.of(kind).results for found in here.values() for kind in (*by, *not_by)):
        return Check(number, title, "not all of the attacks were made", "open")
    offends = {
        f"epsilon {epsilon:g}": found.of(*by).broken & ~found.of(*not_by).broken for epsilon, found in here.items()
    }
    return _judged(number, title, offends)


def _judged(number: int, title: str, offends: Mapping[str, Tensor]) -> Check:
    """By the worst of several shares, each named by where it was found."""
    shares = {where: _share(found) for where, found in offends.items()}
    most = max(shares, key=lambda where: shares[where].low)
    outcome = worst([is_rare(share) for share in shares.values()])
    return Check(number, title, f"{shares[most]}, {most}" if shares[most].counted else str(shares[most]), outcome)


def _share(found: Tensor) -> Share:
    return Share.of(int(found.sum()), len(found))


def whole_pipeline(evidence: Evidence) -> Check:
    """1. An attack on a part, or on probabilities that round to 1, says nothing of the whole."""
    good = evidence.whole and evidence.on_logits
    return Check(1, "whole pipeline attacked, on logits", evidence.path, "passed" if good else "failed")


def gradients_there(evidence: Evidence) -> Check:
    """2. Where the input gradient is exactly 0, or no number, an attack that follows it goes nowhere."""
    share = _share(evidence.no_gradient)
    return Check(2, "inputs without a gradient", str(share), is_rare(share))


def iterative_beats_single(evidence: Evidence) -> Check:
    """3. What one step breaks and many do not, the many steps have missed."""
    return _offending(evidence, 3, "broken by one step, not by many", ("single",), ("exact",))


def grows_with_epsilon(evidence: Evidence) -> Check:
    """4. A larger ball holds every smaller one, and the largest a grey image that nobody can tell from another."""
    title, found, radii = "left in the largest ball", evidence.outcomes, evidence.outcomes.epsilons
    if evidence.everything is None or not radii or radii[-1] < evidence.everything:
        return Check(4, title, "no radius was tried within which everything is possible", "open")
    lost = [_share(found.at(a).broken & ~found.at(b).broken) for a, b in pairwise(radii)]
    last, most = found.at(radii[-1]).accuracy, max((share.value for share in lost), default=0.0)
    figure = f"{last}; broken in a ball, not in the next: {100 * most:.1f} %"
    return Check(4, title, figure, worst([at_chance(last, evidence.chance), *map(is_rare, lost)]))


def converged(evidence: Evidence) -> Check:
    """5. What only twice the steps or restarts break, or attacks of others, the attacks gave up too early."""
    by: tuple[Kind, ...] = ("doubled", "library") if evidence.outcomes.of("library").results else ("doubled",)
    return _offending(evidence, 5, "broken by more effort alone", by, ("exact",))


def white_beats_black(evidence: Evidence) -> Check:
    """6. An attack with gradients should find whatever one without them finds, or the gradients lead astray."""
    title = "broken without its gradient alone"
    return _offending(evidence, 6, title, ("black", "transfer"), ("exact",))


def more_than_one_loss(evidence: Evidence) -> Check:
    """7. Cross-entropy fades where a model is sure of itself, a margin does not; what it adds is in the figure."""
    title, exact = "margin losses beside cross-entropy", evidence.outcomes.of("exact")
    alone = []
    for epsilon in evidence.outcomes.epsilons:
        entropy = exact.at(epsilon).only(lambda attack: attack.loss == CROSS_ENTROPY)
        margins = exact.at(epsilon).only(lambda attack: attack.loss != CROSS_ENTROPY)
        if entropy.results and margins.results:
            alone.append(_share(margins.broken & ~entropy.broken))
    if not alone or len(alone) < len(evidence.outcomes.epsilons):
        return Check(7, title, "not with both losses at every radius", "open")
    most = max(alone, key=lambda share: share.value)
    return Check(7, title, f"{most} broken by them alone", "passed")


def surrogates_add_nothing(evidence: Evidence) -> Check:
    """8. What a softened backward pass breaks and the same attack with the exact one does not, exact gradients hide."""
    title, offends = "broken by softened gradients alone", dict[str, Tensor]()
    for epsilon in evidence.outcomes.epsilons:
        here = evidence.outcomes.at(epsilon)
        likes = {result.attack.like: here.by([result.attack.like]) for result in here.of("surrogate").results}
        if not likes or not all(exact.results for exact in likes.values()):
            return Check(8, title, "not all of the attacks were made", "open")
        for like, exact in likes.items():
            softened = here.only(lambda attack, like=like: attack.like == like)  # type: ignore[misc]
            offends[f"epsilon {epsilon:g}, {like}"] = softened.broken & ~exact.broken
    if not offends:
        return Check(8, title, "not all of the attacks were made", "open")
    return _judged(8, title, offends)


def twin_is_broken(evidence: Evidence) -> Check:
    """9. Attacks that cannot break the unregularised twin in the largest ball say nothing of another model."""
    title, twin, everything = "twin left in the largest ball", evidence.twin, evidence.everything
    if twin is None or everything is None or not twin.epsilons or twin.epsilons[-1] < everything:
        return Check(9, title, "not measured", "open")
    accuracy = twin.at(twin.epsilons[-1]).accuracy
    return Check(9, title, str(accuracy), at_chance(accuracy, evidence.chance))


def control_is_seen(evidence: Evidence) -> Check:
    """10. The suite has to see masking where it was put in, and only there, and to find the level under it."""
    title = "control seen, and its level found"
    if evidence.control is None:
        return Check(10, title, "not made", "open")
    (calm, level), hidden = evidence.control
    found = ", ".join(f"{how} {said} at {100 * accuracy:.1f} %" for how, (said, accuracy) in hidden.items())
    found_level = all(said != "holds" and abs(accuracy - level) <= RECOVERED for said, accuracy in hidden.values())
    wrong = calm == "masked" or not found_level
    seen = all(said == "masked" for said, _ in hidden.values())  # with few examples nothing can be told
    outcome: Outcome = "failed" if wrong else "passed" if seen else "open"
    return Check(10, title, f"{found}; unchanged {calm} at {100 * level:.1f} %", outcome)


def minimum_per_example(evidence: Evidence) -> Check:
    """11. An example is robust if it withstands every attack; their mean is lower than that of any one attack."""
    title, found, reported = "worst attack for each example", evidence.outcomes, evidence.reported
    if not reported or {*reported} != {*found.epsilons}:
        return Check(11, title, "not printed for every radius", "open")
    apart = max(abs(found.at(epsilon).accuracy.value - value) for epsilon, value in reported.items())
    attacks = len({result.attack.name for result in found.results})
    figure = f"{attacks} attacks, {len(found.correct)} examples; differs by {apart:.3g}"
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
