"""Ten checks, and the verdict on an accuracy under attack: are gradients hidden, and can the level be relied on?"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import pairwise
from typing import Final, Literal, NamedTuple

from torch import Tensor

from satae.robustness.active_test import PlantedOutcome
from satae.robustness.attack_suite import CROSS_ENTROPY, Attack, AttackKind
from satae.robustness.estimates import Estimate, fraction_estimate

CheckOutcome = Literal["passed", "failed", "open"]
GradientsWord = Literal["visible", "hidden", "open"]
LevelWord = Literal["corroborated", "contradicted", "open"]
VerdictWord = Literal["holds", "masked", "inconclusive"]

RARE: Final = 0.01  # fraction of offending examples that is tolerated
RARE_WITH_SLACK: Final = 0.05  # an upper confidence limit below it passes, since few examples cannot show 1 %
LEVEL_TOLERANCE: Final = 0.05  # how far independent attacks may be apart, and planted points be missed
TOLERANCE_WITH_SLACK: Final = 0.1  # an upper confidence limit below it agrees, since few examples cannot show 5 %
LOGIT_ROUNDING: Final = 1e-6  # differences of logits, as a share of the largest, that are rounding
CONSTANT: Final = "the answer is the same for all inputs"
NOT_ALL_ATTACKS: Final = "not all of the attacks were made"


class AttackOutcome(NamedTuple):
    """The outcome of one attack at one radius."""

    attack: Attack
    epsilon: float
    robust: Tensor  # (n,) bool: not broken by this attack; true if the example was not attacked


class AttackOutcomes(NamedTuple):
    """The outcomes of several attacks on one model."""

    correct: Tensor  # (n,) bool: classified correctly without an attack
    results: Sequence[AttackOutcome] = ()

    def at(self, epsilon: float) -> AttackOutcomes:
        """The outcomes at one radius."""
        return self._replace(results=[result for result in self.results if result.epsilon == epsilon])

    def where(self, keep: Callable[[Attack], bool]) -> AttackOutcomes:
        """The outcomes of the attacks for which a function is true."""
        return self._replace(results=[result for result in self.results if keep(result.attack)])

    def of_kinds(self, *kinds: AttackKind) -> AttackOutcomes:
        """The outcomes of the attacks of some kinds."""
        return self.where(lambda attack: attack.kind in kinds)

    def with_names(self, names: Collection[str]) -> AttackOutcomes:
        """The outcomes of the attacks with some names."""
        return self.where(lambda attack: attack.name in names)

    @property
    def epsilons(self) -> list[float]:
        """The radii, in increasing order."""
        return sorted({result.epsilon for result in self.results})

    @property
    def broken(self) -> Tensor:
        """Which examples are misclassified without an attack or under any of these attacks: booleans (n,)."""
        broken = ~self.correct
        for result in self.results:
            broken = broken | ~result.robust
        return broken

    def left_for(self, attack: Attack, epsilon: float) -> Tensor:
        """The examples that an attack is run on: those that the attacks it is compared with left unbroken."""
        return self.correct & ~self.at(epsilon).with_names(attack.after).broken

    @property
    def accuracy(self) -> Estimate:
        """The fraction of examples that no attack broke: the mean over examples of the minimum over attacks."""
        return _fraction(~self.broken)


class Evidence(NamedTuple):
    """Everything that the checks use."""

    outcomes: AttackOutcomes
    chance: float  # accuracy of the best constant prediction
    no_gradient: Tensor  # (n,) bool: the input gradient is zero or not finite
    is_constant: bool = False  # the logits are the same for all inputs: there is nothing to attack
    grey_radius: float | None = None  # radius at which every input can become the same grey image
    baseline: AttackOutcomes | None = None  # outcomes of the same attacks on the model trained with alpha=0
    planted: PlantedOutcome | None = None


class Finding(NamedTuple):
    """What one check found."""

    figure: str
    outcome: CheckOutcome


class Check(NamedTuple):
    """A check with its number, its title and what it found."""

    number: int
    title: str
    figure: str
    outcome: CheckOutcome


def run_checks(evidence: Evidence) -> list[Check]:
    """Run all ten checks, in order."""
    found = {title: check(evidence) for title, check in CHECKS.items()}
    return [Check(number, title, one.figure, one.outcome) for number, (title, one) in enumerate(found.items(), start=1)]


class Verdict(NamedTuple):
    """The verdict on the accuracies of a model under attack."""

    gradients: GradientsWord  # whether exact gradients lead attacks astray
    level: LevelWord  # whether several kinds of attack reach the accuracy
    spread: float  # the most that one kind of attack leaves above the accuracy under all attacks; nan without any

    @property
    def word(self) -> VerdictWord:
        """``holds`` if the level is corroborated; ``masked`` if it is not, and gradients are hidden."""
        if self.level == "corroborated":
            return "holds"
        return "masked" if self.gradients == "hidden" else "inconclusive"


def verdict(evidence: Evidence, checks: Sequence[Check], epsilons: Sequence[float]) -> Verdict:
    """Judge the checks, and how far the kinds of attack agree at some radii."""
    outcomes = {check.number: check.outcome for check in checks}
    hidden: dict[CheckOutcome, GradientsWord] = {"failed": "hidden", "open": "open", "passed": "visible"}
    gradients = hidden[worst_outcome([outcomes[number] for number in GRADIENT_CHECKS])]
    agreements = [_agreement(evidence.outcomes.at(epsilon)) for epsilon in epsilons]
    agreed = worst_outcome([outcome for outcome, _ in agreements] or ["open"])
    level: dict[CheckOutcome, LevelWord] = {"failed": "contradicted", "open": "open", "passed": "corroborated"}
    found = level[worst_outcome([agreed, *(outcomes[number] for number in LEVEL_CHECKS)])]
    return Verdict(gradients, found, max((spread for _, spread in agreements), default=math.nan))


def _agreement(found: AttackOutcomes) -> tuple[CheckOutcome, float]:
    """Whether two kinds of attack reach the accuracy at a radius, and the most that one of them leaves above it.

    The kinds: exact gradients; exact and softened ones together; each library by itself. Failed if the libraries
    together surely break over 5 % more than the suite.
    """
    if not found.of_kinds("exact").results:
        return "open", math.nan
    exact, suite = found.of_kinds("single", "exact", "doubled"), found.where(lambda attack: attack.kind != "library")
    libraries = [found._replace(results=[result]) for result in found.of_kinds("library").results]
    softened = (
        [found.of_kinds("single", "exact", "doubled", "surrogate")] if found.of_kinds("surrogate").results else []
    )
    left_out = [_fraction(found.broken & ~kind.broken) for kind in (exact, *softened, *libraries)]
    spread = max(one.value for one in left_out)
    if libraries and _fraction(found.broken & ~suite.broken).low > LEVEL_TOLERANCE:
        return "failed", spread
    return ("passed" if sum(is_within_tolerance(one) == "passed" for one in left_out) >= 2 else "open"), spread


def is_within_tolerance(offenders: Estimate) -> CheckOutcome:
    """Failed if the fraction is surely above 5 %, passed if it is at most 5 % and surely at most 10 %."""
    if offenders.low > LEVEL_TOLERANCE:
        return "failed"
    within = offenders.value <= LEVEL_TOLERANCE and offenders.high <= TOLERANCE_WITH_SLACK
    return "passed" if within else "open"


def is_constant(logits: Tensor) -> bool:
    """Whether logits (N, classes) are the same for all inputs, but for rounding."""
    return bool((logits.amax(dim=0) - logits.amin(dim=0)).max() <= LOGIT_ROUNDING * logits.abs().max())


def worst_outcome(outcomes: Sequence[CheckOutcome]) -> CheckOutcome:
    """The worst of some outcomes; ``passed`` for an empty list."""
    return next((outcome for outcome in ("failed", "open") if outcome in outcomes), "passed")


def is_rare(offenders: Estimate) -> CheckOutcome:
    """Failed if the fraction is surely above 1 %, passed if it is surely at most 5 %."""
    if offenders.low > RARE:
        return "failed"
    return "passed" if offenders.high <= RARE_WITH_SLACK else "open"


@functools.cache
def fewest_inputs() -> int:
    """The number of inputs below which :func:`is_rare` never passes, even if no input offends."""
    return next(n for n in itertools.count(1) if is_rare(fraction_estimate(0, n)) == "passed")


def is_at_chance(accuracy: Estimate, chance: float) -> CheckOutcome:
    """Failed if the accuracy is surely above chance, passed if it is surely at most 5 points above."""
    if accuracy.low > chance:
        return "failed"
    return "passed" if accuracy.high <= chance + RARE_WITH_SLACK else "open"


def _fraction(found: Tensor) -> Estimate:
    return fraction_estimate(int(found.sum()), len(found))


def _check_rare(offending: Mapping[str, Tensor]) -> Finding:
    """Check several fractions, each named by where it was found, by the worst of them."""
    fractions = {where: _fraction(found) for where, found in offending.items()}
    where, largest = max(fractions.items(), key=lambda item: item[1].low)
    outcome = worst_outcome([is_rare(fraction) for fraction in fractions.values()])
    return Finding(f"{largest.in_percent()}{f', {where}' if largest.value > 0 else ''}", outcome)


def _broken_only_by(evidence: Evidence, *kinds: AttackKind) -> Finding:
    """Check that attacks of some kinds break hardly any example that exact attacks do not, at any radius."""
    here = {epsilon: evidence.outcomes.at(epsilon) for epsilon in evidence.outcomes.epsilons}
    if not here or not all(found.of_kinds(kind).results for found in here.values() for kind in (*kinds, "exact")):
        return Finding(NOT_ALL_ATTACKS, "open")
    return _check_rare(
        {
            f"epsilon {epsilon:g}": found.of_kinds(*kinds).broken & ~found.of_kinds("exact").broken
            for epsilon, found in here.items()
        }
    )


def exact_gradients_find_planted(evidence: Evidence) -> Finding:
    """Check 1: points are planted that surely exist; exact gradients that miss them point elsewhere."""
    return _check_planted(evidence, lambda planted: planted.by_exact)


def attacks_find_planted(evidence: Evidence) -> Finding:
    """Check 10: a suite that misses points that surely exist is too weak for this model.

    Of an input near which no search changes the logits it says nothing, as it is with labels instead of logits: all
    attacks, those of the libraries too, may be blind there alike. So it is open if there are many such inputs.
    """
    found, inputs = _check_planted(evidence, lambda planted: planted.by_any), len(evidence.outcomes.correct)
    if found.outcome != "passed" or evidence.planted is None or evidence.is_constant:
        return found
    bare = fraction_estimate(inputs - len(evidence.planted.by_any), inputs)
    if is_within_tolerance(bare) == "passed":
        return found
    return Finding(f"{found.figure}; nothing to plant near {100 * bare.value:.1f} % of the inputs", "open")


def _check_planted(evidence: Evidence, found: Callable[[PlantedOutcome], Tensor]) -> Finding:
    if evidence.is_constant:
        return Finding(CONSTANT, "passed")
    if evidence.planted is None:
        return Finding("not made", "open")
    missed = _fraction(~found(evidence.planted))
    if missed.n == 0:
        return Finding("nothing to plant: no search changes the logits of any input", "open")
    return Finding(f"{missed.in_percent()}, epsilon {evidence.planted.epsilon:g}", is_within_tolerance(missed))


def gradients_exist(evidence: Evidence) -> Finding:
    """Check 2: an attack that follows a gradient fails if the gradient is exactly 0 or not finite."""
    if evidence.is_constant:
        return Finding(CONSTANT, "passed")
    fraction = _fraction(evidence.no_gradient)
    return Finding(fraction.in_percent(), is_rare(fraction))


def iterative_beats_single(evidence: Evidence) -> Finding:
    """Check 3: examples broken by one step but not by many steps were missed by the iterative attack."""
    return _broken_only_by(evidence, "single")


def grows_with_epsilon(evidence: Evidence) -> Finding:
    """Check 4: a larger ball contains every smaller one, and the largest contains the same grey image for all."""
    found, radii = evidence.outcomes, evidence.outcomes.epsilons
    if evidence.grey_radius is None or not radii or radii[-1] < evidence.grey_radius:
        return Finding("no radius reaches the one at which every input can become the same grey image", "open")
    lost = [_fraction(found.at(a).broken & ~found.at(b).broken) for a, b in pairwise(radii)]
    last, most = found.at(radii[-1]).accuracy, max((fraction.value for fraction in lost), default=0.0)
    figure = f"{last.in_percent()}; broken in a ball, not in the next: {100 * most:.1f} %"
    return Finding(figure, worst_outcome([is_at_chance(last, evidence.chance), *map(is_rare, lost)]))


def attacks_converge(evidence: Evidence) -> Finding:
    """Check 5: examples broken only by twice the steps or restarts, or by a library, show that attacks stop early."""
    if evidence.outcomes.of_kinds("library").results:
        return _broken_only_by(evidence, "doubled", "library")
    return _broken_only_by(evidence, "doubled")


def white_box_beats_black_box(evidence: Evidence) -> Finding:
    """Check 6: gradient attacks should find what attacks without gradients find, or the gradients mislead."""
    if evidence.outcomes.of_kinds("transfer").results:
        return _broken_only_by(evidence, "black", "transfer")
    return _broken_only_by(evidence, "black")


def more_than_one_loss(evidence: Evidence) -> Finding:
    """Check 7: a margin loss is needed besides cross-entropy, whose gradient vanishes for confident models."""
    exact, alone = evidence.outcomes.of_kinds("exact"), []
    for epsilon in evidence.outcomes.epsilons:
        entropy = exact.at(epsilon).where(lambda attack: attack.loss == CROSS_ENTROPY)
        margins = exact.at(epsilon).where(lambda attack: attack.loss != CROSS_ENTROPY)
        if entropy.results and margins.results:
            alone.append(_fraction(margins.broken & ~entropy.broken))
    if not alone or len(alone) < len(evidence.outcomes.epsilons):
        return Finding("not with both losses at every radius", "open")
    most = max(alone, key=lambda fraction: fraction.value)
    return Finding(f"{most.in_percent()} broken by them alone", "passed")


def surrogates_add_nothing(evidence: Evidence) -> Finding:
    """Check 8: examples broken only with surrogate gradients show that exact gradients are hidden."""
    offending = dict[str, Tensor]()
    for epsilon in evidence.outcomes.epsilons:
        here = evidence.outcomes.at(epsilon)
        surrogates = here.of_kinds("surrogate")
        for like in dict.fromkeys(result.attack.like for result in surrogates.results):
            exact = here.with_names([like])
            if not exact.results:
                return Finding(NOT_ALL_ATTACKS, "open")
            softened = surrogates.where(lambda attack, like=like: attack.like == like)  # type: ignore[misc]
            offending[f"epsilon {epsilon:g}, {like}"] = softened.broken & ~exact.broken
        if not surrogates.results:
            return Finding(NOT_ALL_ATTACKS, "open")
    return _check_rare(offending) if offending else Finding(NOT_ALL_ATTACKS, "open")


def baseline_is_broken(evidence: Evidence) -> Finding:
    """Check 9: attacks that cannot break the unregularized baseline in the largest ball prove nothing."""
    baseline, grey_radius = evidence.baseline, evidence.grey_radius
    if baseline is None or grey_radius is None or not baseline.epsilons or baseline.epsilons[-1] < grey_radius:
        return Finding("not measured", "open")
    accuracy = baseline.at(baseline.epsilons[-1]).accuracy
    return Finding(accuracy.in_percent(), is_at_chance(accuracy, evidence.chance))


CHECKS: Final[Mapping[str, Callable[[Evidence], Finding]]] = {  # by title, in the order of their numbers
    "planted points missed by exact gradients": exact_gradients_find_planted,
    "inputs without a gradient": gradients_exist,
    "broken by one step, not by many": iterative_beats_single,
    "left in the largest ball": grows_with_epsilon,
    "broken by more effort alone": attacks_converge,
    "broken without its gradient alone": white_box_beats_black_box,
    "margin losses beside cross-entropy": more_than_one_loss,
    "broken by softened gradients alone": surrogates_add_nothing,
    "twin left in the largest ball": baseline_is_broken,
    "planted points missed by all attacks": attacks_find_planted,
}
GRADIENT_CHECKS: Final = (1, 2, 3, 6, 8)  # their outcomes decide whether gradients are hidden
LEVEL_CHECKS: Final = (4, 9, 10)  # all must pass for a corroborated level
