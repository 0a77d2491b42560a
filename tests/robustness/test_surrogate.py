import copy

import pytest
import torch
from torch import nn
from victims import classifier

import satae
from satae.model.activations import ACTIVATIONS
from satae.model.flat import slope
from satae.robustness.surrogate import faded, steeper, surrogate_gradients

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
def test_the_backward_pass_takes_the_slope_nearer_to_0(name):
    act = ACTIVATIONS[name]()
    expected = slope(act, z / 10)
    with surrogate_gradients(act, 10):
        torch.testing.assert_close(gradient(act, z), expected)


@pytest.mark.parametrize("name", sorted(FLAT_AT_0))
def test_where_that_is_flat_it_takes_the_mean_slope_around(name):
    act = ACTIVATIONS[name]()
    around = torch.linspace(-9, 9, 18001, dtype=torch.float64)
    at = torch.tensor([-12.0, -8.0, -1.0, 0.2, 5.0, 14.0], dtype=torch.float64)
    expected = torch.stack([gradient(act, one + around).mean() for one in at])
    with surrogate_gradients(act, 10):
        torch.testing.assert_close(gradient(act, at), expected, rtol=0, atol=1e-3)


@pytest.mark.parametrize("name", ["satlin", "sigmoid", "tanh", "relu", "shrink", "relu6", "hardsigmoid"])
def test_a_saturated_unit_lets_a_gradient_through(name):
    act, deep = ACTIVATIONS[name](), torch.tensor([{"shrink": 0.3}.get(name, -40.0)])
    assert gradient(act, deep) < 1e-15
    with surrogate_gradients(act, 100):
        assert gradient(act, deep) > 1e-3


def test_an_activation_that_writes_over_its_input_is_no_exception():
    net = nn.Sequential(nn.Linear(3, 3), nn.ReLU(inplace=True), nn.Linear(3, 2))
    x = torch.randn(5, 3, requires_grad=True)
    before = net(x)
    with surrogate_gradients(net, 10):
        assert torch.equal(net(x), before)
        net(x).sum().backward()


def test_nothing_is_left_behind():
    net = copy.deepcopy(classifier())
    with pytest.raises(KeyError), steeper(net, 3), surrogate_gradients(net, 3):
        raise KeyError
    assert not [part for part in net.modules() if "forward" in vars(part)]


def test_the_code_of_an_autoencoder_is_softened_too():
    model = satae.mlp((4,), nn.ReLU, widths=[3])
    with torch.no_grad():
        model.layers()[0][1].affine.bias.fill_(-5.0)
    x = torch.randn(2, 4)
    assert not gradient(model.encode, x).any()
    with surrogate_gradients(model, 10):
        assert gradient(model.encode, x).any()


def test_a_steeper_activation_is_f_of_s_z_and_a_surrogate_undoes_it():
    act, s = nn.Sigmoid(), 20.0
    with steeper(act, s):
        torch.testing.assert_close(act(z), torch.sigmoid(s * z))
        with surrogate_gradients(act, s):
            torch.testing.assert_close(act(z.clone().requires_grad_()).detach(), torch.sigmoid(s * z))
            torch.testing.assert_close(gradient(act, z), s * slope(nn.Sigmoid(), z))
        torch.testing.assert_close(act(z), torch.sigmoid(s * z))
    torch.testing.assert_close(act(z), torch.sigmoid(z))


def test_leaky_activations_and_those_with_weights_can_be_softened():
    for act in (nn.LeakyReLU(), nn.PReLU(), nn.Hardshrink(), nn.Threshold(0.1, 0.0)):
        with surrogate_gradients(act, 10):
            gradient(act, torch.randn(5, 3))


@pytest.mark.parametrize("temperature", [0.5, float("nan")])
def test_a_temperature_below_1_is_refused(temperature):
    with pytest.raises(ValueError, match="must be 1 or more"), surrogate_gradients(nn.ReLU(), temperature):
        pass


def test_a_factor_of_0_is_refused():
    with pytest.raises(ValueError, match="factor=0: must be positive"), steeper(nn.ReLU(), 0):
        pass


def test_a_module_without_activations_is_refused():
    with pytest.raises(ValueError, match="no activation module"), surrogate_gradients(nn.Linear(2, 2), 3):
        pass


@pytest.mark.parametrize("name", [name for name in ACTIVATIONS if name not in FLAT_AT_0])
def test_what_is_faded_keeps_its_values_and_has_the_slope_of_one_that_is_steeper(name):
    act = ACTIVATIONS[name]()
    before, exact, expected = act(z), gradient(act, z), slope(act, 20 * z)
    with faded(act, 20):
        assert torch.equal(act(z.clone().requires_grad_()), before)
        torch.testing.assert_close(gradient(act, z), expected)
    assert torch.equal(gradient(act, z), exact)


def test_surrogates_soften_what_is_faded():
    act, deep = nn.Sigmoid(), torch.tensor([8.0])
    expected = slope(act, 20 * deep / 100)
    with faded(act, 20):
        assert gradient(act, deep) == 0
        with surrogate_gradients(act, 100):
            torch.testing.assert_close(gradient(act, deep), expected)


def test_only_a_positive_factor_fades():
    with pytest.raises(ValueError, match="factor=0: must be positive"), faded(nn.Sigmoid(), 0):
        pass
