"""The slope of the encoder is exact."""

import pytest
import torch
from torch import nn

from satae import conv, mlp
from satae.model.flat_sets import slope
from satae.robustness.largest_change import jacobian_norm


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda: mlp((1, 4, 4), nn.Tanh, widths=[9, 5]), (1, 4, 4)),
        (lambda: mlp((3,), nn.ReLU, widths=[7], batch_norm=True), (3,)),
        (lambda: conv((1, 8, 8), nn.Sigmoid, channels=[3], code=6), (1, 8, 8)),
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


@pytest.mark.parametrize("act", [nn.Sigmoid, nn.Hardtanh, lambda: nn.Softshrink(0.2)])
def test_jacobian_norm_of_one_layer_equals_the_contractive_penalty(act):
    model = mlp((2, 3), act, widths=[8]).eval()
    model.standardize_by(torch.rand(2, 3), torch.tensor([[0.5], [2.0]]))
    x = torch.rand(20, 2, 3)
    layer = model.layers()[0][1]
    weight = layer.affine.weight.detach() / model.std.expand(2, 3).flatten()  # acts on x, not on (x - mean) / std
    with torch.no_grad():
        f_slope = slope(layer.act, layer.pre_activation(model.standardize(x)))
        by_hand = (f_slope.square() * weight.square().sum(dim=1)).sum(dim=1).sqrt()
    torch.testing.assert_close(jacobian_norm(model.encode, x).float(), by_hand, rtol=1e-5, atol=1e-6)
