"""A hand-written training step for fully connected autoencoders: the losses and their gradient.

It computes what automatic differentiation computes, with fewer passes over memory and less overhead. A step takes 10 to
30 % less time; small networks gain most. Tests compare it with automatic differentiation.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from satae.model.activations import PROPERTIES, Derivative
from satae.model.autoencoder import DenoisingAutoencoder, Dense, Layer
from satae.model.objective import Losses, Objective
from satae.model.products import ONEDNN, onednn_linear
from satae.model.saturation import reduce_units
from satae.training.torch_settings import Precision


def applies(model: DenoisingAutoencoder, objective: Objective) -> bool:
    """Whether a model is a chain of products and activations with a known derivative, and f_c depends on f(z)."""

    def is_plain(part: nn.Module) -> bool:
        return (
            type(part) is Layer  # a class of a plugin may compute z otherwise
            and type(part.affine) is Dense
            and isinstance(part.norm, nn.Identity)
            and _derivative(part.act) is not None
        )

    *hidden, last = [*model.encoder.children(), *model.decoder.children()]
    is_known = type(model) is DenoisingAutoencoder and objective.complement.reading == "output"
    return is_known and type(last) is Dense and all(map(is_plain, hidden))


def _derivative(act: nn.Module) -> Derivative | None:
    properties = PROPERTIES.get(type(act))
    return None if properties is None else properties.derivative


class MlpStep:
    """One forward and one backward pass; the gradient is left in the weights.

    With h_0 = (x_noisy - mean) / std, z_i = W_i h_(i-1) + b_i, h_i = f(z_i) and y = z_n, the gradient of

        total = |y - t|^2 / (2 D) + alpha * sum over the encoder's layers i of f_c(z_i) / D_i

    is, averaged over the samples, with D elements and D_i units (1 with ``reduction="sum"``),

        g_n = (y - t) / D,    g_i = f'(z_i) * (W_(i+1)^T g_(i+1) + alpha / D_i * s_i)
        d total / d W_i = g_i h_(i-1)^T,    d total / d b_i = g_i

    by the chain rule, where s_i = d f_c / d f = sign(f(z_i) - v), v the nearest saturation level; 0 in the
    decoder. The loss is defined by Goroshin & LeCun (2013), arXiv 1301.3577. In bf16, f_c uses f(z) as stored.
    """

    def __init__(self, model: DenoisingAutoencoder, objective: Objective, precision: Precision) -> None:
        """Collect the layers of a model to which :func:`applies` applies."""
        self.objective, self.precision = objective, precision
        self.encoder_depth = len(model.encoder)
        layers: list[Any] = [*model.encoder.children(), *model.decoder.children()]
        self.acts = [layer.act for layer in layers[:-1]]
        self.derivatives: list[Any] = [_derivative(act) for act in self.acts]
        self.maps: list[Dense] = [*(layer.affine for layer in layers[:-1]), layers[-1]]
        self.onednn = self.maps[0].library == ONEDNN and not precision.half  # torch itself hands bfloat16 to oneDNN
        self.first_trained = [part.weight.requires_grad for part in self.maps].index(True)  # below it, all are frozen
        self.gradients = [(torch.empty_like(part.weight), torch.empty_like(part.bias)) for part in self.maps]

    @torch.no_grad()
    def __call__(self, model: DenoisingAutoencoder, x: Tensor, x_noisy: Tensor, alpha: float) -> Losses:
        """The losses of a batch: see :data:`satae.training.gradients.Gradient`."""
        weights = [self._narrow(part.weight) for part in self.maps]
        ins, fs, y = self._forward(weights, model.standardize(x_noisy).flatten(1))
        error = y.float().sub_(model.standardize(x).flatten(1))
        reconstruction = torch.linalg.vector_norm(error).square() / (2 * self._count(error))
        f_c, reduction = self.objective.complement, self.objective.reduction
        penalties = [reduce_units(f_c.from_output(f_z.float()), reduction) for f_z in fs[: self.encoder_depth]]
        self._backward(weights, ins, fs, error.mul_(1 / self._count(error)), alpha)
        return Losses.of(reconstruction, sum(penalties[1:], start=penalties[0]), alpha)

    def _forward(self, weights: list[Tensor], h: Tensor) -> tuple[list[Tensor], list[Tensor], Tensor]:
        """Compute h_0 to h_(n-1) as factors of products, f(z_1) to f(z_(n-1)), and y."""
        ins, fs = [self._narrow(h)], list[Tensor]()
        for act, f, part, weight in zip(self.acts, self.derivatives, self.maps, weights, strict=False):
            fs.append(f.forward(act, self._product(ins[-1], weight, part.bias)))
            ins.append(self._narrow(fs[-1]))
        return ins, fs, self._product(ins[-1], weights[-1], self.maps[-1].bias)

    def _backward(self, weights: list[Tensor], ins: list[Tensor], fs: list[Tensor], g: Tensor, alpha: float) -> None:
        """Go from g_n down, and leave the gradient of each layer in its weights, unless they are frozen."""
        for i in reversed(range(self.first_trained, len(self.maps))):
            factor = self._narrow(g)
            if self.maps[i].weight.requires_grad:
                self._store_gradient(i, g, factor, ins[i])
            if i > self.first_trained:
                act, f_z, g = self.acts[i - 1], fs[i - 1], self._product(factor, weights[i].t())
                if alpha and i <= self.encoder_depth:
                    g.add_(self.objective.complement.output_derivative(f_z), alpha=alpha / self._count(f_z))
                g = self.derivatives[i - 1].backward(act, g, f_z)

    def _store_gradient(self, i: int, g: Tensor, factor: Tensor, h: Tensor) -> None:
        part = self.maps[i]
        part.weight.grad, part.bias.grad = self.gradients[i]
        torch.sum(g, 0, dtype=torch.float32, out=part.bias.grad)
        if self.precision.half:
            part.weight.grad.copy_(factor.t() @ h)
        elif self.onednn:
            part.weight.grad = onednn_linear(factor.t(), h.t())
        else:
            torch.mm(factor.t(), h, out=part.weight.grad)

    def _product(self, h: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        multiply = onednn_linear if self.onednn else functional.linear
        return self._widen(multiply(h, weight, None if bias is None else self._narrow(bias)))

    def _narrow(self, values: Tensor) -> Tensor:
        return values.bfloat16() if self.precision.half else values

    def _widen(self, values: Tensor) -> Tensor:
        return values.float() if self.precision.widened else values

    def _count(self, values: Tensor) -> int:
        return values.numel() if self.objective.reduction == "mean" else len(values)
