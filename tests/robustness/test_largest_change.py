import pytest
import torch
from test_norm_ball import assert_inside
from torch import nn
from victims import streams

import satae
from satae.model.activations import slope
from satae.robustness import largest_change as sensitivity
from satae.robustness.largest_change import jacobian_norm, largest_change
from satae.robustness.norm_ball import NORMS, NormBall


def by_hand(f, x):
    """Of each input by itself, with torch's own Jacobian."""
    return torch.stack([torch.autograd.functional.jacobian(f, one[None]).norm() for one in x])


@pytest.mark.parametrize("act", [nn.Tanh, nn.Sigmoid, nn.ReLU])
@pytest.mark.parametrize("make", [satae.mlp, satae.conv])
def test_jacobian_norm_of_an_autoencoder_equals_autograd(make, act):
    model, x = make((1, 8, 8), act), torch.rand(3, 1, 8, 8)
    for f in (model, model.encode):
        torch.testing.assert_close(jacobian_norm(f, x), by_hand(f, x), rtol=1e-5, atol=1e-5)


def test_jacobian_norm_does_not_depend_on_the_rows_at_once(monkeypatch):
    model, x = satae.mlp((6,), nn.Tanh, widths=[4]), torch.randn(5, 6)
    whole = jacobian_norm(model, x)
    monkeypatch.setattr(sensitivity, "JACOBIAN_NUMBERS", 1)
    torch.testing.assert_close(jacobian_norm(model, x), whole)


@pytest.mark.parametrize("norm", NORMS)
def test_the_largest_change_of_a_linear_function_is_found(norm):
    linear = nn.Linear(6, 1)
    x, ball = torch.zeros(2, 6), NormBall(norm, 0.3, -1.0, 1.0)
    found = largest_change(linear, x, ball, streams(2), steps=50, restarts=3)
    steepest = torch.linalg.vector_norm(linear.weight, ord={"linf": 1, "l2": 2}[norm])
    torch.testing.assert_close(found.change, 0.3 * steepest.expand(2), rtol=1e-3, atol=0)
    torch.testing.assert_close(found.slope, steepest.expand(2), rtol=1e-3, atol=0)
    torch.testing.assert_close((linear(found.x) - linear(x)).abs()[:, 0], found.change)


def test_more_starts_find_no_less_and_stay_in_the_ball():
    model, x = satae.mlp((1, 4, 4), nn.Tanh, widths=[8, 3]), torch.rand(6, 1, 4, 4)
    ball = NormBall("linf", 0.2)
    once, often = (largest_change(model.encode, x, ball, streams(6), steps=5, restarts=count) for count in (1, 4))
    assert (often.change >= once.change).all()
    assert (often.change > once.change).any()
    assert_inside(often.x, x, ball)


def test_the_largest_slope_may_be_at_another_point_than_the_largest_change():
    x, ball = torch.zeros(4, 1), NormBall("linf", 1.0, -1.0, 1.0)
    found = largest_change(lambda x: (5 * x).tanh(), x, ball, streams(4), steps=50, restarts=3)
    assert (found.slope > 1.2 * found.change / 1.0).all()
    assert (found.slope <= 5).all()


def test_a_constant_function_does_not_move():
    found = largest_change(lambda x: 0 * x, torch.rand(3, 2), NormBall("l2", 0.1), streams(3), steps=2, restarts=3)
    assert not found.change.any()
    assert not found.slope.any()


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda: satae.mlp((1, 4, 4), nn.Tanh, widths=[9, 5]), (1, 4, 4)),
        (lambda: satae.mlp((3,), nn.ReLU, widths=[7], batch_norm=True), (3,)),
        (lambda: satae.conv((1, 8, 8), nn.Sigmoid, channels=[3], code=6), (1, 8, 8)),
    ],
)
def test_jacobian_norm_equals_autograd(make, shape):
    model = make().double().eval()
    model.standardize_by(torch.rand(shape).double(), torch.tensor(0.3))
    x = torch.rand(6, *shape, dtype=torch.float64)
    with torch.no_grad():  # as in an evaluation
        norms = jacobian_norm(model.encode, x)
    for each, norm in zip(x, norms, strict=True):
        full = torch.autograd.functional.jacobian(lambda one: model.encode(one[None])[0], each)
        assert norm.item() == pytest.approx(torch.linalg.vector_norm(full).item(), rel=1e-5)
    assert not norms.requires_grad


@pytest.mark.parametrize("act", [nn.Tanh, nn.Sigmoid, nn.Hardtanh, lambda: nn.Softshrink(0.2)])
def test_jacobian_norm_of_one_layer_equals_the_contractive_penalty(act):
    model = satae.mlp((2, 3), act, widths=[8]).eval()
    model.standardize_by(torch.rand(2, 3), torch.tensor([[0.5], [2.0]]))
    x = torch.rand(20, 2, 3)
    layer = model.layers()[0][1]
    weight = layer.affine.weight.detach() / model.std.expand(2, 3).flatten()  # acts on x, not on (x - mean) / std
    with torch.no_grad():
        f_slope = slope(layer.act, layer.pre_activation(model.standardize(x)))
        by_hand = (f_slope.square() * weight.square().sum(dim=1)).sum(dim=1).sqrt()
    torch.testing.assert_close(jacobian_norm(model.encode, x).float(), by_hand, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize(
    "f",
    [
        lambda x: (1000 * x).exp(),
        lambda x: x * torch.nan,
        lambda x: x + (0 * x).sqrt(),  # its gradient alone is nan: the search would stay where it starts
        lambda x: torch.where(x > 0.5, torch.inf, x),
    ],
    ids=["overflow", "nan", "nan gradient", "infinite in places"],
)
def test_a_change_that_cannot_be_measured_is_nan_and_leaves_other_inputs_alone(f, norm):
    x, ball = torch.tensor([[0.5, 0.5], [0.1, 0.1]]), NormBall(norm, 0.2)
    found = largest_change(lambda y: torch.cat([f(y[:1]), 3 * y[1:]]), x, ball, streams(2), steps=3, restarts=2)
    assert found.change.isnan().tolist() == found.slope.isnan().tolist() == [True, False]
    torch.testing.assert_close(found.slope[1], torch.tensor(3.0))
