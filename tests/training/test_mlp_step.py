"""The gradient written out is that of automatic differentiation."""

import functools

import pytest
import torch
from torch import nn

import satae
from satae.model import products
from satae.model.activations import PROPERTIES, satlin, shrink
from satae.model.autoencoder import use_library
from satae.training.gradients import batch_losses, by_autograd, choose_gradient
from satae.training.mlp_step import MlpStep, applies
from satae.training.torch_settings import PRECISIONS, Precision

CPU = torch.device("cpu")
FP32 = Precision()
ACTS = {
    "relu": nn.ReLU,
    "shrink": functools.partial(shrink, threshold=0.1),
    "satlin": functools.partial(satlin, low=-0.4, high=0.3),
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
}


def built(act, widths=(7, 5), **options):
    """A model that has something to reconstruct, and its objective."""
    torch.manual_seed(1)
    model = satae.mlp((1, 3, 4), act, widths=widths, **options)
    model.standardize_by(torch.rand(1, 3, 4), torch.full((1, 1, 1), 0.4))
    return model, satae.Objective(satae.Complement(act()))


def examples():
    x = torch.rand(9, 1, 3, 4, generator=torch.Generator().manual_seed(2))
    return x, x + 0.3 * torch.randn(x.shape, generator=torch.Generator().manual_seed(3))


def both(model, objective, precision=FP32, alpha=0.3):
    """Losses and gradients: written out, and by automatic differentiation."""
    found = []
    for way in (MlpStep(model, objective, precision), by_autograd(batch_losses(objective, precision, CPU))):
        losses = way(model, *examples(), alpha)
        found.append((losses, {name: weights.grad.clone() for name, weights in model.named_parameters()}))
    return found


def test_every_activation_with_a_derivative_is_tried():
    assert {type(make()) for make in ACTS.values()} == {kind for kind, facts in PROPERTIES.items() if facts.derivative}


@pytest.mark.parametrize("alpha", [0.0, 0.3])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("widths", [(7,), (7, 5), (8, 6, 2)])
@pytest.mark.parametrize("name", ACTS)
def test_losses_and_gradients_equal_those_of_autograd(name, widths, reduction, alpha):
    model, objective = built(ACTS[name], widths)
    assert applies(model, objective)
    objective = objective._replace(reduction=reduction)
    (losses, gradients), (expected, expected_gradients) = both(model, objective, alpha=alpha)
    torch.testing.assert_close(losses, expected, rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(gradients, expected_gradients, rtol=1e-4, atol=1e-6)
    assert alpha or all(torch.equal(gradients[key], expected_gradients[key]) for key in gradients)
    assert losses.saturation > 0
    assert not any(value.requires_grad for value in losses)


@pytest.mark.skipif(not products.has_onednn(), reason="this torch has no oneDNN")
@pytest.mark.parametrize("name", ACTS)
def test_both_libraries_of_products_give_the_same_step_to_rounding(name):
    found = []
    for library in products.LIBRARIES:
        model, objective = built(ACTS[name], (8, 6, 2))
        use_library(model, library)
        found.append(both(model, objective)[0])
    torch.testing.assert_close(found[0][0], found[1][0], rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(found[0][1], found[1][1], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ACTS)
def test_the_penalty_alone_has_a_gradient_of_its_own(name):
    """Else a sign that is wrong could hide behind the reconstruction."""
    model, objective = built(ACTS[name])
    parts = []
    for way in (MlpStep(model, objective, Precision()), by_autograd(batch_losses(objective, Precision(), CPU))):
        found = []
        for alpha in (1e3, 0.0):
            way(model, *examples(), alpha)
            found.append(model.encoder.layer1.affine.weight.grad.clone())
        parts.append((found[0] - found[1]) / 1e3)
    assert parts[0].norm() > 1e-4
    torch.testing.assert_close(*parts, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ACTS)
@pytest.mark.parametrize(("precision", "slack"), [("medium", 0.02), ("bf16", 0.15)])
def test_bfloat16_products_are_as_near_as_those_of_autograd(precision, slack, name):
    """In bf16 an f(z) may be rounded to halfway between two levels, where the penalty has no gradient."""
    model, objective = built(ACTS[name])
    (losses, gradients), (expected, expected_gradients) = both(model, objective, PRECISIONS[precision]["cpu"])
    exact = both(model, objective)[1]
    for loss, other, true in zip(losses, expected, exact[0], strict=True):
        assert abs(loss - true) <= 2 * abs(other - true) + 0.01 * true
    for key, gradient in gradients.items():
        true = exact[1][key]
        assert gradient.dtype == torch.float32
        assert (gradient - true).norm() <= 2 * (expected_gradients[key] - true).norm() + slack * true.norm()


def test_saturated_units_get_no_gradient():
    model, objective = built(ACTS["satlin"], (6,))
    with torch.no_grad():
        model.encoder.layer1.affine.bias.fill_(50.0)
    MlpStep(model, objective, Precision())(model, *examples(), 0.5)
    assert not model.encoder.layer1.affine.weight.grad.any()
    assert model.decoder.layer1.weight.grad.any()


def test_a_removed_gradient_tensor_is_attached_again():
    model, objective = built(nn.ReLU)
    way = MlpStep(model, objective, Precision())
    way(model, *examples(), 0.3)
    first = model.encoder.layer1.affine.weight.grad.clone()
    for weights in model.parameters():
        weights.grad = None
    way(model, *examples(), 0.3)
    assert torch.equal(model.encoder.layer1.affine.weight.grad, first)


class Louder(nn.ReLU):
    def forward(self, z):
        return 2 * super().forward(z)


@pytest.mark.parametrize(
    ("model", "reading"),
    [
        (lambda: satae.mlp((6,), nn.ReLU, widths=[4], tied=True), "output"),
        (lambda: satae.mlp((6,), nn.ReLU, widths=[4], batch_norm=True), "output"),
        (lambda: satae.mlp((6,), nn.ELU, widths=[4]), "output"),
        (lambda: satae.mlp((6,), Louder, widths=[4]), "output"),
        (lambda: satae.mlp((6,), nn.ReLU, widths=[4]), "input"),
        (lambda: satae.conv((1, 6, 6), nn.ReLU, channels=[2], code=3), "output"),
    ],
)
def test_other_models_are_left_to_automatic_differentiation(model, reading):
    model, objective = model(), satae.Objective(satae.Complement(nn.ReLU(), reading))
    assert not applies(model, objective)
    assert not isinstance(choose_gradient(model, objective, Precision()), MlpStep)


def test_the_hand_written_step_is_chosen_unless_compiled(monkeypatch):
    model, objective = built(nn.ReLU)
    assert isinstance(choose_gradient(model, objective, Precision()), MlpStep)
    monkeypatch.setattr(torch, "compile", lambda function, mode: function)
    assert not isinstance(choose_gradient(model, objective, Precision(), 9), MlpStep)  # what is compiled is torch's own
