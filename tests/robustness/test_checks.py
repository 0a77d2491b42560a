import pytest
import torch
from victims import attacked, classifier, draws

from satae.robustness import checks
from satae.robustness.attacks import Attack, Budget, suite
from satae.robustness.ball import Ball
from satae.robustness.evidence import Control, Evidence, Outcomes, Result
from satae.robustness.objectives import has_no_gradient
from satae.robustness.surrogate import steeper
from satae.robustness.verdict import verdict

N = 200
ALL = ["single", "exact", "doubled", "surrogate", "black", "transfer"]
NAMES = {"single": ["fgsm"], "exact": ["pgd-ce", "pgd-margin"]}


def result(name, kind, epsilon, withstood):
    """Of an attack that is never made."""
    like = "pgd-margin" if kind == "surrogate" else ""
    return Result(Attack(name, kind, None, name.removeprefix("pgd-"), like), epsilon, withstood)


def withstood(count):
    """The last ``count`` of the examples."""
    return torch.arange(N) >= N - count


def honest(**changes):
    """Evidence that nothing can be said against."""
    at = {0.1: 100, 0.5: 0}
    results = [
        result(name, kind, epsilon, withstood(count if kind == "exact" else count + count // 10))
        for epsilon, count in at.items()
        for kind in ALL
        for name in NAMES.get(kind, [kind])
    ]
    twin = [r._replace(withstood=withstood(0)) for r in results if r.epsilon == 0.5]
    evidence = Evidence(
        Outcomes(withstood(190), results),
        chance=0.1,
        no_gradient=torch.zeros(N, dtype=torch.bool),
        path="exact",
        whole=True,
        on_logits=True,
        everything=0.5,
        twin=Outcomes(withstood(190), twin),
        control=Control(("inconclusive", 0.5), {"faded by 5": ("masked", 0.48), "faded by 20": ("masked", 0.52)}),
        reported={0.1: 0.5, 0.5: 0.0},
    )
    return evidence._replace(**changes)


def with_results(results, evidence=None):
    found = evidence or honest()
    return found._replace(outcomes=found.outcomes._replace(results=[*results]))


def more(kind, epsilon, count, evidence=None):
    """The same, but for an attack of a kind which leaves only the first of the robust examples."""
    kept = withstood(100) & (torch.arange(N) < N - count)
    found = evidence or honest()
    return with_results([*found.outcomes.results, result(f"{kind}-better", kind, epsilon, kept)], found)


def without(kind):
    return with_results(r for r in honest().outcomes.results if r.attack.kind != kind)


def outcomes(evidence):
    return {check.number: check.outcome for check in checks.checks(evidence)}


def test_of_an_honest_figure_all_pass():
    found = checks.checks(honest())
    assert [check.number for check in found] == [*range(1, 12)]
    assert {check.outcome for check in found} == {"passed"}, found
    assert verdict(found) == "holds"


some = torch.arange(N) < 20
EVERY = honest().outcomes.results
FAILING = {
    "a part alone": (1, {"whole": False}),
    "probabilities": (1, {"on_logits": False}),
    "no gradients": (2, {"no_gradient": some}),
    "not down to chance": (4, {"outcomes": with_results(r._replace(withstood=withstood(100)) for r in EVERY).outcomes}),
    "twin unbroken": (
        9,
        {"twin": honest().twin._replace(results=[r._replace(withstood=withstood(100)) for r in EVERY])},
    ),
    "control not seen": (10, {"control": Control(("inconclusive", 0.5), {"a": ("masked", 0.5), "b": ("holds", 0.5)})}),
    "control not recovered": (10, {"control": Control(("inconclusive", 0.5), {"a": ("masked", 0.7)})}),
    "control seen where there is none": (10, {"control": Control(("masked", 0.5), {"a": ("masked", 0.5)})}),
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
    hidden = {"faded by 5": ("inconclusive", 0.5), "faded by 20": ("masked", 0.48)}
    evidence = honest(control=Control(("inconclusive", 0.5), hidden))
    said = checks.control_is_seen(evidence).figure
    assert said == "faded by 5 inconclusive at 50.0 %, faded by 20 masked at 48.0 %; unchanged inconclusive at 50.0 %"
    assert outcomes(evidence)[10] == "open"
    assert verdict(checks.checks(evidence)) == "inconclusive"


def test_where_a_share_was_found_is_told_where_there_is_one():
    some, none = checks.converged(more("doubled", 0.1, 20)), checks.converged(honest())
    assert some.figure.endswith(", epsilon 0.1")
    assert none.figure.startswith("0.0 % (")
    assert "epsilon" not in none.figure


def test_chance_is_what_the_best_constant_answer_gets():
    left = with_results(r._replace(withstood=withstood(120 if r.epsilon == 0.5 else 130)) for r in EVERY)
    for chance, outcome in ((0.1, "failed"), (0.66, "passed")):
        evidence = left._replace(chance=chance, reported={0.1: 0.65, 0.5: 0.6})
        assert outcomes(evidence)[4] == outcome


def test_the_attacks_of_others_count_as_more_effort():
    whole = [result("autoattack", "library", epsilon, withstood(0)) for epsilon in (0.1, 0.5)]
    found = with_results([*EVERY, *whole])._replace(reported={0.1: 0.0, 0.5: 0.0})
    assert outcomes(found)[5] == "failed"


BY_KIND = {"single": 3, "doubled": 5, "black": 6, "transfer": 6, "surrogate": 8}


@pytest.mark.parametrize(("kind", "number"), BY_KIND.items())
def test_an_attack_that_should_be_weaker_and_is_not_is_seen(kind, number):
    evidence = more(kind, 0.1, 20)._replace(reported={0.1: 0.4, 0.5: 0.0})
    found = outcomes(evidence)
    assert {key for key, outcome in found.items() if outcome == "failed"} == {number}


def test_a_larger_ball_must_not_break_less():
    larger = [r._replace(epsilon=0.2, withstood=r.withstood | withstood(130)) for r in EVERY if r.epsilon == 0.1]
    evidence = with_results([*EVERY, *larger])._replace(reported={0.1: 0.5, 0.2: 0.65, 0.5: 0.0})
    assert {key for key, outcome in outcomes(evidence).items() if outcome != "passed"} == {4}


@pytest.mark.parametrize(("offenders", "outcome"), [(0, "passed"), (2, "passed"), (4, "open"), (6, "failed")])
def test_a_share_is_judged_by_its_interval(offenders, outcome):
    assert outcomes(more("surrogate", 0.1, offenders))[8] == outcome


def last(outcomes, count=20):
    """Of the last examples alone."""
    results = [r._replace(withstood=r.withstood[-count:]) for r in outcomes.results]
    return Outcomes(outcomes.correct[-count:], results)


def test_of_few_examples_nothing_is_said_to_hold():
    evidence = honest()
    few = evidence._replace(
        outcomes=last(evidence.outcomes),
        no_gradient=evidence.no_gradient[-20:],
        twin=last(evidence.twin),
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
        (honest(twin=None), 9),
        (honest(control=None), 10),
        (honest(reported=None), 11),
        (with_results(r for r in EVERY if r.attack.name != "pgd-ce"), 7),
        (with_results(r for r in EVERY if r.attack.name != "pgd-margin"), 8),
    ],
    ids=str,
)
def test_what_was_not_looked_at_is_open(evidence, number):
    found = outcomes(evidence)
    assert found[number] == "open"
    assert verdict(checks.checks(evidence)) == "inconclusive"


def test_accuracy_is_the_mean_of_the_minimum():
    correct = torch.tensor([True, True, True, False])
    results = [
        result("a", "exact", 0.1, torch.tensor([True, False, True, True])),
        result("b", "black", 0.1, torch.tensor([True, True, False, True])),
        result("c", "black", 0.2, torch.tensor([False, False, False, False])),
        result("few", "library", 0.1, torch.tensor([True])),
    ]
    found = Outcomes(correct, results)
    assert found.at(0.1).accuracy.value == 0.25
    assert found.at(0.3).accuracy.value == 0.75  # without an attack
    assert found.epsilons == [0.1, 0.2]


def test_what_some_attack_of_a_kind_breaks_is_broken():
    a, b, right = torch.arange(N) % 2 == 0, torch.arange(N) % 3 == 0, withstood(150)
    found = Outcomes(
        right, [result("a", "exact", 0.1, a), result("b", "exact", 0.1, b), result("c", "black", 0.1, ~a)]
    ).at(0.1)
    assert torch.equal(found.of("exact").broken, ~(a & b & right))
    assert torch.equal(found.of("black").broken, ~(~a & right))
    assert torch.equal(found.by(["b"]).broken, ~(b & right))
    assert torch.equal(found.of().broken, ~right)
    assert found.broken.all()


BUDGET = Budget(steps=30, restarts=1, queries=300)


def gathered(victim, epsilons, twin, count=150):
    x, y = attacked(count)
    results = []
    for attack in suite(victim, 10, BUDGET, sources={"twin": twin}):
        for epsilon in epsilons:
            found = attack.run(x, y, Ball("linf", epsilon), draws(count))
            results += [Result(attack, epsilon, ~found.fooled)]
    correct = victim(x).argmax(dim=1) == y
    gone = has_no_gradient(victim, x, y)
    return Evidence(Outcomes(correct, results), 0.15, gone, "exact", whole=True, on_logits=True, everything=0.5)


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
    level, found = (evidence.outcomes.accuracy.value for evidence in (plain, control))
    assert control.outcomes.by(["pgd-margin"]).accuracy.value > level + 0.1  # the illusion
    assert found < level + checks.RECOVERED
    assert abs(control.outcomes.correct.float().mean() - plain.outcomes.correct.float().mean()) < 0.03
