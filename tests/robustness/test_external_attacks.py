import importlib
import logging
import sys
import warnings

import pytest
import torch
from test_norm_ball import assert_inside
from victims import attacked, classifier, streams

from satae.robustness import external_attacks
from satae.robustness.attack_losses import dlr
from satae.robustness.estimates import fraction_estimate
from satae.robustness.norm_ball import NORMS, NormBall
from satae.robustness.pgd import apgd, pgd

RADII = {"linf": 0.07, "l2": 0.5}


def needs(library):
    return pytest.mark.skipif(importlib.util.find_spec(library) is None, reason="pip install 'satae[attacks]'")


def quietly(module):
    with warnings.catch_warnings(action="ignore"):
        return importlib.import_module(module)


def agree(ours, theirs):
    """Whether two fractions of the same images are within sampling error of one another."""
    a, b = (fraction_estimate(int(fooled.sum()), len(fooled)) for fooled in (ours, theirs))
    return a.low <= b.value <= a.high and b.low <= a.value <= b.high


@needs("pyautoattack")
@pytest.mark.parametrize("norm", NORMS)
def test_apgd_agrees_with_the_authors_code(norm):
    APGDAttack = quietly("pyautoattack.autopgd_base").APGDAttack
    x, y = attacked(100)
    theirs = APGDAttack(
        classifier(), norm={"linf": "Linf", "l2": "L2"}[norm], eps=RADII[norm], n_iter=50, seed=0, loss="dlr"
    )
    with torch.random.fork_rng(), warnings.catch_warnings(action="ignore"):
        found = theirs.perturb(x, y)
    fooled = classifier()(found).argmax(dim=1) != y
    ours = apgd(classifier(), x, y, NormBall(norm, RADII[norm]), streams(100), loss=dlr, steps=50, restarts=1).fooled
    assert agree(ours, fooled)
    assert (ours != fooled).sum() <= 5
    assert 0.2 < ours.float().mean() < 0.95


@needs("foolbox")
def test_pgd_agrees_with_foolbox():
    foolbox = quietly("foolbox")
    x, y = attacked(100)
    attack = foolbox.attacks.LinfPGD(steps=50, rel_stepsize=2.5 / 50)
    with torch.random.fork_rng(), warnings.catch_warnings(action="ignore"):
        *_, fooled = attack(foolbox.PyTorchModel(classifier(), bounds=(0, 1)), x, y, epsilons=0.07)
    ours = pgd(classifier(), x, y, NormBall("linf", 0.07), streams(100), steps=50, restarts=1).fooled
    assert agree(ours, fooled)
    assert (ours != fooled).sum() <= 5


class Shifted(torch.nn.Module):
    """The same classifier for data in [-1, 1]."""

    def __init__(self):
        super().__init__()
        self.inside = classifier()

    def forward(self, x):
        return self.inside((x + 1) / 2)


@needs("pyautoattack")
def test_autoattack_gets_the_radius_in_the_unit_range(monkeypatch):
    asked = {}

    class Recorder(quietly("pyautoattack").AutoAttack):
        def __init__(self, *args, **options):
            asked.update(options)
            super().__init__(*args, **options)

        def run_standard_evaluation(self, x, y, **_):
            asked["range"] = x.min().item(), x.max().item()
            return x, y

    monkeypatch.setattr("pyautoattack.AutoAttack", Recorder)
    x, y = attacked(8)
    external_attacks.autoattack(Shifted(), 2 * x - 1, y, NormBall("l2", 0.3, -1.0, 1.0), classes=10)
    assert (asked["eps"], asked["norm"], asked["range"]) == (0.15, "L2", (0.0, 1.0))


@needs("pyautoattack")
@pytest.mark.slow
def test_autoattack_breaks_what_apgd_breaks_and_restores_torchs_generator():
    x, y = attacked(12)
    x, ball = 2 * x.flatten(1) - 1, NormBall("linf", 0.14, -1.0, 1.0)
    model = Shifted()
    before = torch.get_rng_state()
    found = external_attacks.autoattack(model, x, y, ball, classes=10)
    assert torch.equal(torch.get_rng_state(), before)
    assert_inside(found.x, x, ball)
    ours = apgd(model, x, y, ball, streams(12), loss=dlr, steps=100, restarts=1).fooled
    assert 0 < ours.sum() < 12
    assert not (ours & ~found.fooled).any()
    assert torch.equal(external_attacks.autoattack(model, x, y, ball, classes=10).x, found.x)


@needs("pyautoattack")
def test_autoattack_warnings_are_silenced(caplog):
    class Sure(torch.nn.Module):
        """Of the first class, whatever is done to the input; without a slope."""

        def forward(self, x):
            return 0 * x.flatten(1)[:, :4] + torch.tensor([9.0, 3.0, 2.0, 1.0])

    external_attacks.autoattack(Sure(), torch.rand(2, 1, 3, 3), torch.tensor([0, 0]), NormBall("linf", 0.1), classes=4)
    assert not caplog.records
    assert not logging.getLogger("auto-attack").disabled


@needs("foolbox")
@pytest.mark.parametrize("norm", NORMS)
def test_minimum_norm_agrees_with_attacks_in_a_ball(norm):
    x, y = attacked(40)
    ball = NormBall(norm, RADII[norm])
    nearest = external_attacks.minimum_norm(classifier(), x, y, ball, steps=200)
    fooled = classifier()(nearest.x).argmax(dim=1) != y
    assert fooled.all()
    torch.testing.assert_close(ball.distance(nearest.x, x), nearest.distance)
    ours = apgd(classifier(), x, y, ball, streams(40), loss=dlr, steps=100, restarts=1).fooled
    assert (nearest.within(ball.epsilon).fooled != ours).sum() <= 3
    assert not nearest.within(0.0).fooled[classifier()(x).argmax(dim=1) == y].any()


@needs("foolbox")
@needs("pyautoattack")
def test_another_data_range_and_flat_inputs_give_the_same_result():
    x, y = attacked(8)
    flat = 2 * x.flatten(1) - 1
    one = external_attacks.minimum_norm(classifier(), x, y, NormBall("linf", 0.1), steps=50).distance
    two = external_attacks.minimum_norm(Shifted(), flat, y, NormBall("linf", 0.2, -1.0, 1.0), steps=50).distance
    torch.testing.assert_close(2 * one, two, rtol=1e-3, atol=1e-4)
    found = external_attacks.autoattack(Shifted(), flat, y, NormBall("linf", 0.4, -1.0, 1.0), classes=10)
    assert_inside(found.x, flat, NormBall("linf", 0.4, -1.0, 1.0))
    assert found.fooled.any()


@pytest.mark.parametrize(
    ("library", "attack", "options"),
    [
        ("foolbox", external_attacks.minimum_norm, {"steps": 1}),
        ("pyautoattack", external_attacks.autoattack, {"classes": 10}),
    ],
)
def test_a_missing_library_is_refused_with_the_remedy(library, attack, options, monkeypatch):
    monkeypatch.setitem(sys.modules, library, None)
    x, y = attacked(2)
    with pytest.raises(ValueError, match=rf"^{library} is not installed; pip install 'satae\[attacks\]'$"):
        attack(classifier(), x, y, NormBall("linf", 0.1), **options)


def test_autoattack_refuses_few_classes():
    x, y = attacked(2)
    with pytest.raises(ValueError, match="needs at least 4 classes, but there are 3"):
        external_attacks.autoattack(classifier(), x, y, NormBall("linf", 0.1), classes=3)
