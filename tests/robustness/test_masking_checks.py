import pytest
import torch
from victims import attacked, classifier, streams

from satae.robustness import masking_checks
from satae.robustness.attack_losses import has_no_gradient
from satae.robustness.attack_suite import Attack, Budget, attack_suite
from satae.robustness.bpda import steepen_activations
from satae.robustness.masking_checks import AttackOutcome, AttackOutcomes, Control, Evidence, verdict
from satae.robustness.norm_ball import NormBall

N = 200
ALL = ["single", "exact", "doubled", "surrogate", "black", "transfer"]
NAMES = {"single": ["fgsm"], "exact": ["pgd-ce", "pgd-margin"]}


def result(name, kind, epsilon, withstood):
    """Of an attack that is never made."""
    like = "pgd-margin" if kind == "surrogate" else ""
    return AttackOutcome(Attack(name, kind, None, name.removeprefix("pgd-"), like), epsilon, withstood)


def robust(count):
    """The last ``count`` of the examples."""
    return torch.arange(N) >= N - count


def honest(**changes):
    """Evidence that nothing can be said against."""
    at = {0.1: 100, 0.5: 0}
    results = [
        result(name, kind, epsilon, robust(count if kind == "exact" else count + count // 10))
        for epsilon, count in at.items()
        for kind in ALL
        for name in NAMES.get(kind, [kind])
    ]
    twin = [r._replace(robust=robust(0)) for r in results if r.epsilon == 0.5]
    evidence = Evidence(
        AttackOutcomes(robust(190), results),
        chance=0.1,
        no_gradient=torch.zeros(N, dtype=torch.bool),
        path="exact",
        whole=True,
        on_logits=True,
        grey_radius=0.5,
        baseline=AttackOutcomes(robust(190), twin),
        control=Control(("inconclusive", 0.5), {"faded by 5": ("masked", 0.48), "faded by 20": ("masked", 0.52)}),
        reported={0.1: 0.5, 0.5: 0.0},
    )
    return evidence._replace(**changes)


def with_results(results, evidence=None):
    found = evidence or honest()
    return found._replace(outcomes=found.outcomes._replace(results=[*results]))


def more(kind, epsilon, count, evidence=None):
    """The same, but for an attack of a kind which leaves only the first of the robust examples."""
    kept = robust(100) & (torch.arange(N) < N - count)
    found = evidence or honest()
    return with_results([*found.outcomes.results, result(f"{kind}-better", kind, epsilon, kept)], found)


def without(kind):
    return with_results(r for r in honest().outcomes.results if r.attack.kind != kind)


def outcomes(evidence):
    return {check.number: check.outcome for check in masking_checks.run_checks(evidence)}


def test_an_honest_model_passes_every_check():
    found = masking_checks.run_checks(honest())
    assert [check.number for check in found] == [*range(1, 12)]
    assert {check.outcome for check in found} == {"passed"}, found
    assert verdict(found) == "holds"


some = torch.arange(N) < 20
EVERY = honest().outcomes.results
FAILING = {
    "a part alone": (1, {"whole": False}),
    "probabilities": (1, {"on_logits": False}),
    "no gradients": (2, {"no_gradient": some}),
    "not down to chance": (4, {"outcomes": with_results(r._replace(robust=robust(100)) for r in EVERY).outcomes}),
    "twin unbroken": (
        9,
        {"baseline": honest().baseline._replace(results=[r._replace(robust=robust(100)) for r in EVERY])},
    ),
    "control not seen": (10, {"control": Control(("inconclusive", 0.5), {"a": ("masked", 0.5), "b": ("holds", 0.5)})}),
    "control not recovered": (10, {"control": Control(("inconclusive", 0.5), {"a": ("masked", 0.7)})}),
    "control seen where there is none": (10, {"control": Control(("masked", 0.5), {"a": ("masked", 0.5)})}),
    "another figure": (11, {"reported": {0.1: 0.55, 0.5: 0.0}}),
}


@pytest.mark.parametrize("case", FAILING)
def test_each_planted_fault_fails_its_check(case):
    number, changes = FAILING[case]
    evidence = honest(**changes)
    if case == "not down to chance":
        evidence = evidence._replace(reported={0.1: 0.5, 0.5: 0.5})
    found = outcomes(evidence)
    assert {key for key, outcome in found.items() if outcome != "passed"} == {number}
    assert found[number] == "failed"
    assert verdict(masking_checks.run_checks(evidence)) == "masked"


def test_a_control_with_few_examples_leaves_the_check_open():
    hidden = {"faded by 5": ("inconclusive", 0.5), "faded by 20": ("masked", 0.48)}
    evidence = honest(control=Control(("inconclusive", 0.5), hidden))
    said = masking_checks.control_is_seen(evidence).figure
    assert said == "faded by 5 inconclusive at 50.0 %, faded by 20 masked at 48.0 %; unchanged inconclusive at 50.0 %"
    assert outcomes(evidence)[10] == "open"
    assert verdict(masking_checks.run_checks(evidence)) == "inconclusive"


def test_the_figure_names_the_radius_only_if_examples_offend():
    some, none = masking_checks.attacks_converge(more("doubled", 0.1, 20)), masking_checks.attacks_converge(honest())
    assert some.figure.endswith(", epsilon 0.1")
    assert none.figure.startswith("0.0 % (")
    assert "epsilon" not in none.figure


def test_chance_is_the_accuracy_of_the_best_constant_prediction():
    left = with_results(r._replace(robust=robust(120 if r.epsilon == 0.5 else 130)) for r in EVERY)
    for chance, outcome in ((0.1, "failed"), (0.66, "passed")):
        evidence = left._replace(chance=chance, reported={0.1: 0.65, 0.5: 0.6})
        assert outcomes(evidence)[4] == outcome


def test_library_attacks_count_as_more_effort():
    whole = [result("autoattack", "library", epsilon, robust(0)) for epsilon in (0.1, 0.5)]
    found = with_results([*EVERY, *whole])._replace(reported={0.1: 0.0, 0.5: 0.0})
    assert outcomes(found)[5] == "failed"


BY_KIND = {"single": 3, "doubled": 5, "black": 6, "transfer": 6, "surrogate": 8}


@pytest.mark.parametrize(("kind", "number"), BY_KIND.items())
def test_a_weaker_attack_that_breaks_more_fails_its_check(kind, number):
    evidence = more(kind, 0.1, 20)._replace(reported={0.1: 0.4, 0.5: 0.0})
    found = outcomes(evidence)
    assert {key for key, outcome in found.items() if outcome == "failed"} == {number}


def test_a_larger_ball_that_breaks_less_fails_its_check():
    larger = [r._replace(epsilon=0.2, robust=r.robust | robust(130)) for r in EVERY if r.epsilon == 0.1]
    evidence = with_results([*EVERY, *larger])._replace(reported={0.1: 0.5, 0.2: 0.65, 0.5: 0.0})
    assert {key for key, outcome in outcomes(evidence).items() if outcome != "passed"} == {4}


@pytest.mark.parametrize(("offenders", "outcome"), [(0, "passed"), (2, "passed"), (4, "open"), (6, "failed")])
def test_a_proportion_is_judged_by_its_interval(offenders, outcome):
    assert outcomes(more("surrogate", 0.1, offenders))[8] == outcome


def last(outcomes, count=20):
    """Of the last examples alone."""
    results = [r._replace(robust=r.robust[-count:]) for r in outcomes.results]
    return AttackOutcomes(outcomes.correct[-count:], results)


def test_few_examples_leave_the_verdict_inconclusive():
    evidence = honest()
    few = evidence._replace(
        outcomes=last(evidence.outcomes),
        no_gradient=evidence.no_gradient[-20:],
        baseline=last(evidence.baseline),
        reported={0.1: 1.0, 0.5: 0.0},
    )
    assert outcomes(few)[2] == "open"
    assert verdict(masking_checks.run_checks(few)) == "inconclusive"


@pytest.mark.parametrize(
    ("evidence", "number"),
    [
        (without("single"), 3),
        (without("doubled"), 5),
        (without("transfer"), 6),
        (without("surrogate"), 8),
        (honest(grey_radius=None), 4),
        (honest(grey_radius=0.9), 4),
        (honest(baseline=None), 9),
        (honest(control=None), 10),
        (honest(reported=None), 11),
        (with_results(r for r in EVERY if r.attack.name != "pgd-ce"), 7),
        (with_results(r for r in EVERY if r.attack.name != "pgd-margin"), 8),
    ],
    ids=str,
)
def test_missing_evidence_leaves_the_check_open(evidence, number):
    found = outcomes(evidence)
    assert found[number] == "open"
    assert verdict(masking_checks.run_checks(evidence)) == "inconclusive"


def test_accuracy_is_the_mean_of_the_minimum_over_attacks():
    correct = torch.tensor([True, True, True, False])
    results = [
        result("a", "exact", 0.1, torch.tensor([True, False, True, True])),
        result("b", "black", 0.1, torch.tensor([True, True, False, True])),
        result("c", "black", 0.2, torch.tensor([False, False, False, False])),
        result("few", "library", 0.1, torch.tensor([True])),
    ]
    found = AttackOutcomes(correct, results)
    assert found.at(0.1).accuracy.value == 0.25
    assert found.at(0.3).accuracy.value == 0.75  # without an attack
    assert found.epsilons == [0.1, 0.2]


def test_an_example_broken_by_any_attack_of_a_kind_is_broken():
    a, b, right = torch.arange(N) % 2 == 0, torch.arange(N) % 3 == 0, robust(150)
    found = AttackOutcomes(
        right, [result("a", "exact", 0.1, a), result("b", "exact", 0.1, b), result("c", "black", 0.1, ~a)]
    ).at(0.1)
    assert torch.equal(found.of_kinds("exact").broken, ~(a & b & right))
    assert torch.equal(found.of_kinds("black").broken, ~(~a & right))
    assert torch.equal(found.with_names(["b"]).broken, ~(b & right))
    assert torch.equal(found.of_kinds().broken, ~right)
    assert found.broken.all()


BUDGET = Budget(steps=30, restarts=1, queries=300)
TEMPERATURES = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0)


def gathered(victim, epsilons, twin, count=150):
    x, y = attacked(count)
    results = []
    for attack in attack_suite(victim, 10, BUDGET, temperatures=TEMPERATURES, sources={"twin": twin}):
        for epsilon in epsilons:
            found = attack.run(x, y, NormBall("linf", epsilon), streams(count))
            results += [AttackOutcome(attack, epsilon, ~found.fooled)]
    correct = victim(x).argmax(dim=1) == y
    gone = has_no_gradient(victim, x, y)
    return Evidence(AttackOutcomes(correct, results), 0.15, gone, "exact", whole=True, on_logits=True, grey_radius=0.5)


@pytest.mark.parametrize("act", [pytest.param("relu", marks=pytest.mark.slow), "tanh", "satlin"])
def test_an_undefended_network_is_not_called_masked(act):
    evidence = gathered(classifier(act), [0.05, 0.1, 0.5], classifier(act, seed=1))
    found = masking_checks.run_checks(evidence)
    assert not [check for check in found if check.outcome == "failed"], found


@pytest.mark.parametrize("factor", [20, pytest.param(100, marks=pytest.mark.slow)])
def test_the_control_is_called_masked_and_its_level_is_found(factor):
    victim, twin = classifier("sigmoid"), classifier("sigmoid", seed=1)
    plain = gathered(victim, [0.1], twin)
    with steepen_activations(victim, factor):
        control = gathered(victim, [0.1], twin)
    assert verdict(masking_checks.run_checks(plain)) != "masked", masking_checks.run_checks(plain)
    assert verdict(masking_checks.run_checks(control)) == "masked"
    assert outcomes(control)[8] == "failed"
    level, found = (evidence.outcomes.accuracy.value for evidence in (plain, control))
    assert control.outcomes.with_names(["pgd-margin"]).accuracy.value > level + 0.1  # the illusion
    assert found < level + masking_checks.CONTROL_TOLERANCE
    assert abs(control.outcomes.correct.float().mean() - plain.outcomes.correct.float().mean()) < 0.03
