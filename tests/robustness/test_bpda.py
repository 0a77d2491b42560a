import copy

import pytest
import torch
from every_activation import ACTIVATIONS
from hidden_gradients import Faded, Steep
from torch import nn
from torch.nn import functional
from victims import classifier

import satae
from satae.model.activations import slope
from satae.robustness.bpda import surrogate_gradients

FLAT_AT_0 = {"relu", "relu6", "shrink"}
z = torch.linspace(-30, 30, 2001, dtype=torch.float64)


def gradient(act, at):
    at = at.clone().requires_grad_()
    return torch.autograd.grad(act(at).sum(), at)[0]


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("temperature", [1, 3, 100])
def test_the_forward_pass_is_exact(name, temperature):
    act = ACTIVATIONS[name]()
    before = act(z)
    with surrogate_gradients(act, temperature):
        assert torch.equal(act(z.clone().requires_grad_()), before)
        assert torch.equal(act(z), before)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_at_temperature_1_the_backward_pass_is_exact(name):
    act = ACTIVATIONS[name]()
    exact = gradient(act, z)
    with surrogate_gradients(act, 1):
        assert torch.equal(gradient(act, z), exact)


@pytest.mark.parametrize("name", [name for name in ACTIVATIONS if name not in FLAT_AT_0])
def test_the_backward_pass_uses_the_slope_at_z_over_t(name):
    act = ACTIVATIONS[name]()
    expected = slope(act, z / 10)
    with surrogate_gradients(act, 10):
        torch.testing.assert_close(gradient(act, z), expected)


@pytest.mark.parametrize("name", sorted(FLAT_AT_0))
def test_the_backward_pass_of_one_sided_activations_uses_the_mean_slope(name):
    act = ACTIVATIONS[name]()
    around = torch.linspace(-9, 9, 18001, dtype=torch.float64)
    at = torch.tensor([-12.0, -8.0, -1.0, 0.2, 5.0, 14.0], dtype=torch.float64)
    expected = torch.stack([gradient(act, one + around).mean() for one in at])
    with surrogate_gradients(act, 10):
        torch.testing.assert_close(gradient(act, at), expected, rtol=0, atol=1e-3)


@pytest.mark.parametrize("name", ["satlin", "sigmoid", "tanh", "relu", "shrink", "relu6", "hardsigmoid"])
def test_a_saturated_unit_passes_a_surrogate_gradient(name):
    act, deep = ACTIVATIONS[name](), torch.tensor([{"shrink": 0.3}.get(name, -40.0)])
    assert gradient(act, deep) < 1e-15
    with surrogate_gradients(act, 100):
        assert gradient(act, deep) > 1e-3


def test_an_inplace_activation_is_softened_too():
    net = nn.Sequential(nn.Linear(3, 3), nn.ReLU(inplace=True), nn.Linear(3, 2))
    x = torch.randn(5, 3, requires_grad=True)
    before = net(x)
    with surrogate_gradients(net, 10):
        assert torch.equal(net(x), before)
        net(x).sum().backward()


def test_surrogate_gradients_leave_the_module_as_it_was():
    net = copy.deepcopy(classifier())
    with pytest.raises(KeyError), surrogate_gradients(net, 3), surrogate_gradients(net, 2):
        raise KeyError
    assert not [part for part in net.modules() if "forward" in vars(part)]


def test_the_code_layer_of_an_autoencoder_is_softened_too():
    model = satae.mlp((4,), nn.ReLU, widths=[3])
    with torch.no_grad():
        model.layers()[0][1].affine.bias.fill_(-5.0)
    x = torch.randn(2, 4)
    assert not gradient(model.encode, x).any()
    with surrogate_gradients(model, 10):
        assert gradient(model.encode, x).any()


def test_surrogate_gradients_undo_a_steep_activation():
    act = Steep(nn.Sigmoid(), 20.0)
    with surrogate_gradients(act, 20.0):
        torch.testing.assert_close(act(z), torch.sigmoid(20.0 * z))
        torch.testing.assert_close(gradient(act, z), 20.0 * slope(nn.Sigmoid(), z))


def test_leaky_activations_and_those_with_weights_can_be_softened():
    for act in (nn.LeakyReLU(), nn.PReLU(), nn.Hardshrink(), nn.Threshold(0.1, 0.0)):
        with surrogate_gradients(act, 10):
            gradient(act, torch.randn(5, 3))


@pytest.mark.parametrize("temperature", [0.5, float("nan")])
def test_a_temperature_below_1_is_refused(temperature):
    with pytest.raises(ValueError, match="must be 1 or more"), surrogate_gradients(nn.ReLU(), temperature):
        pass


def test_surrogate_gradients_soften_a_faded_activation():
    act, deep = Faded(nn.Sigmoid(), 20.0), torch.tensor([8.0])
    assert torch.equal(act(deep), torch.sigmoid(deep))
    assert gradient(act, deep) == 0
    with surrogate_gradients(act, 100):
        torch.testing.assert_close(gradient(act, deep), slope(nn.Sigmoid(), 20 * deep / 100))


class Functional(nn.Module):
    """A layer whose activation is no module."""

    def __init__(self, f):
        super().__init__()
        self.f = f

    def forward(self, x):
        return self.f(x)


@pytest.mark.parametrize(
    ("f", "act"),
    [
        (torch.tanh, nn.Tanh()),
        (torch.Tensor.sigmoid, nn.Sigmoid()),
        (functional.relu, nn.ReLU()),
        (lambda z: functional.relu(z + 0, inplace=True), nn.ReLU()),
        (lambda z: z.clamp(-1, 1), nn.Hardtanh()),
        (lambda z: functional.softshrink(z, lambd=0.7), nn.Softshrink(0.7)),
    ],
)
def test_functional_activations_are_softened_like_modules(f, act):
    layer = Functional(f)
    at = z + 0.007  # on no kink, where the functions of torch differ
    for temperature in (3, 30):
        with surrogate_gradients(act, temperature):
            expected = gradient(act, at)
        with surrogate_gradients(layer, temperature):
            assert torch.equal(layer(at.clone().requires_grad_()), act(at))
            torch.testing.assert_close(gradient(layer, at), expected)
    assert torch.equal(gradient(layer, at), gradient(act, at))  # outside nothing is changed


def test_a_module_is_not_softened_twice():
    two = nn.Sequential(nn.Tanh(), Functional(torch.tanh))
    with surrogate_gradients(two, 10):
        softened = gradient(two, z)
    first, second = 1 - (z / 10).tanh().square(), 1 - (z.tanh() / 10).tanh().square()
    torch.testing.assert_close(softened, first * second)


@pytest.mark.parametrize("f", [torch.round, torch.floor, torch.Tensor.sign])
def test_rounding_passes_its_gradient_back(f):
    layer = Functional(f)
    assert not gradient(layer, z).any()
    with surrogate_gradients(layer, 3):
        torch.testing.assert_close(gradient(layer, z), torch.ones_like(z))
        torch.testing.assert_close(layer(z.clone().requires_grad_()), f(z))
