"""Points planted near inputs of a model: what finds them, and what does not."""

import pytest
import torch
from hidden_gradients import Faded, Steep, hide_gradients
from victims import attacked, classifier, streams

from satae.robustness.active_test import EXACT_PART, active_test, find_planted_points
from satae.robustness.attack_losses import margin
from satae.robustness.attack_suite import Budget, planted_point_attacks
from satae.robustness.norm_ball import Balls, NormBall

BALL = NormBall("linf", 0.3)
BUDGET = Budget(steps=40, restarts=1, queries=0)
TEMPERATURES = (3.0, 10.0, 100.0)
COUNT = 80


def found(model, budget=BUDGET, count=COUNT, ball=BALL, attacks=None):
    """The fractions with a planted point, found by exact gradients, and found by any attack."""
    x, _ = attacked(count)
    made = attacks or planted_point_attacks(model, budget, TEMPERATURES)
    return active_test(model, x, ball, streams(count), made, TEMPERATURES, model(x).std(dim=0)).float().mean(dim=0)


@pytest.mark.parametrize("act", ["relu", "satlin", "tanh"])
def test_a_suite_finds_what_is_planted_in_an_honest_model(act):
    planted, by_exact, by_any = found(classifier(act))
    assert planted == 1
    assert by_exact >= 0.95
    assert by_any == 1


def test_planted_points_exist():
    model, (x, _) = classifier("relu"), attacked(20)
    w, start, rise = find_planted_points(model, x, BALL, streams(20), (), model(x).std(dim=0))
    goals = torch.cat([w, (start + EXACT_PART * rise)[:, None]], dim=1)
    attack = planted_point_attacks(model, Budget(steps=200, restarts=3, queries=0), TEMPERATURES)[1]
    reached = attack.run(x, goals, BALL, streams(20))
    assert reached.fooled.all()
    assert (margin(model(reached.x), goals) > 0).all()
    assert ((reached.x - x).abs() <= BALL.epsilon + 1e-6).all()
    assert (rise > 0).all()


CRIPPLED = {
    "step size / 100": lambda size, gradient: (size / 100, gradient),
    "sign flipped": lambda size, g: (size, -g),
}


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))])
@pytest.mark.parametrize("how", [*CRIPPLED, "two steps"])
def test_a_crippled_suite_does_not_find_them(seed, how, monkeypatch):
    model = classifier("relu", seed)
    if how == "two steps":
        _, by_exact, _ = found(model, BUDGET._replace(steps=2))
        assert by_exact < 0.9
        return
    was = Balls.ascend

    def crippled(balls, x, gradient, size):
        return was(balls, x, *CRIPPLED[how](size, gradient)[::-1])

    def weak(attack):
        def run(*given):
            with monkeypatch.context() as patched:
                patched.setattr(Balls, "ascend", crippled)
                return attack.run(*given)

        return attack._replace(run=run)

    attacks = [weak(attack) for attack in planted_point_attacks(model, BUDGET, TEMPERATURES)]
    _, by_exact, by_any = found(model, attacks=attacks)
    assert by_exact < 0.5
    assert by_any < 0.5


@pytest.mark.parametrize(("act", "kind"), [("sigmoid", Steep), ("tanh", Faded)])
def test_exact_gradients_miss_what_is_planted_where_gradients_are_hidden(act, kind):
    model = hide_gradients(classifier(act), kind, 20.0)
    _, by_exact, by_any = found(model, ball=NormBall("linf", 0.1))
    assert by_exact < 0.8
    assert by_any > by_exact


def test_nothing_is_planted_in_a_model_with_one_answer():
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10), torch.nn.ReLU())
    torch.nn.init.zeros_(model[1].weight)
    assert found(model, count=10).tolist() == [0, 1, 1]
