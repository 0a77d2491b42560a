import pytest
import torch
from victims import attacked, classifier, draws

from satae.robustness import checks
from satae.robustness.attacks import Budget, suite
from satae.robustness.ball import Ball
from satae.robustness.checks import verdict
from satae.robustness.evidence import Control, Evidence, Result, robust_accuracy
from satae.robustness.objectives import has_no_gradient
from satae.robustness.surrogate import steeper

N = 200
ALL = ["single", "plain", "doubled", "surrogate", "black", "transfer"]
LIKE = {"surrogate": "pgd-margin"}
NAMES = {"single": ["fgsm"], "plain": ["pgd-ce", "pgd-margin"]}


def withstood(count):
    """The last ``count`` of the examples."""
    return torch.arange(N) >= N - count


def honest(**changes):
    """Evidence that nothing can be said against."""
    at = {0.1: 100, 0.5: 0}
    results = [
        Result(name, kind, epsilon, withstood(count if kind == "plain" else count + count // 10), LIKE.get(kind, ""))
        for epsilon, count in at.items()
        for kind in ALL
        for name in NAMES.get(kind, [kind])
    ]
    twin = [result._replace(withstood=withstood(0)) for result in results if result.epsilon == 0.5]
    evidence = Evidence(
        results=results,
        correct=withstood(190),
        chance=0.1,
        no_gradient=torch.zeros(N, dtype=torch.bool),
        path="exact",
        whole=True,
        on_logits=True,
        everything=0.5,
        twin=twin,
        control=Control(("inconclusive", 0.5), [("masked", 0.48), ("masked", 0.52)]),
        reported={0.1: 0.5, 0.5: 0.0},
    )
    return evidence._replace(**changes)


def more(kind, epsilon, count, evidence=None):
    """The same, but for an attack of a kind which leaves only the first of the robust examples."""
    kept = withstood(100) & (torch.arange(N) < N - count)
    found = evidence or honest()
    return found._replace(results=[*found.results, Result(f"{kind}-better", kind, epsilon, kept, LIKE.get(kind, ""))])


def without(kind):
    evidence = honest()
    return evidence._replace(results=[result for result in evidence.results if result.kind != kind])


def outcomes(evidence):
    return {check.number: check.outcome for check in checks.checks(evidence)}


def test_of_an_honest_figure_all_pass():
    found = checks.checks(honest())
    assert [check.number for check in found] == [*range(1, 12)]
    assert {check.outcome for check in found} == {"passed"}, found
    assert verdict(found) == "holds"


some = torch.arange(N) < 20
FAILING = {
    "a part alone": (1, {"whole": False}),
    "probabilities": (1, {"on_logits": False}),
    "no gradients": (2, {"no_gradient": some}),
    "not down to chance": (4, {"results": [r._replace(withstood=withstood(100)) for r in honest().results]}),
    "twin unbroken": (9, {"twin": [r._replace(withstood=withstood(100)) for r in honest().twin]}),
    "control not seen": (10, {"control": Control(("inconclusive", 0.5), [("masked", 0.5), ("holds", 0.5)])}),
    "control not recovered": (10, {"control": Control(("inconclusive", 0.5), [("masked", 0.7)])}),
    "control seen where there is none": (10, {"control": Control(("masked", 0.5), [("masked", 0.5)])}),
    "another figure": (11, {"reported": {0.1: 0.55, 0.5: 0.0}}),
}


@pytest.mark.parametrize("case", FAILING)
def test_each_way_to_be_wrong_is_seen(case):
    number, changes = FAILING[case]
    evidence = honest(**changes)
    if case == "not down to chance":
        evidence = evidence._replace(reported={0.1: 0.5, 0.5: 0.5})
    found = outcomes(evidence)
    assert {key for key, outcome in found.items() if outcome != "passed"} == {number}
    assert found[number] == "failed"
    assert verdict(checks.checks(evidence)) == "masked"


def test_a_control_of_which_too_little_is_known_leaves_it_open():
    evidence = honest(control=Control(("inconclusive", 0.5), [("masked", 0.5), ("inconclusive", 0.5)]))
    assert outcomes(evidence)[10] == "open"
    assert verdict(checks.checks(evidence)) == "inconclusive"


def test_chance_is_what_the_best_constant_answer_gets():
    left = [r._replace(withstood=withstood(120 if r.epsilon == 0.5 else 130)) for r in honest().results]
    for chance, outcome in ((0.1, "failed"), (0.66, "passed")):
        evidence = honest(results=left, chance=chance, reported={0.1: 0.65, 0.5: 0.6})
        assert outcomes(evidence)[4] == outcome


def test_the_attacks_of_others_count_as_more_effort():
    evidence = honest()
    whole = [Result("autoattack", "library", epsilon, withstood(0)) for epsilon in (0.1, 0.5)]
    found = evidence._replace(results=[*evidence.results, *whole], reported={0.1: 0.0, 0.5: 0.0})
    assert outcomes(found)[5] == "failed"


BY_KIND = {"single": 3, "doubled": 5, "black": 6, "transfer": 6, "surrogate": 8}


@pytest.mark.parametrize(("kind", "number"), BY_KIND.items())
def test_an_attack_that_should_be_weaker_and_is_not_is_seen(kind, number):
    evidence = more(kind, 0.1, 20)._replace(reported={0.1: 0.4, 0.5: 0.0})
    found = outcomes(evidence)
    assert {key for key, outcome in found.items() if outcome == "failed"} == {number}


def test_a_larger_ball_must_not_break_less():
    evidence = honest()
    larger = [
        r._replace(epsilon=0.2, withstood=r.withstood | withstood(130)) for r in evidence.results if r.epsilon == 0.1
    ]
    evidence = evidence._replace(results=[*evidence.results, *larger], reported={0.1: 0.5, 0.2: 0.65, 0.5: 0.0})
    assert {key for key, outcome in outcomes(evidence).items() if outcome != "passed"} == {4}


@pytest.mark.parametrize(("offenders", "outcome"), [(0, "passed"), (2, "passed"), (4, "open"), (6, "failed")])
def test_a_share_is_judged_by_its_interval(offenders, outcome):
    assert outcomes(more("surrogate", 0.1, offenders))[8] == outcome


def test_of_few_examples_nothing_is_said_to_hold():
    evidence = honest()
    few = evidence._replace(
        results=[r._replace(withstood=r.withstood[-20:]) for r in evidence.results],
        correct=evidence.correct[-20:],
        no_gradient=evidence.no_gradient[-20:],
        twin=[r._replace(withstood=r.withstood[-20:]) for r in evidence.twin],
        reported={0.1: 1.0, 0.5: 0.0},
    )
    assert outcomes(few)[2] == "open"
    assert verdict(checks.checks(few)) == "inconclusive"


@pytest.mark.parametrize(
    ("evidence", "number"),
    [
        (without("single"), 3),
        (without("doubled"), 5),
        (without("transfer"), 6),
        (without("surrogate"), 8),
        (honest(everything=None), 4),
        (honest(everything=0.9), 4),
        (honest(twin=()), 9),
        (honest(control=None), 10),
        (honest(reported=None), 11),
        (honest(results=[r for r in honest().results if r.attack != "pgd-ce"]), 7),
    ],
    ids=str,
)
def test_what_was_not_looked_at_is_open(evidence, number):
    found = outcomes(evidence)
    assert found[number] == "open"
    assert verdict(checks.checks(evidence)) == "inconclusive"


def test_robust_accuracy_is_the_mean_of_the_minimum():
    correct = torch.tensor([True, True, True, False])
    results = [
        Result("a", "plain", 0.1, torch.tensor([True, False, True, True])),
        Result("b", "black", 0.1, torch.tensor([True, True, False, True])),
        Result("c", "black", 0.2, torch.tensor([False, False, False, False])),
        Result("few", "library", 0.1, torch.tensor([True])),
    ]
    assert robust_accuracy(results, correct, 0.1).value == 0.25


def test_what_some_attack_of_a_kind_breaks_is_broken():
    a, b = torch.arange(N) % 2 == 0, torch.arange(N) % 3 == 0
    results = [Result("a", "plain", 0.1, a), Result("b", "plain", 0.1, b), Result("c", "black", 0.1, ~a)]
    evidence = honest(results=results, correct=withstood(150))
    assert torch.equal(evidence.broken(0.1, "plain"), ~(a & b & withstood(150)))
    assert torch.equal(evidence.broken(0.1, "black"), ~(~a & withstood(150)))
    assert evidence.broken(0.1).all()


BUDGET = Budget(steps=30, restarts=1, queries=300)


def gathered(victim, epsilons, twin, count=150):
    x, y = attacked(count)
    results = []
    for attack in suite(victim, 10, BUDGET, sources={"twin": twin}):
        for epsilon in epsilons:
            found = attack.run(x, y, Ball("linf", epsilon), draws(count))
            results += [Result(attack.name, attack.kind, epsilon, ~found.fooled, attack.like)]
    correct = victim(x).argmax(dim=1) == y
    gone = has_no_gradient(victim, x, y)
    return Evidence(results, correct, 10, gone, "exact", whole=True, on_logits=True, everything=0.5)


@pytest.mark.parametrize("act", ["relu", "tanh", "satlin"])
def test_an_undefended_network_is_not_called_masked(act):
    evidence = gathered(classifier(act), [0.05, 0.1, 0.5], classifier(act, seed=1))
    found = checks.checks(evidence)
    assert not [check for check in found if check.outcome == "failed"], found


@pytest.mark.parametrize("factor", [20, 100])
def test_the_control_is_called_masked_and_its_level_is_found(factor):
    victim, twin = classifier("sigmoid"), classifier("sigmoid", seed=1)
    plain = gathered(victim, [0.1], twin)
    with steeper(victim, factor):
        control = gathered(victim, [0.1], twin)
    assert verdict(checks.checks(plain)) != "masked", checks.checks(plain)
    assert verdict(checks.checks(control)) == "masked"
    assert outcomes(control)[8] == "failed"
    level, found = (robust_accuracy(evidence.results, evidence.correct, 0.1).value for evidence in (plain, control))
    exact = [result for result in control.results if result.attack == "pgd-margin"]
    assert robust_accuracy(exact, control.correct, 0.1).value > level + 0.1  # the illusion
    assert found < level + checks.RECOVERED
    assert abs(control.correct.float().mean() - plain.correct.float().mean()) < 0.03
