"""The layers that encoders and decoders are made of."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

MakeActivation = Callable[[], nn.Module]


class Dense(nn.Linear):
    """A fully connected map from (N, *inputs) to (N, *outputs)."""

    def __init__(self, inputs: Sequence[int], outputs: Sequence[int]) -> None:
        super().__init__(math.prod(inputs), math.prod(outputs))
        self.inputs, self.outputs = tuple(inputs), tuple(outputs)

    def forward(self, h: Tensor) -> Tensor:
        """W h + b."""
        return super().forward(h.flatten(1)).view(-1, *self.outputs)


class TiedDense(nn.Module):
    """The way back through a fully connected map: its weights transposed, with a bias of its own."""

    def __init__(self, forth: Dense) -> None:
        super().__init__()
        self._forth = (forth,)  # in a tuple, so that the weights are not registered twice
        self.bias = nn.Parameter(torch.zeros(forth.in_features))

    @property
    def weight(self) -> Tensor:
        """The transposed weights."""
        return self._forth[0].weight.t()

    def forward(self, h: Tensor) -> Tensor:
        """W^T h + b."""
        return functional.linear(h.flatten(1), self.weight, self.bias).view(-1, *self._forth[0].inputs)


Affine = Dense | TiedDense | nn.Conv2d | nn.ConvTranspose2d


class Layer(nn.Module):
    """h -> z = norm(affine(h)) -> f(z), with z within reach."""

    affine: Affine

    def __init__(self, affine: Affine, act: nn.Module, norm: nn.Module | None = None) -> None:
        super().__init__()
        self.affine = affine
        self.norm = norm or nn.Identity()
        self.act = act

    def pre_activation(self, h: Tensor) -> Tensor:
        """z, what goes into the activation: after the normalisation, if there is one."""
        z: Tensor = self.norm(self.affine(h))
        return z

    def weight_norm(self) -> Tensor:
        """Root mean square, over the units, of the length of a unit's weights: a scalar."""
        return self.affine.weight.detach().flatten(1).square().sum(dim=1).mean().sqrt()

    def forward(self, h: Tensor) -> Tensor:
        """f(z)."""
        f_z: Tensor = self.act(self.pre_activation(h))
        return f_z
