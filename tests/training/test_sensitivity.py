import math

import torch
from torch import Generator, nn

import satae
from satae.training.metrics import PERTURBATION, code_sensitivity


def linear_code(scale):
    """The code is ``scale`` times the input, where it is positive."""
    model = satae.mlp((3,), nn.ReLU, widths=[3])
    layer = model.layers()[0][1].affine
    with torch.no_grad():
        layer.weight.copy_(scale * torch.eye(3))
        layer.bias.fill_(100.0 * scale)
    return model


def test_a_linear_code_moves_by_the_noise_over_the_variance():
    x = torch.rand(20000, 3, generator=Generator().manual_seed(1))
    found = code_sensitivity(linear_code(1.0), x, 2.0, Generator().manual_seed(2))
    assert math.isclose(found, (2.0 * PERTURBATION) ** 2 * 12, rel_tol=0.05)  # the variance of U(0, 1) is 1/12


def test_shrinking_the_code_does_not_lower_the_sensitivity():
    x = torch.rand(100, 3, generator=Generator().manual_seed(1))
    large, small = (code_sensitivity(linear_code(s), x, 1.0, Generator().manual_seed(2)) for s in (1.0, 0.01))
    assert math.isclose(large, small, rel_tol=1e-2)


def test_a_code_that_never_varies_has_no_sensitivity():
    x = torch.rand(10, 3)
    assert math.isnan(code_sensitivity(linear_code(0.0), x, 1.0, Generator().manual_seed(2)))
