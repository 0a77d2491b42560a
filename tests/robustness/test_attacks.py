import importlib.util

import pytest
import torch
from torch import nn
from victims import EVERYTHING, attacked, draws, precise

from satae.robustness.attacks import Budget, suite
from satae.robustness.ball import Ball
from satae.robustness.draws import Draws
from satae.robustness.libraries import MODULES

LITTLE = Budget(steps=8, restarts=2, queries=40)


TINY = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 10))
NAMES = [attack.name for attack in suite(TINY, 10, LITTLE, sources={"twin": TINY})]


def attack_called(name):
    attacks = suite(precise(), 10, LITTLE, sources={"twin": precise(seed=1)})
    return next(attack for attack in attacks if attack.name == name)


def inputs(count):
    x, y = attacked(count)
    return x.double(), y


def test_the_suite_has_what_the_checks_ask_for():
    kinds = {attack.kind for attack in suite(TINY, 10, LITTLE, sources={"twin": TINY})}
    assert kinds == {"single", "exact", "doubled", "surrogate", "transfer", "black"}
    assert len({*NAMES}) == len(NAMES)
    assert {"fgsm", "pgd-ce", "pgd-margin", "apgd-ce", "apgd-dlr", "apgd-targets", "square", "random"} <= {*NAMES}
    assert {"surrogate-pgd-T=300", "surrogate-apgd-T=1", "transfer-twin-pgd"} <= {*NAMES}


def test_a_surrogate_names_the_attack_that_it_is_like():
    attacks = {attack.name: attack for attack in suite(TINY, 10, LITTLE)}
    for name, attack in attacks.items():
        assert bool(attack.like) == (attack.kind == "surrogate")
        if attack.like:
            assert attack.like.split("-")[0] == name.split("-")[1]
            exact = attacks[attack.like]
            assert exact.kind == "exact"


def _installed():
    return [name for name, module in MODULES.items() if importlib.util.find_spec(module)]


def test_an_attack_is_spared_what_it_is_held_against_and_that_was_made_before():
    attacks = suite(TINY, 10, LITTLE, sources={"twin": TINY}, libraries=_installed())
    exact, made = {attack.name for attack in attacks if attack.kind == "exact"}, set()
    for attack in attacks:
        if attack.name in ("fgsm", "pgd-ce", "pgd-margin"):
            assert not attack.after
        elif attack.name.startswith("surrogate-pgd"):
            assert attack.after == ["pgd-margin"]
        else:
            assert {*attack.after} == exact
            assert attack.kind == "exact" or {*attack.after} <= made
        made.add(attack.name)


def test_with_few_classes_there_is_no_dlr():
    assert not [attack.name for attack in suite(TINY, 3, LITTLE) if "dlr" in attack.name]


@pytest.mark.parametrize("name", NAMES)
def test_what_comes_of_an_example_does_not_depend_on_its_batch(name):
    attack = attack_called(name)
    x, y = inputs(24)
    ball = Ball("linf", 0.08)
    whole = attack.run(x, y, ball, draws(24))
    chosen = torch.tensor([17, 3, 4, 20])
    part = attack.run(x[chosen], y[chosen], ball, Draws.of(0, chosen))
    assert torch.equal(part.fooled, whole.fooled[chosen])
    torch.testing.assert_close(part.x, whole.x[chosen], rtol=0, atol=1e-9)
    assert 0 < whole.fooled.sum() < 24


@pytest.mark.parametrize("name", [name for name in NAMES if "random" not in name and name != "fgsm"])
def test_an_undefended_classifier_is_broken_on_every_image(name):
    attack = attack_called(name)
    x, y = inputs(24)
    assert attack.run(x, y, EVERYTHING, draws(24)).fooled.all()


def test_a_surrogate_asks_as_much_of_the_model_as_the_attack_that_it_is_like():
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
        attack.run(x, torch.zeros(3, dtype=torch.long), Ball("linf", 0.1), draws(3))
        prices[attack.name] = {**asked}
    for attack in attacks:
        assert prices[attack.name] == prices[attack.like or attack.name]
        assert prices[attack.name]["calls"] > (attack.kind != "single")
