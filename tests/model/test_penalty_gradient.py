"""dL/dw = alpha * sum over samples and units of f_c'(z) * dz/dw, each factor written out."""

import pytest
import torch
from every_activation import ACTIVATIONS
from torch import nn

import satae

ALPHA = 0.37
ONE_SIXTH = torch.tensor(1 / 6).double()  # torch's slope of hardsigmoid has the precision of float32


def sign(z):
    return (z > 0).double() - (z < 0).double()


def sigmoid(z):
    return 1 / (1 + torch.exp(-z))


SLOPES = {  # (activation, reading) -> f_c'
    ("relu", "output"): lambda z: (z > 0).double(),
    ("shrink", "output"): lambda z: sign(z) * (z.abs() > 0.5),
    ("satlin", "output"): lambda z: -sign(z) * (z.abs() < 1),
    ("satlin", "input"): lambda z: -sign(z) * (z.abs() < 1),
    ("hardsigmoid", "output"): lambda z: -sign(z) * (z.abs() < 3) * ONE_SIXTH,
    ("sigmoid", "output"): lambda z: -sign(z) * sigmoid(z) * (1 - sigmoid(z)),
    ("sigmoid", "input"): lambda z: -sign(z) * (z.abs() < 2.887270950357620),
    ("sigmoid", "slope"): lambda z: sigmoid(z) * (1 - sigmoid(z)) * (1 - 2 * sigmoid(z)),
    ("tanh", "output"): lambda z: -sign(z) * (1 - torch.tanh(z) ** 2),
    ("elu", "output"): lambda z: torch.where(z > 0, 1.0, torch.exp(z)),
    ("silu", "input"): lambda z: (z > -4.08255935233718).double(),
}
CASES = list(SLOPES)


def close(found, expected):
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)


def penalty_gradients(net: nn.Module, x: torch.Tensor, reading: str, reduction: str) -> list[torch.Tensor]:
    with satae.saturating(net, reading, reduction=reduction) as saturation:
        net(x)
        loss = ALPHA * saturation.total()
    return list(torch.autograd.grad(loss, list(net.parameters())))


def scale(z: torch.Tensor, reduction: str) -> float:
    return ALPHA / (z.numel() if reduction == "mean" else len(z))


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize(("name", "reading"), CASES)
def test_the_penalty_gradient_of_a_linear_layer_equals_the_formula(name, reading, reduction):
    layer, x = nn.Linear(4, 5).double(), 3 * torch.randn(7, 4, dtype=torch.float64)
    weight, bias = layer.weight.detach(), layer.bias.detach()
    z = torch.stack([torch.stack([(weight[i] * x[n]).sum() + bias[i] for i in range(5)]) for n in range(7)])
    upstream = scale(z, reduction) * SLOPES[name, reading](z)
    by_weight = torch.zeros_like(weight)
    for n in range(7):
        for i in range(5):
            by_weight[i] += upstream[n, i] * x[n]  # dz_ni / dw_i = x_n
    found = penalty_gradients(nn.Sequential(layer, ACTIVATIONS[name]()), x, reading, reduction)
    close(found[0], by_weight)
    close(found[1], upstream.sum(dim=0))
    assert by_weight.abs().max() > 1e-4


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize(("name", "reading"), CASES)
def test_convolution(name, reading, reduction):
    layer = nn.Conv2d(2, 3, kernel_size=3, stride=2, padding=1).double()
    x = 3 * torch.randn(4, 2, 5, 6, dtype=torch.float64)
    weight, bias = layer.weight.detach(), layer.bias.detach()
    padded = torch.zeros(4, 2, 7, 8, dtype=torch.float64)
    padded[:, :, 1:6, 1:7] = x
    z = torch.empty(4, 3, 3, 3, dtype=torch.float64)
    for row in range(3):
        for column in range(3):
            window = padded[:, :, 2 * row : 2 * row + 3, 2 * column : 2 * column + 3]
            for unit in range(3):
                z[:, unit, row, column] = (window * weight[unit]).sum(dim=(1, 2, 3)) + bias[unit]
    upstream = scale(z, reduction) * SLOPES[name, reading](z)
    by_weight, by_bias = torch.zeros_like(weight), torch.zeros_like(bias)
    for row in range(3):
        for column in range(3):
            window = padded[:, :, 2 * row : 2 * row + 3, 2 * column : 2 * column + 3]
            for unit in range(3):
                at = upstream[:, unit, row, column]
                by_weight[unit] += (at[:, None, None, None] * window).sum(dim=0)
                by_bias[unit] += at.sum()
    found = penalty_gradients(nn.Sequential(layer, ACTIVATIONS[name]()), x, reading, reduction)
    close(found[0], by_weight)
    close(found[1], by_bias)
    assert by_weight.abs().max() > 1e-4


def test_a_weight_is_reached_by_the_penalty_of_later_layers_too():
    first, second = nn.Linear(3, 4).double(), nn.Linear(4, 5).double()
    x = torch.randn(6, 3, dtype=torch.float64)
    z1 = x @ first.weight.detach().t() + first.bias.detach()
    z2 = torch.tanh(z1) @ second.weight.detach().t() + second.bias.detach()
    own = ALPHA / z1.numel() * SLOPES["tanh", "output"](z1)
    later = (ALPHA / z2.numel() * SLOPES["sigmoid", "output"](z2)) @ second.weight.detach() * (1 - torch.tanh(z1) ** 2)
    found = penalty_gradients(nn.Sequential(first, nn.Tanh(), second, nn.Sigmoid()), x, "output", "mean")
    close(found[0], (own + later).t() @ x)
    assert later.abs().max() > 1e-4


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_an_autoencoders_gradient_is_the_reconstructions_plus_alpha_times_the_formula(reduction):
    model = satae.mlp((4,), nn.Tanh, widths=[5]).double()
    x, noisy = torch.randn(2, 7, 4, dtype=torch.float64)
    objective = satae.Objective(satae.Complement(nn.Tanh()), reduction)
    weight = model.encoder.layer1.affine.weight
    with_penalty, without = (
        torch.autograd.grad(objective(model, x, noisy, alpha).total, weight)[0] for alpha in (ALPHA, 0.0)
    )
    z = noisy @ weight.detach().t() + model.encoder.layer1.affine.bias.detach()
    close(with_penalty - without, (scale(z, reduction) * SLOPES["tanh", "output"](z)).t() @ noisy)


@pytest.mark.parametrize("reading", ["output", "input"])
@pytest.mark.parametrize(
    ("name", "bias"), [("relu", -50.0), ("satlin", 50.0), ("satlin", -50.0), ("relu6", 50.0), ("hardsigmoid", -50.0)]
)
def test_the_weights_of_a_fully_saturated_unit_get_exactly_zero(name, bias, reading):
    layer, x = nn.Linear(4, 3), torch.randn(8, 4)
    with torch.no_grad():
        layer.bias[1] = bias
    by_weight, by_bias = penalty_gradients(nn.Sequential(layer, ACTIVATIONS[name]()), x, reading, "mean")
    assert (by_weight[1] == 0).all()
    assert by_bias[1] == 0
    assert by_weight[0].abs().max() > 0
    assert by_weight[2].abs().max() > 0


@pytest.mark.parametrize("name", ["sigmoid", "tanh", "softsign", "gelu", "silu", "elu"])
def test_the_weights_of_a_unit_in_a_smooth_tail_get_exactly_zero_by_input(name):
    layer, x = nn.Linear(4, 3), torch.randn(8, 4)
    with torch.no_grad():
        layer.bias[1] = -50.0
    by_weight, _ = penalty_gradients(nn.Sequential(layer, ACTIVATIONS[name]()), x, "input", "mean")
    assert (by_weight[1] == 0).all()
    assert by_weight[0].abs().max() > 0


@pytest.mark.parametrize("saturated", [True, False])
def test_a_convolution_channel_gets_exactly_zero_where_every_position_is_saturated(saturated):
    layer, x = nn.Conv2d(1, 2, 3), torch.randn(3, 1, 6, 6)
    with torch.no_grad():
        layer.bias[0] = -50.0 if saturated else 0.0
    by_weight, _ = penalty_gradients(nn.Sequential(layer, nn.ReLU()), x, "output", "sum")
    assert (by_weight[0] == 0).all() == saturated
    assert (by_weight[1] != 0).any()


# The loss of a deep autoencoder


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_the_objective_reaches_every_layer_of_a_deep_encoder(reduction):
    model = satae.mlp((4,), nn.Tanh, widths=[6, 5, 3]).double()
    x = 2 * torch.randn(7, 4, dtype=torch.float64)
    objective = satae.Objective(satae.Complement(nn.Tanh()), reduction)
    weights = [layer.affine.weight for _, layer in model.layers()]
    found = torch.autograd.grad(ALPHA * objective(model, x, x, ALPHA).saturation, weights)

    h, hs, zs = x, [x], []
    for _, layer in model.layers():
        zs.append((h @ layer.affine.weight.T + layer.affine.bias).detach())
        h = torch.tanh(zs[-1])
        hs.append(h)
    upstream = torch.zeros_like(hs[-1])
    for i in reversed(range(3)):
        own = scale(zs[i], reduction) * SLOPES["tanh", "output"](zs[i])
        at_z = own + upstream * (1 - torch.tanh(zs[i]) ** 2)
        close(found[i], at_z.T @ hs[i])
        upstream = at_z @ weights[i].detach()


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_the_gradient_of_the_whole_loss_is_that_of_finite_differences(reduction):
    model = satae.conv((1, 5, 5), nn.Tanh, channels=[2, 2], kernel=2, code=2).double()
    x = torch.rand(3, 1, 5, 5, dtype=torch.float64)
    objective = satae.Objective(satae.Complement(nn.Tanh()), reduction)
    names, weights = zip(*model.named_parameters(), strict=True)

    def total(*values):
        with torch.no_grad():
            for weight, value in zip(weights, values, strict=True):
                weight.copy_(value)
        return objective(model, x, x + 0.1, ALPHA).total

    start = [weight.detach().clone() for weight in weights]
    analytic = torch.autograd.grad(total(*start), weights)
    for i, name in enumerate(names):
        if name.endswith("weight"):
            step = torch.randn_like(start[i]) * 1e-6
            ends = [total(*start[:i], start[i] + side * step, *start[i + 1 :]).item() for side in (1, -1)]
            assert (analytic[i] * step).sum().item() == pytest.approx((ends[0] - ends[1]) / 2, rel=1e-5), name
