"""The slope of the encoder."""

from __future__ import annotations

import torch
from torch import Tensor

from satae.model.autoencoder import DenoisingAutoencoder


@torch.enable_grad()
def jacobian_norms(model: DenoisingAutoencoder, x: Tensor) -> Tensor:
    """The Frobenius norm of the derivative of the code with respect to each input: (N, *shape) to (N,).

        |J(x)|_F^2 = sum over k of |d code_k / d x|^2

    Exact, by one backward pass for each unit of the code. For one layer it is sum over i of f'(z_i)^2 |W_i|^2 (Rifai
    et al. 2011, Contractive Auto-Encoders, ICML), of the weights W that act on x: those of the model over the
    deviation of its standardisation.

    Args:
        model: in evaluation mode, in which the code of an input depends on no other.
        x: in the data's units.
    """
    x = x.detach().requires_grad_()
    code = model.encode(x)
    squares = torch.zeros(len(x), dtype=torch.float64)
    for unit in code.unbind(dim=1):
        (slope,) = torch.autograd.grad(unit.sum(), x, retain_graph=True)
        squares += slope.flatten(1).cpu().double().square().sum(dim=1)  # not every GPU has float64
    return squares.sqrt()
