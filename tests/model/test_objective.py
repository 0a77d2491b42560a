"""total = reconstruction + alpha * saturation, and the equivalences of Goroshin & LeCun (2013)."""

import copy

import numpy
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import satae
from satae.data.dataset import Dataset, Split
from satae.model.autoencoder import Trace


def relu_objective(reduction="mean"):
    return satae.Objective(satae.Complement(nn.ReLU()), reduction)


@pytest.mark.parametrize("alpha", [0.0, 0.1, 2.0])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_the_losses_equal_a_calculation_by_hand(reduction, alpha):
    zs = {"a": torch.tensor([[1.0, -2.0], [3.0, 0.5]]), "b": torch.tensor([[-1.0, 2.0, 4.0], [0.0, -1.0, 1.0]])}
    fs = {name: z.relu() for name, z in zs.items()}
    target, y = torch.tensor([[1.0, 2.0], [3.0, 5.0]]), torch.tensor([[2.0, 2.0], [-1.0, 4.5]])
    losses = relu_objective(reduction).losses(Trace(zs, fs, y), target, alpha)
    # errors: (1, 0) and (-4, -.5); sums of relu(z): 1 and 3.5, 6 and 1
    squares, first, second = [1.0, 16.25], [1.0, 3.5], [6.0, 1.0]
    if reduction == "sum":
        reconstruction, saturation = sum(squares) / 2 / 2, (sum(first) + sum(second)) / 2
    else:
        reconstruction, saturation = sum(squares) / 2 / 4, sum(first) / 4 + sum(second) / 6
    assert losses.reconstruction.item() == pytest.approx(reconstruction)
    assert losses.saturation.item() == pytest.approx(saturation)
    assert losses.total.item() == pytest.approx(reconstruction + alpha * saturation)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_the_losses_of_a_convolutional_model_equal_numpy(reduction):
    model = satae.conv((1, 6, 6), nn.ReLU, channels=[3], code=4)
    x, noisy = torch.rand(2, 5, 1, 6, 6)
    model.standardize_by(x.mean(0), torch.full((1, 1, 1), 0.3))
    losses, trace = relu_objective(reduction)(model, x, noisy, 0.7), model.trace(noisy)
    errors = (model.unstandardize(trace.reconstruction) - x).detach().numpy().astype(numpy.float64) / 0.3
    positive = [numpy.maximum(z.detach().numpy().astype(numpy.float64), 0) for z in trace.zs.values()]
    if reduction == "mean":
        reconstruction, saturation = (errors**2).mean() / 2, sum(part.mean() for part in positive)
    else:
        reconstruction, saturation = (errors**2).sum() / 5 / 2, sum(part.sum() / 5 for part in positive)
    found = [value.item() for value in losses]
    assert found == pytest.approx([reconstruction + 0.7 * saturation, reconstruction, saturation], rel=1e-5)


def test_the_sum_counts_units_and_elements_where_the_mean_averages_them():
    model, x = satae.mlp((6,), nn.ReLU, widths=[4]), torch.randn(5, 6)
    mean, total = relu_objective()(model, x, x, 0.1), relu_objective("sum")(model, x, x, 0.1)
    torch.testing.assert_close(total.reconstruction, 6 * mean.reconstruction)
    torch.testing.assert_close(total.saturation, 4 * mean.saturation)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_the_losses_do_not_depend_on_the_batch_size(reduction):
    model, x = satae.mlp((6,), nn.Tanh, widths=[4, 3]), torch.randn(5, 6)
    objective = satae.Objective(satae.Complement(nn.Tanh()), reduction)
    torch.testing.assert_close(objective(model, x.repeat(3, 1), x.repeat(3, 1), 0.5), objective(model, x, x, 0.5))


def test_the_clean_input_is_the_target_and_the_noisy_one_gives_z():
    model, x, noisy = satae.mlp((6,), nn.ReLU, widths=[4]), torch.randn(5, 6), torch.randn(5, 6)
    losses = relu_objective()(model, x, noisy, 0.1)
    torch.testing.assert_close(losses.reconstruction, (model(noisy) - x).square().mean() / 2)
    torch.testing.assert_close(losses.saturation, model.trace(noisy).code.mean())


def test_at_alpha_0_the_penalty_is_reported_and_trains_nothing():
    model, x = satae.mlp((6,), nn.ReLU, widths=[4]), torch.randn(5, 6)
    losses = relu_objective()(model, x, x, 0.0)
    assert losses.saturation > 0
    assert torch.equal(losses.total, losses.reconstruction)
    found = torch.autograd.grad(losses.total, list(model.parameters()))
    plain = torch.autograd.grad((model(x) - x).square().mean() / 2, list(model.parameters()))
    for ours, theirs in zip(found, plain, strict=True):
        assert torch.equal(ours, theirs)


def test_a_penalty_that_is_not_finite_trains_nothing_at_alpha_0():
    zs, x = {"a": torch.tensor([[float("inf")]])}, torch.ones(1, 1)
    losses = relu_objective().losses(Trace(zs, zs, 2 * x), x, 0.0)
    assert losses.total.item() == 0.5


def test_an_unknown_reduction_is_refused():
    model, x = satae.mlp((6,), nn.ReLU, widths=[4]), torch.randn(5, 6)
    with pytest.raises(ValueError, match="reduction"):
        relu_objective("max")(model, x, x, 0.1)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@given(brightness=st.floats(0.01, 300), offset=st.floats(-5, 5))
def test_alpha_means_the_same_whatever_the_brightness(reduction, brightness, offset):
    torch.manual_seed(0)
    x = torch.rand(40, 1, 6, 6)
    start, losses, gradients = satae.conv((1, 6, 6), nn.Tanh, channels=[3], code=4), [], []
    for scale, shift in ((1.0, 0.0), (brightness, brightness * offset)):
        split, span = Split(scale * x + shift), (shift, scale + shift)
        data, model = Dataset("test", split, split, split, span), copy.deepcopy(start)
        model.standardize_by(*data.statistics)
        noisy = satae.corruption("gaussian", level=0.3 * scale, span=span)(split.x, torch.Generator().manual_seed(1))
        loss = satae.Objective(satae.Complement(nn.Tanh()), reduction)(model, split.x, noisy, 0.1)
        losses.append(loss)
        gradients.append(torch.autograd.grad(loss.total, list(model.parameters())))
    torch.testing.assert_close(losses[1], losses[0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-3, atol=1e-4)


# E3: the sparse autoencoders that it contains


def sparse_autoencoder(act: nn.Module, model: satae.DenoisingAutoencoder) -> nn.ModuleList:
    """A plain encoder and decoder with the weights of a model of one hidden layer."""
    encoder, decoder = nn.Sequential(nn.Linear(6, 4), act), nn.Linear(4, 6)
    encoder[0].load_state_dict(model.encoder.layer1.affine.state_dict())
    decoder.load_state_dict(model.decoder.layer1.state_dict())
    return nn.ModuleList([encoder, decoder])


@pytest.mark.parametrize("reading", ["output", "input"])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize(
    ("act", "l1"),
    [
        (nn.ReLU(), lambda code: code),  # non-negative L1: the code is
        (nn.Softshrink(0.5), torch.abs),
        (nn.Softshrink(0.1), torch.abs),
    ],
)
def test_relu_and_shrink_equal_an_l1_penalty_on_the_code(act, l1, reduction, reading):
    model, alpha = satae.mlp((6,), lambda: act, widths=[4]), 0.3
    x, noisy = 2 * torch.randn(2, 9, 6)
    losses = satae.Objective(satae.Complement(act, reading), reduction)(model, x, noisy, alpha)
    losses.total.backward()
    encoder, decoder = plain = sparse_autoencoder(act, model)
    code = encoder(noisy)
    over = code.numel() if reduction == "mean" else len(x)
    squares = (decoder(code) - x).square().sum() / (x.numel() if reduction == "mean" else len(x))
    sparse = squares / 2 + alpha * l1(code).sum() / over
    sparse.backward()
    torch.testing.assert_close(losses.total, sparse, rtol=1e-6, atol=1e-6)
    for ours, theirs in zip(model.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-6, atol=1e-6)
    assert l1(code).sum() > 0


# E5: a scaled identity escapes the penalty of satlin on binary data


def corners() -> torch.Tensor:
    return torch.cartesian_prod(*[torch.tensor([-1.0, 1.0])] * 5)


def identity(scale: float, low: float, high: float, *, tied: bool) -> satae.DenoisingAutoencoder:
    model = satae.mlp((5,), lambda: nn.Hardtanh(low, high), widths=[5], tied=tied)
    with torch.no_grad():
        for p in model.parameters():
            p.zero_()
        model.encoder.layer1.affine.weight.copy_(scale * torch.eye(5))
        if not tied:
            model.decoder.layer1.weight.copy_(torch.eye(5))
    return model


@pytest.mark.parametrize(
    ("scale", "limit", "tied"), [(3.0, 1.0, False), (1.0, 1.0, True), (3.0, 1 / 3, True), (1.0, 1.0, False)]
)
@pytest.mark.parametrize("reading", ["output", "input", "slope"])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_a_scaled_identity_has_exactly_no_loss_on_binary_data(scale, limit, tied, reading, reduction):
    model, x = identity(scale, -limit, limit, tied=tied), corners()
    losses = satae.Objective(satae.Complement(nn.Hardtanh(-limit, limit), reading), reduction)(model, x, x, 1.0)
    assert [value.item() for value in losses] == [0.0, 0.0, 0.0]


def test_a_smaller_scaled_identity_has_a_loss():
    model, x = identity(0.9, -1.0, 1.0, tied=False), corners()
    losses = satae.Objective(satae.Complement(nn.Hardtanh()))(model, x, x, 1.0)
    assert losses.saturation.item() == pytest.approx(0.1, rel=1e-5)
    assert losses.reconstruction.item() == pytest.approx(0.005, rel=1e-5)
