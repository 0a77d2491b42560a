"""Classifiers for an autoencoder to defend, and one whose gradients are to be hidden."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Adam

from satae.data.dataset import Dataset, Statistics

HIDDEN: Final = 200  # units of each hidden layer


class Recipe(NamedTuple):
    """How it is trained."""

    steps: int
    batch: int
    lr: float
    seed: int


RECIPE = Recipe(steps=2000, batch=128, lr=1e-3, seed=0)


class Classifier(nn.Module):
    """Logits (N, labels) of inputs (N, *shape) in the data's own units, which it standardises by itself."""

    mean: Tensor
    std: Tensor

    def __init__(self, layers: nn.Sequential, shape: tuple[int, ...], labels: int) -> None:
        """Put it together.

        Args:
            layers: from standardised inputs to logits.
            shape: of one input.
            labels: how many there are.
        """
        super().__init__()
        self.layers, self.labels = layers, labels
        self.register_buffer("mean", torch.zeros(shape))
        self.register_buffer("std", torch.ones((shape[0], 1, 1) if len(shape) == 3 else shape))

    def forward(self, x: Tensor) -> Tensor:
        """The logits."""
        logits: Tensor = self.layers((x - self.mean) / self.std)
        return logits


def plain(shape: tuple[int, ...], labels: int) -> Classifier:
    """A new one: two hidden layers, for images in colour behind two convolutions."""
    if len(shape) != 3 or shape[0] == 1:
        return _of_two_layers(shape, labels, nn.ReLU)
    places = math.prod(-(-side // 4) for side in shape[1:])  # two strides of 2
    layers = nn.Sequential(
        *(nn.Conv2d(shape[0], 32, 3, stride=2, padding=1), nn.ReLU()),
        *(nn.Conv2d(32, 64, 3, stride=2, padding=1), nn.ReLU()),
        *(nn.Flatten(), nn.Linear(64 * places, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, labels)),
    )
    return Classifier(layers, shape, labels)


def saturable(shape: tuple[int, ...], labels: int) -> Classifier:
    """A new one of two hidden layers of sigmoid units, whose gradients vanish where they saturate."""
    return _of_two_layers(shape, labels, nn.Sigmoid)


def _of_two_layers(shape: tuple[int, ...], labels: int, act: type[nn.Module]) -> Classifier:
    layers = nn.Sequential(
        *(nn.Flatten(), nn.Linear(math.prod(shape), HIDDEN), act()),
        *(nn.Linear(HIDDEN, HIDDEN), act(), nn.Linear(HIDDEN, labels)),
    )
    return Classifier(layers, shape, labels)


KINDS: Final[dict[str, Callable[[tuple[int, ...], int], Classifier]]] = {"plain": plain, "saturable": saturable}


def trained(kind: str, data: Dataset, centre: Statistics) -> Classifier:
    """One that has been trained on the clean training split, with cross-entropy.

    Args:
        kind: one of ``KINDS``.
        data: with labels 0, 1, ... in the training split.
        centre: the statistics of that split.
    """
    x, y = data.train.x, data.train.y
    assert y is not None
    draws = torch.Generator().manual_seed(RECIPE.seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(RECIPE.seed)
        model = KINDS[kind](data.shape, int(y.max()) + 1).to(x.device)
    model.mean.copy_(centre.mean)
    model.std.copy_(centre.std)
    optimiser = Adam(model.parameters(), RECIPE.lr)
    for _ in range(RECIPE.steps):
        rows = torch.randint(len(x), (RECIPE.batch,), generator=draws).to(x.device)
        loss = F.cross_entropy(model(data.batch(x[rows])), y[rows])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return model.eval()
