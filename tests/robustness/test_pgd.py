from functools import partial

import pytest
import torch
from test_norm_ball import assert_inside
from torch import nn
from victims import EVERYTHING, attacked, classifier, linear, streams

from satae.robustness.attack_losses import cross_entropy, loss_gradient, margin
from satae.robustness.norm_ball import NORMS, NormBall
from satae.robustness.pgd import _ApgdState, _halve_where_stuck, apgd_checkpoints, fgsm
from satae.robustness.pgd import apgd as any_apgd
from satae.robustness.pgd import pgd as any_pgd

pgd, apgd = (partial(attack, steps=100, restarts=1) for attack in (any_pgd, any_apgd))
ATTACKS = [fgsm, pgd, apgd]


@pytest.mark.parametrize("attack", ATTACKS, ids=["fgsm", "pgd", "apgd"])
@pytest.mark.parametrize("norm", NORMS)
def test_attacks_on_a_linear_model_succeed_exactly_from_the_known_radius(attack, norm):
    weight, x = torch.tensor([1.0, -2.0, 0.5]), torch.tensor([[0.5, 0.2, 0.1]])
    dual = weight.abs().sum() if norm == "linf" else weight.norm()
    needed = (x @ weight).item() / dual.item()
    for factor in (0.95, 1.05):
        ball = NormBall(norm, factor * needed, -9.0, 9.0)
        found = attack(linear(weight), x, torch.tensor([0]), ball, streams(1))
        assert found.fooled.item() == (factor > 1)
        assert_inside(found.x, x, ball)


@pytest.mark.parametrize("objective", [cross_entropy, margin])
@pytest.mark.parametrize("attack", [pgd, apgd], ids=["pgd", "apgd"])
def test_an_undefended_classifier_is_broken_on_every_image(attack, objective):
    x, y = attacked()
    assert attack(classifier(), x, y, EVERYTHING, streams(len(x)), loss=objective, steps=20).fooled.all()


@pytest.mark.parametrize("attack", ATTACKS, ids=["fgsm", "pgd", "apgd"])
@pytest.mark.parametrize("norm", NORMS)
def test_pgd_finds_fooling_points_inside_the_ball(attack, norm):
    x, y = attacked()
    ball = NormBall(norm, {"linf": 0.1, "l2": 0.6}[norm])
    found = attack(classifier(), x, y, ball, streams(len(x)))
    assert 0.2 < found.fooled.float().mean() < 1
    assert_inside(found.x, x, ball)
    assert torch.equal(classifier()(found.x).argmax(dim=1) != y, found.fooled)


def test_pgd_is_hardly_ever_worse_than_fgsm():
    x, y = attacked()
    ball = NormBall("linf", 0.08)
    one, many, auto = (attack(classifier(), x, y, ball, streams(len(x))).fooled for attack in ATTACKS)
    assert (one & ~many).sum() <= 1
    assert (one & ~auto).sum() <= 1
    again = pgd(classifier(), x, y, ball, streams(len(x)), restarts=3).fooled
    assert not (many & ~again).any()


def test_a_ball_of_radius_zero_breaks_nothing():
    x, y = attacked()
    wrong = classifier()(x).argmax(dim=1) != y
    for attack in ATTACKS:
        assert torch.equal(attack(classifier(), x, y, NormBall("linf", 0.0), streams(len(x))).fooled, wrong)


def test_a_transfer_attack_is_judged_by_the_other_model():
    x, y = attacked()
    victim, source = classifier(), classifier(seed=1)
    found = pgd(source, x, y, NormBall("linf", 0.15), streams(len(x)), loss=margin, judge=victim)
    assert found.fooled.float().mean() > 0.3
    assert torch.equal(victim(found.x).argmax(dim=1) != y, found.fooled)


def test_an_attack_leaves_no_gradient_in_the_weights():
    x, y = attacked(5)
    model = classifier()
    model.zero_grad()  # the model is shared, and a library may have left gradients
    apgd(model, x, y, EVERYTHING, streams(5), steps=2)
    assert all(weight.grad is None for weight in model.parameters())


def test_apgd_checkpoints_equal_the_papers():
    assert apgd_checkpoints(100) == [22, 41, 57, 70, 80, 87, 93, 99]


def test_apgd_without_a_loss_targets_one_class_after_another():
    (x, y), model = attacked(), classifier("sigmoid")
    ball = NormBall("linf", 0.1)
    found = apgd(model, x, y, ball, streams(100), loss=None, restarts=9).fooled
    likeliest = apgd(model, x, y, ball, streams(100), loss=None, restarts=1)
    assert not (likeliest.fooled & ~found).any()
    assert found.sum() > likeliest.fooled.sum()
    rivals = model(x).scatter(1, y[:, None], -1e9).argmax(dim=1)
    right = likeliest.fooled & (model(x).argmax(dim=1) == y)
    answers = model(likeliest.x).argmax(dim=1)
    assert (answers == rivals)[right].float().mean() > 0.9


def test_every_restart_starts_at_another_point():
    x, seen = torch.rand(2, 3), []

    def watched(points):
        seen.append(points.detach().clone())
        return Unfooled()(points)

    for attack in (pgd, apgd):
        seen.clear()
        attack(watched, x, torch.zeros(2, dtype=torch.long), NormBall("linf", 0.5), streams(2), steps=1, restarts=3)
        assert not any(torch.equal(seen[i], seen[j]) for i in range(len(seen)) for j in range(i))


@pytest.mark.parametrize(
    ("rises", "best_then", "size_then", "halved"),
    [
        (10, 1.0, 0.2, True),  # the best has not changed, nor has the size
        (10, 0.5, 0.2, False),
        (10, 1.0, 0.4, False),
        (7, 0.5, 0.2, True),  # too few steps went up
        (8, 0.5, 0.2, False),
    ],
)
def test_apgd_halves_the_step_where_progress_stopped(rises, best_then, size_then, halved):
    here, best = torch.zeros(1, 2), torch.ones(1, 2)

    def one(number):
        return torch.tensor([float(number)])

    state = _ApgdState(
        here, here, one(0), here, best, one(1), best, one(0.2), one(rises), one(size_then), one(best_then)
    )
    found = _halve_where_stuck(state, 10)
    torch.testing.assert_close(found.size, one(0.1 if halved else 0.2))
    assert torch.equal(found.point, best if halved else here)
    assert torch.equal(found.gradient, best if halved else here)


class Unfooled(nn.Module):
    """A rugged landscape in which the label is the answer everywhere."""

    def forward(self, x):
        height = torch.sin(5 * x).sum(dim=1) + x[:, 0] * x[:, 1]
        return torch.stack([torch.zeros_like(height), height - 100], dim=1)


def by_the_book(x, start, epsilon, steps):
    """Algorithm 1 of arXiv 2003.01690 for one example and L_inf, step by step: every point and the sizes."""

    def project(point):
        return point.clamp(x - epsilon, x + epsilon).clamp(-3, 3)

    def f(point):
        found = loss_gradient(Unfooled(), point[None], torch.zeros(1, dtype=torch.long), margin)
        return found.value.item(), found.gradient[0]

    size, points = 2 * epsilon, [start]
    value, gradient = f(start)
    best = (value, start, gradient)
    values, sizes, maxima = [value], [size], [value]
    marks, since = apgd_checkpoints(steps), 0
    for step in range(1, steps + 1):
        ahead = project(points[-1] + size * gradient.sign())
        alpha = 1.0 if step == 1 else 0.75
        back = points[-2] if step > 1 else points[-1]
        point = project(points[-1] + alpha * (ahead - points[-1]) + (1 - alpha) * (points[-1] - back))
        value, gradient = f(point)
        points, values = [*points, point], [*values, value]
        best = max(best, (value, point, gradient), key=lambda one: one[0])
        if step in marks:
            rises = sum(values[i + 1] > values[i] for i in range(since, step))
            rests = sizes[-1] == size and maxima[-1] == best[0]
            sizes, maxima = [*sizes, size], [*maxima, best[0]]
            if rises < 0.75 * (step - since) or rests:
                size /= 2
                values[-1], points[-1], gradient = best
            since = step
    return points, size


def test_apgd_follows_the_papers_algorithm():
    x = torch.rand(4, 3, dtype=torch.float64)
    ball, steps, walked = NormBall("linf", 1.5, -3.0, 3.0), 60, []

    class Watched(Unfooled):
        def forward(self, points):
            walked.append(points.detach().clone())
            return super().forward(points)

    apgd(Watched(), x, torch.zeros(4, dtype=torch.long), ball, streams(4), loss=margin, steps=steps)
    walked = [points for points in walked if len(points) == 4][1:]  # the first call is of the inputs themselves
    starts = ball.around(x).random_start(streams(4), 0)
    for i in range(4):
        points, size = by_the_book(x[i], starts[i], ball.epsilon, steps)
        assert size < 2 * ball.epsilon
        told = [
            points[k] for k in range(steps + 1) if k not in apgd_checkpoints(steps)
        ]  # those may go back to the best
        mine = [walked[k][i] for k in range(steps + 1) if k not in apgd_checkpoints(steps)]
        torch.testing.assert_close(torch.stack(mine), torch.stack(told), rtol=0, atol=1e-12)
    assert len(walked) == steps + 1


def test_pgd_leaves_a_plateau_on_which_a_short_step_would_stay():
    def terrace(x):  # its gradient leads to a low hill at .25; the high one at .8 lies behind a valley
        height = torch.exp(-(((x - 0.25) / 0.1) ** 2)) + 3 * torch.exp(-(((x - 0.8) / 0.2) ** 2))
        return torch.cat([torch.full_like(x, 2.0), height], dim=1)

    x = torch.zeros(50, 1)
    assert pgd(terrace, x, torch.zeros(50, dtype=torch.long), NormBall("linf", 1.0), streams(50)).fooled.all()


def test_pgd_passes_over_gradients_that_are_not_finite():
    def broken(x):  # the derivative by the first value is 0 times infinity
        return torch.stack([0.5 - x[:, 1], (0 * x[:, 0]).abs().sqrt()], dim=1)

    x, ball = torch.zeros(4, 2), NormBall("linf", 1.0, -1.0, 1.0)
    assert not loss_gradient(broken, x, torch.zeros(4, dtype=torch.long), margin).gradient.isfinite().all()
    assert pgd(broken, x, torch.zeros(4, dtype=torch.long), ball, streams(4)).fooled.all()
