import pytest
import torch
from test_ball import assert_inside
from torch import nn
from victims import EVERYTHING, attacked, classifier, draws, linear

from satae.robustness.ascent import _checked, _State, apgd, checkpoints, fgsm, pgd
from satae.robustness.ball import NORMS, Ball
from satae.robustness.objectives import cross_entropy, margin, slope

ATTACKS = [fgsm, pgd, apgd]


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("norm", NORMS)
def test_on_a_linear_model_the_smallest_ball_that_can_succeed_is_known(attack, norm):
    weight, x = torch.tensor([1.0, -2.0, 0.5]), torch.tensor([[0.5, 0.2, 0.1]])
    dual = weight.abs().sum() if norm == "linf" else weight.norm()
    needed = (x @ weight).item() / dual.item()
    for factor in (0.95, 1.05):
        ball = Ball(norm, factor * needed, -9.0, 9.0)
        found = attack(linear(weight), x, torch.tensor([0]), ball, draws(1))
        assert found.fooled.item() == (factor > 1)
        assert_inside(found.x, x, ball)


@pytest.mark.parametrize("objective", [cross_entropy, margin])
@pytest.mark.parametrize("attack", [pgd, apgd])
def test_an_undefended_classifier_is_broken_on_every_image(attack, objective):
    x, y = attacked()
    assert attack(classifier(), x, y, EVERYTHING, draws(len(x)), objective=objective, steps=20).fooled.all()


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("norm", NORMS)
def test_what_is_found_fools_and_is_in_the_ball(attack, norm):
    x, y = attacked()
    ball = Ball(norm, {"linf": 0.1, "l2": 0.6}[norm])
    found = attack(classifier(), x, y, ball, draws(len(x)))
    assert 0.2 < found.fooled.float().mean() < 1
    assert_inside(found.x, x, ball)
    assert torch.equal(classifier()(found.x).argmax(dim=1) != y, found.fooled)


def test_more_steps_and_restarts_never_do_worse_than_fgsm_by_much():
    x, y = attacked()
    ball = Ball("linf", 0.08)
    one, many, auto = (attack(classifier(), x, y, ball, draws(len(x))).fooled for attack in ATTACKS)
    assert (one & ~many).sum() <= 1
    assert (one & ~auto).sum() <= 1
    again = pgd(classifier(), x, y, ball, draws(len(x)), restarts=3).fooled
    assert not (many & ~again).any()


def test_a_ball_of_nothing_breaks_nothing():
    x, y = attacked()
    wrong = classifier()(x).argmax(dim=1) != y
    for attack in ATTACKS:
        assert torch.equal(attack(classifier(), x, y, Ball("linf", 0.0), draws(len(x))).fooled, wrong)


def test_a_transfer_is_judged_by_the_other_model():
    x, y = attacked()
    victim, source = classifier(), classifier(seed=1)
    found = pgd(source, x, y, Ball("linf", 0.15), draws(len(x)), objective=margin, judge=victim)
    assert found.fooled.float().mean() > 0.3
    assert torch.equal(victim(found.x).argmax(dim=1) != y, found.fooled)


def test_weights_get_no_gradient():
    x, y = attacked(5)
    model = classifier()
    apgd(model, x, y, EVERYTHING, draws(5), steps=2)
    assert all(weight.grad is None for weight in model.parameters())


def test_checkpoints_are_those_of_the_paper():
    assert checkpoints(100) == [22, 41, 57, 70, 80, 87, 93, 99]


def test_one_class_after_another_is_gone_after():
    (x, y), model = attacked(), classifier("sigmoid")
    ball = Ball("linf", 0.1)
    found = apgd(model, x, y, ball, draws(100), objective=None, restarts=9).fooled
    likeliest = apgd(model, x, y, ball, draws(100), objective=None, restarts=1)
    assert not (likeliest.fooled & ~found).any()
    assert found.sum() > likeliest.fooled.sum()
    rivals = model(x).scatter(1, y[:, None], -1e9).argmax(dim=1)
    right = likeliest.fooled & (model(x).argmax(dim=1) == y)
    answers = model(likeliest.x).argmax(dim=1)
    assert (answers == rivals)[right].float().mean() > 0.9


def test_every_restart_begins_elsewhere():
    x, seen = torch.rand(2, 3), []

    def watched(points):
        seen.append(points.detach().clone())
        return Unfooled()(points)

    for attack in (pgd, apgd):
        seen.clear()
        attack(watched, x, torch.zeros(2, dtype=torch.long), Ball("linf", 0.5), draws(2), steps=1, restarts=3)
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
def test_a_step_is_halved_where_it_has_stopped_to_help(rises, best_then, size_then, halved):
    here, best = torch.zeros(1, 2), torch.ones(1, 2)

    def one(number):
        return torch.tensor([float(number)])

    state = _State(here, here, one(0), here, best, one(1), best, one(0.2), one(rises), one(size_then), one(best_then))
    found = _checked(state, 10)
    torch.testing.assert_close(found.size, one(0.1 if halved else 0.2))
    assert torch.equal(found.at, best if halved else here)
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
        found = slope(Unfooled(), point[None], torch.zeros(1, dtype=torch.long), margin)
        return found.value.item(), found.gradient[0]

    size, points = 2 * epsilon, [start]
    value, gradient = f(start)
    best = (value, start, gradient)
    values, sizes, maxima = [value], [size], [value]
    marks, since = checkpoints(steps), 0
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


def test_apgd_walks_as_the_paper_says():
    x = torch.rand(4, 3, dtype=torch.float64)
    ball, steps, walked = Ball("linf", 1.5, -3.0, 3.0), 60, []

    class Watched(Unfooled):
        def forward(self, points):
            walked.append(points.detach().clone())
            return super().forward(points)

    apgd(Watched(), x, torch.zeros(4, dtype=torch.long), ball, draws(4), objective=margin, steps=steps)
    walked = [points for points in walked if len(points) == 4][1:]  # the first call is of the inputs themselves
    starts = ball.start(x, draws(4), 0)
    for i in range(4):
        points, size = by_the_book(x[i], starts[i], ball.epsilon, steps)
        assert size < 2 * ball.epsilon
        told = [points[k] for k in range(steps + 1) if k not in checkpoints(steps)]  # those may go back to the best
        mine = [walked[k][i] for k in range(steps + 1) if k not in checkpoints(steps)]
        torch.testing.assert_close(torch.stack(mine), torch.stack(told), rtol=0, atol=1e-12)
    assert len(walked) == steps + 1
