import importlib.util
from functools import partial

import pytest
import torch
from torch import nn
from victims import EVERYTHING, attacked, precise, streams

from satae.robustness.attack_suite import Budget, attack_suite
from satae.robustness.external_attacks import MODULES
from satae.robustness.norm_ball import NormBall, RandomStreams

LITTLE = Budget(steps=8, restarts=2, queries=40)
suite = partial(attack_suite, temperatures=(1.0, 3.0, 10.0, 30.0, 100.0, 300.0))


TINY = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 10))
NAMES = [attack.name for attack in suite(TINY, 10, LITTLE, sources={"twin": TINY})]


def attack_called(name):
    attacks = suite(precise(), 10, LITTLE, sources={"twin": precise(seed=1)})
    return next(attack for attack in attacks if attack.name == name)


def inputs(count):
    x, y = attacked(count)
    return x.double(), y


def test_the_suite_has_every_kind_that_the_checks_need():
    kinds = {attack.kind for attack in suite(TINY, 10, LITTLE, sources={"twin": TINY})}
    assert kinds == {"single", "exact", "doubled", "surrogate", "transfer", "black"}
    assert len({*NAMES}) == len(NAMES)
    assert {"fgsm", "pgd-ce", "pgd-margin", "apgd-ce", "apgd-dlr", "apgd-targets", "square", "random"} <= {*NAMES}
    assert {"surrogate-pgd-T=300", "surrogate-apgd-T=1", "transfer-twin-pgd"} <= {*NAMES}


def test_a_surrogate_names_its_exact_attack():
    attacks = {attack.name: attack for attack in suite(TINY, 10, LITTLE)}
    for name, attack in attacks.items():
        assert bool(attack.like) == (attack.kind == "surrogate")
        if attack.like:
            assert attack.like.split("-")[0] == name.split("-")[1]
            exact = attacks[attack.like]
            assert exact.kind == "exact"


def test_the_doubled_restarts_are_only_those_that_the_exact_attack_has_not_made():
    x, y = inputs(3)
    starts = {}
    for name in ("apgd-margin", "apgd-margin-restarts"):
        seen = starts[name] = []

        def victim(points, seen=seen):
            seen.append(points.detach().clone())
            return torch.nn.functional.one_hot(y, 10) + 0 * points.flatten(1).sum(1, keepdim=True)

        attacks = {attack.name: attack for attack in suite(victim, 10, Budget(steps=1, restarts=2, queries=1))}
        attacks[name].run(x, y, NormBall("linf", 0.1), streams(3))
    first, second = starts["apgd-margin"], starts["apgd-margin-restarts"]
    assert len(first) == len(second) == 5  # the inputs, and two points of each restart
    assert not any(torch.equal(one, other) for one in first[1:] for other in second[1:])


def _installed():
    return [name for name, module in MODULES.items() if importlib.util.find_spec(module)]


def test_an_attack_skips_examples_broken_by_the_attacks_it_is_compared_with():
    attacks = suite(TINY, 10, LITTLE, sources={"twin": TINY}, libraries=_installed())
    exact, made = {attack.name for attack in attacks if attack.kind == "exact"}, set()
    for attack in attacks:
        if attack.name in ("fgsm", "pgd-ce", "pgd-margin") or attack.kind == "library":
            assert not attack.after
        elif attack.name.startswith("surrogate-pgd"):
            assert attack.after == ["pgd-margin"]
        else:
            assert {*attack.after} == exact
            assert attack.kind == "exact" or {*attack.after} <= made
        made.add(attack.name)


def test_with_few_classes_dlr_is_left_out():
    assert not [attack.name for attack in suite(TINY, 3, LITTLE) if "dlr" in attack.name]


@pytest.mark.parametrize("name", NAMES)
def test_the_result_for_an_example_does_not_depend_on_its_batch(name):
    attack = attack_called(name)
    x, y = inputs(24)
    ball = NormBall("linf", 0.08)
    whole = attack.run(x, y, ball, streams(24))
    chosen = torch.tensor([17, 3, 4, 20])
    part = attack.run(x[chosen], y[chosen], ball, RandomStreams.for_examples(0, chosen))
    assert torch.equal(part.fooled, whole.fooled[chosen])
    torch.testing.assert_close(part.x, whole.x[chosen], rtol=0, atol=1e-9)
    assert 0 < whole.fooled.sum() < 24


@pytest.mark.parametrize("name", [name for name in NAMES if "random" not in name and name != "fgsm"])
def test_an_undefended_classifier_is_broken_on_every_image(name):
    attack = attack_called(name)
    x, y = inputs(24)
    assert attack.run(x, y, EVERYTHING, streams(24)).fooled.all()


def test_a_surrogate_calls_the_model_as_often_as_its_exact_attack():
    asked = {"calls": 0, "gradients": 0}

    class Counting(nn.Module):
        """Right about everything, and never moved."""

        def __init__(self):
            super().__init__()
            self.inside = precise()

        def forward(self, x):
            asked["calls"] += 1
            asked["gradients"] += x.requires_grad
            logits = self.inside(x)
            return logits + 1e3 * nn.functional.one_hot(torch.zeros(len(x), dtype=torch.long), 10)

    x, _ = inputs(3)
    attacks, prices = suite(Counting(), 10, LITTLE), {}
    for attack in attacks:
        asked.update(calls=0, gradients=0)
        attack.run(x, torch.zeros(3, dtype=torch.long), NormBall("linf", 0.1), streams(3))
        prices[attack.name] = {**asked}
    for attack in attacks:
        assert prices[attack.name] == prices[attack.like or attack.name]
        assert prices[attack.name]["calls"] > (attack.kind != "single")
