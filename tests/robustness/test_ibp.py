import random

import pytest
import torch
from every_activation import ACTIVATIONS
from torch import nn
from victims import streams

import satae
from satae.model.activations import evaluate, slope
from satae.model.autoencoder import Encoder
from satae.robustness.ibp import BOUNDED_ACTIVATIONS, certified_bound, layers_of, operator_norm
from satae.robustness.largest_change import largest_change
from satae.robustness.norm_ball import NORMS, NormBall

CASES, INPUTS = 250, 4  # 1,000 inputs in all
ROUNDING = 1 + 1e-9  # of float64
MAKERS = {type(make()): make for make in ACTIVATIONS.values()}


@pytest.mark.parametrize("kind", BOUNDED_ACTIVATIONS, ids=lambda kind: kind.__name__)
def test_slope_bounds_agree_with_a_search_on_a_grid(kind):
    act = MAKERS.get(kind, kind)()
    z = torch.linspace(-12, 12, 2_400_001, dtype=torch.float64)
    slopes, curve = slope(act, z), BOUNDED_ACTIVATIONS[kind]
    steepest = curve.slope_bound(act)
    assert steepest * (1 - 2e-3) <= slopes.abs().max() <= steepest * (1 + 1e-7)
    if curve.minimum is None:
        assert slopes.min() >= 0
    else:
        assert abs(z[evaluate(act, z).argmin()] - curve.minimum) < 1e-3
        assert (slopes[z < curve.minimum - 1e-3] <= 0).all()
        assert (slopes[z > curve.minimum + 1e-3] >= 0).all()


def test_every_activation_of_the_command_line_has_a_slope_bound():
    assert {*MAKERS} <= {*BOUNDED_ACTIVATIONS}


def matrix(part, shape):
    """Of a linear map: (outputs, inputs)."""
    columns = torch.eye(shape.numel(), dtype=torch.float64).view(-1, *shape)
    offset = part(torch.zeros(1, *shape, dtype=torch.float64))
    return (part(columns) - offset).flatten(1).T


CONVOLUTIONS = [
    (nn.Conv2d, (2, 3, 3, 2, 1), (2, 8, 8)),
    (nn.Conv2d, (2, 3, 3, 1, 1), (2, 8, 8)),
    (nn.Conv2d, (1, 4, 5, 2, 2), (1, 9, 7)),
    (nn.Conv2d, (1, 4, 2, 2, 0), (1, 6, 6)),
    (nn.Conv2d, (2, 2, 4, 3, 1), (2, 10, 11)),
    (nn.ConvTranspose2d, (3, 2, 3, 2, 1, 1), (3, 5, 5)),
    (nn.ConvTranspose2d, (3, 2, 3, 1, 1), (3, 6, 6)),
    (nn.ConvTranspose2d, (2, 1, 4, 3, 1, (0, 1)), (2, 4, 5)),
]


@pytest.mark.parametrize(("kind", "settled", "shape"), CONVOLUTIONS)
def test_the_spectral_norm_of_a_convolution_is_a_tight_upper_bound(kind, settled, shape):
    conv = kind(*settled).double()
    exact = matrix(conv, torch.Size(shape))
    example = torch.zeros(1, *shape, dtype=torch.float64)
    spectral = torch.linalg.matrix_norm(exact, 2).item()
    assert spectral <= operator_norm(conv, "l2", example) * ROUNDING <= 1.3 * spectral
    assert operator_norm(conv, "linf", example) == pytest.approx(exact.abs().sum(dim=1).max().item(), rel=1e-12)


def test_the_norm_of_a_fully_connected_layer_is_exact():
    linear = nn.Linear(7, 5).double()
    assert operator_norm(linear, "l2", torch.zeros(1, 7)) == pytest.approx(
        torch.linalg.svdvals(linear.weight)[0].item()
    )
    assert operator_norm(linear, "linf", torch.zeros(1, 7)) == pytest.approx(
        linear.weight.abs().sum(dim=1).max().item()
    )


def random_case(number):
    """A network with inputs and a ball, each drawn anew."""
    draw = random.Random(number)
    torch.manual_seed(number)
    act = ACTIVATIONS[draw.choice([*ACTIVATIONS])]
    batch_norm = draw.random() < 0.3
    if draw.random() < 0.5:
        shape = draw.choice([(5,), (1, 3, 3)])
        widths = draw.choice([[4], [6, 3], [5, 4, 3]])
        model = satae.mlp(shape, act, widths=widths, tied=draw.random() < 0.5, batch_norm=batch_norm)
    else:
        shape = draw.choice([(1, 6, 6), (2, 5, 7)])
        kernel, stride = draw.choice([(3, 2), (3, 1), (2, 2)])
        model = satae.conv(
            shape, act, channels=draw.choice([[2], [2, 3]]), kernel=kernel, stride=stride, code=3, batch_norm=batch_norm
        )
    scale = draw.choice([1.0, 3.0])
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        if tensor.is_floating_point():
            tensor.data = scale * torch.randn_like(tensor) if "var" not in name else tensor.data.uniform_(0.5, 2)
    model.standardize_by(torch.randn(shape), 0.2 + torch.rand(shape) if draw.random() < 0.5 else torch.tensor(0.3))
    part = draw.choice(["encoder", "whole", "classifier"])
    if part == "classifier":
        model = nn.Sequential(model, nn.Flatten(), nn.Linear(torch.Size(shape).numel(), 4), act(), nn.Linear(4, 3))
    model = (Encoder(model) if part == "encoder" else model).double().eval()
    ball = NormBall(draw.choice(NORMS), draw.choice([0.01, 0.1, 0.5]), -1.0, 1.0)
    return model, torch.rand(INPUTS, *shape, dtype=torch.float64) * 2 - 1, ball


def test_an_attack_never_exceeds_the_certified_bound():
    tight = 0
    for number in range(CASES):
        model, x, ball = random_case(number)
        bound = certified_bound(model, x, ball)
        found = largest_change(model, x, ball, streams(INPUTS), steps=3, restarts=1)
        assert (found.change <= bound.change * ROUNDING + 1e-12).all(), (number, ball, found, bound)
        assert (found.slope * ball.epsilon <= bound.by_norms * ROUNDING + 1e-12).all(), (number, ball, found, bound)
        tight += (found.change > 0.5 * bound.change).any().item()
    assert tight > CASES / 20  # or a bound that says nothing would do


def test_intervals_are_tighter_for_saturated_units_in_small_balls_and_norms_elsewhere():
    model = satae.mlp((4,), nn.Hardtanh, widths=[3]).double().eval()
    x = torch.zeros(2, 4, dtype=torch.float64)
    with torch.no_grad():
        model.layers()[0][1].affine.bias.copy_(torch.tensor([50.0, -50.0, 50.0]))
    bound = certified_bound(model, x, NormBall("linf", 0.1, -1.0, 1.0))
    assert bound.change.tolist() == [0.0, 0.0]
    assert bound.by_norms > 0
    deep = nn.Sequential(*[nn.Linear(4, 4) for _ in range(6)]).double()
    bound = certified_bound(deep, x, NormBall("l2", 0.1, -1.0, 1.0))
    assert (bound.by_intervals > bound.by_norms).all()
    assert (bound.change == bound.by_norms).all()


@pytest.mark.parametrize("norm", NORMS)
def test_intervals_are_exact_for_one_linear_layer(norm):
    linear = nn.Linear(6, 1).double()
    x, ball = torch.zeros(1, 6, dtype=torch.float64), NormBall(norm, 0.3, -1.0, 1.0)
    exact = 0.3 * torch.linalg.vector_norm(linear.weight, ord={"linf": 1, "l2": 2}[norm])
    assert certified_bound(linear, x, ball).by_intervals.item() == pytest.approx(exact.item())


@pytest.mark.parametrize("kind", BOUNDED_ACTIVATIONS, ids=lambda kind: kind.__name__)
def test_intervals_are_exact_for_one_activation(kind):
    act = MAKERS.get(kind, kind)().double()
    x = torch.linspace(-6, 6, 49, dtype=torch.float64)[:, None]
    for epsilon in (0.1, 1.0, 3.5):
        around = x + torch.linspace(-epsilon, epsilon, 4001, dtype=torch.float64)
        exact = (evaluate(act, around) - evaluate(act, x)).abs().amax(dim=1)
        found = certified_bound(act, x, NormBall("linf", epsilon, -99.0, 99.0)).by_intervals
        assert (found >= exact).all()
        torch.testing.assert_close(found, exact, rtol=0, atol=1e-5)


@pytest.mark.parametrize("norm", NORMS)
def test_a_model_in_float32_has_the_same_bounds(norm):
    model = satae.conv((1, 8, 8), nn.SiLU, channels=[3], code=4, batch_norm=True).eval()
    x, ball = torch.rand(3, 1, 8, 8), NormBall(norm, 0.1)
    single, double = certified_bound(model, x, ball), certified_bound(model.double(), x.double(), ball)
    torch.testing.assert_close(single.change, double.change, rtol=1e-5, atol=0)
    assert single.by_norms == pytest.approx(double.by_norms, rel=1e-5)


def test_an_unknown_layer_is_refused_by_its_name():
    with pytest.raises(ValueError, match="no bound is known for MaxPool2d; there are bounds for"):
        list(layers_of(nn.Sequential(nn.MaxPool2d(2))))


def test_a_convolution_in_groups_is_refused():
    with pytest.raises(ValueError, match=r"no bound is known for Conv2d.*groups"):
        operator_norm(nn.Conv2d(2, 2, 3, groups=2), "l2", torch.zeros(1, 2, 5, 5))


def test_batch_norm_in_training_mode_is_refused():
    with pytest.raises(ValueError, match=r"call eval\(\)"):
        certified_bound(satae.mlp((3,), nn.ReLU, widths=[2], batch_norm=True), torch.zeros(2, 3), NormBall("l2", 0.1))
