import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from victims import streams

from satae.robustness.norm_ball import NORMS, NormBall, RandomStreams

balls = st.builds(NormBall, st.sampled_from(NORMS), st.floats(0, 2), st.sampled_from([-1.0, 0.0]), st.just(1.0))


def inputs(ball, count=20, shape=(2, 3, 3)):
    return ball.low + (ball.high - ball.low) * torch.rand(count, *shape)


def assert_inside(points, around, ball):
    assert ball.distance(points, around).max() <= ball.epsilon * (1 + 1e-5) + 1e-6
    assert ball.low <= points.min()
    assert points.max() <= ball.high


@given(balls, st.floats(0, 10))
def test_a_projected_point_is_in_the_ball_and_projecting_again_changes_nothing(ball, size):
    x = inputs(ball)
    points = ball.around(x).project(x + size * torch.randn_like(x))
    assert_inside(points, x, ball)
    torch.testing.assert_close(ball.around(x).project(points), points, rtol=1e-5, atol=1e-6)


@given(balls)
def test_random_starts_are_in_the_ball_and_differ(ball):
    x = inputs(ball)
    first, second = (ball.around(x).random_start(streams(20), count) for count in (0, 1))
    assert_inside(first, x, ball)
    assert ball.epsilon < 1e-3 or not torch.equal(first, second)


@pytest.mark.parametrize("norm", NORMS)
def test_random_starts_are_uniform_over_the_ball(norm):
    ball = NormBall(norm, 1.0, -9.0, 9.0)
    x = torch.zeros(4000, 3)
    radii = ball.distance(ball.around(x).random_start(streams(4000), 0), x)
    assert abs((radii < 0.5).float().mean() - 0.5**3) < 0.02


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("scale", [1.0, 1e-30, 1e-42])
def test_a_step_follows_the_steepest_ascent_of_a_linear_function(norm, scale):
    ball, gradient = NormBall(norm, 1.0, -9.0, 9.0), torch.tensor([[3.0, -4.0, 0.0]])
    step = ball.around(torch.zeros(1, 3)).ascend(torch.zeros(1, 3), gradient * scale, 0.5)
    steepest = {"linf": [0.5, -0.5, 0.0], "l2": [0.3, -0.4, 0.0]}
    torch.testing.assert_close(step, torch.tensor([steepest[norm]]), rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize("norm", NORMS)
def test_a_zero_gradient_gives_no_step(norm):
    assert torch.equal(NormBall(norm, 1.0).steepest_direction(torch.zeros(2, 3)), torch.zeros(2, 3))


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (("l1", 0.1, 0.0, 1.0), "norm=l1: choose one of linf, l2"),
        (("l2", -0.1, 0.0, 1.0), "epsilon=-0.1"),
        (("l2", math.nan, 0.0, 1.0), "epsilon=nan"),
        (("l2", 0.1, 1.0, 1.0), "range 1 to 1"),
    ],
)
def test_an_invalid_ball_is_refused(wrong, told):
    with pytest.raises(ValueError, match=told):
        NormBall.create(*wrong)


def test_random_numbers_belong_to_the_example_and_not_to_the_batch():
    whole = RandomStreams.for_examples(3, torch.arange(10)).uniform(5, (2, 3))
    assert torch.equal(whole[[7, 2]], RandomStreams.for_examples(3, torch.tensor([7, 2])).uniform(5, (2, 3)))
    assert torch.equal(
        whole[4:], RandomStreams.for_examples(3, torch.arange(10))[torch.arange(10) > 3].uniform(5, (2, 3))
    )


def test_seed_example_and_count_each_change_the_numbers():
    streams = [
        RandomStreams.for_examples(seed, torch.arange(20)).uniform(count, (20,))
        for seed in range(5)
        for count in range(20)
    ]
    assert len(torch.stack(streams).flatten().unique()) > 0.99 * 5 * 20 * 20 * 20


def mixed(bits):
    """SplitMix64's function on whole numbers of Python."""
    bits = ((bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
    bits = ((bits ^ (bits >> 27)) * 0x94D049BB133111EB) % 2**64
    return bits ^ (bits >> 31)


@pytest.mark.parametrize(("seed", "example", "count"), [(0, 0, 0), (7, 3, 5), (123456789, 10**6, 1 << 40)])
def test_random_numbers_never_change_between_versions(seed, example, count):
    golden = 0x9E3779B97F4A7C15
    key = mixed((mixed((seed + golden) % 2**64) + (example + 1) * golden) % 2**64)
    stream = mixed(key ^ mixed((count * golden) % 2**64))
    expected = [(mixed((stream + i * golden) % 2**64) >> 40) / 2**24 for i in (1, 2, 3)]
    assert RandomStreams.for_examples(seed, torch.tensor([example])).uniform(count, (3,))[0].tolist() == expected


def test_uniform_numbers_are_uniform():
    found = RandomStreams.for_examples(1, torch.arange(200)).uniform(0, (500,))
    assert found.min() >= 0
    assert found.max() < 1
    counts = torch.histc(found, 20, 0, 1)
    assert ((counts - 5000).square() / 5000).sum() < 50  # chi squared with 19 degrees; P = 1e-4
    assert abs(torch.corrcoef(found[:, :2].T)[0, 1]) < 0.3
    assert abs(torch.corrcoef(torch.stack([found[:-1].flatten(), found[1:].flatten()]))[0, 1]) < 0.02


def test_normal_signs_and_coarse_numbers_have_their_distributions():
    streams = RandomStreams.for_examples(2, torch.arange(1000))
    normal = streams.normal(0, (50,))
    assert abs(normal.mean()) < 0.02
    assert abs(normal.std() - 1) < 0.02
    assert abs((normal.abs() > 1.959964).float().mean() - 0.05) < 0.005
    assert {*streams.signs(1, (3,)).flatten().tolist()} == {-1.0, 1.0}
    coarse = streams.coarse(2, (50,))
    assert abs(coarse.mean()) < 0.02
    assert abs(coarse.square().mean() - 1 / 3) < 0.01
    assert 0 < coarse.abs().min() < coarse.abs().max() < 1
    assert len(coarse.unique()) > 30_000


def test_several_counts_give_the_numbers_of_each():
    streams = RandomStreams.for_examples(2, torch.arange(5))
    found = streams.uniform(torch.tensor([4, 9]), (2, 3))
    assert torch.equal(found, torch.stack([streams.uniform(4, (2, 3)), streams.uniform(9, (2, 3))], dim=1))
