"""The classifiers that attacks break, of inputs, reconstructions or codes: trained once and stored."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Final, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Adam

from satae.data.dataset import Dataset, Statistics
from satae.evaluation.stored_models import train_once
from satae.evaluation.subject import sha256
from satae.model.autoencoder import Dense, Encoder, use_library
from satae.model.products import library_for_processor
from satae.training import checkpoint
from satae.training.checkpoint import State
from satae.training.metrics import MAX_BATCH, which_vary

HIDDEN_UNITS: Final = 200  # in each hidden layer


class Recipe(NamedTuple):
    """How a classifier is trained."""

    steps: int
    batch: int
    lr: float


RECIPE = Recipe(steps=2000, batch=128, lr=1e-3)


class Classifier(nn.Module):
    """Logits (N, labels) of inputs (N, *shape) in the data's own units, which it standardizes itself."""

    mean: Tensor
    std: Tensor

    def __init__(self, layers: nn.Sequential, shape: tuple[int, ...], labels: int) -> None:
        """Add buffers for the statistics of the data to the layers.

        Args:
            layers: from standardized inputs to logits.
            shape: shape of one input.
            labels: number of classes.
        """
        super().__init__()
        self.layers, self.labels = layers, labels
        self.register_buffer("mean", torch.zeros(shape))
        self.register_buffer("std", torch.ones((shape[0], 1, 1) if len(shape) == 3 else shape))

    def standardize(self, x: Tensor) -> Tensor:
        """(x - mean) / std."""
        return (x - self.mean).div_(self.std)

    def forward(self, x: Tensor) -> Tensor:
        """The logits."""
        logits: Tensor = self.layers(self.standardize(x))
        return logits


def plain_classifier(shape: tuple[int, ...], labels: int) -> Classifier:
    """An untrained classifier with two hidden layers of relu units; color images pass two convolutions first."""
    if len(shape) != 3 or shape[0] == 1:
        layers = nn.Sequential(
            nn.Flatten(),
            Dense(shape, [HIDDEN_UNITS]),
            nn.ReLU(),
            Dense([HIDDEN_UNITS], [HIDDEN_UNITS]),
            nn.ReLU(),
            Dense([HIDDEN_UNITS], [labels]),
        )
        return Classifier(layers, shape, labels)
    places = math.prod(-(-side // 4) for side in shape[1:])  # two strides of 2
    layers = nn.Sequential(
        nn.Conv2d(shape[0], 32, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(32, 64, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        Dense([64 * places], [HIDDEN_UNITS]),
        nn.ReLU(),
        Dense([HIDDEN_UNITS], [labels]),
    )
    return Classifier(layers, shape, labels)


def load_classifier(data: Dataset, seed: int, features: nn.Module | None = None) -> Classifier:
    """A classifier trained on the clean training data of a run; it is trained if it is not stored yet.

    Args:
        data: data with labels, as the run saw them; all runs on the same data, with the same seed, meet the same
            classifier of inputs.
        seed: of its initial weights and its batches.
        features: what it classifies, (N, *shape) to (N, *features), in evaluation mode; None for the inputs.

    Raises:
        ConfigError: it cannot be stored.
    """
    assert data.train.y is not None
    made_of = {
        "data": data.fingerprint,
        "labels": sha256({"labels": data.train.y}),
        "layers": str(plain_classifier(data.shape, 1)),
        "features": "" if features is None else sha256(features.state_dict(), str(features)),
        "recipe": RECIPE._asdict(),
        "seed": seed,
    }

    def make(part: Path) -> None:
        model = train_classifier(data, seed, features)
        facts = {"labels": model.labels, "shape": [*model.mean.shape]}
        checkpoint.save(part, State(facts, {}).with_part("classifier", model.state_dict()))

    state = checkpoint.load(train_once("classifier", made_of, make))
    model = plain_classifier(tuple(state.facts["shape"]), int(state.facts["labels"]))
    model.load_state_dict(state.part("classifier"))
    use_library(model, library_for_processor())
    return model.eval()


def train_classifier(data: Dataset, seed: int, features: nn.Module | None = None) -> Classifier:
    """Train a classifier on the clean training split with cross-entropy.

    Args:
        data: data with labels 0, 1, ... in the training split.
        seed: of its initial weights and its batches.
        features: what it classifies; None for the inputs.
    """
    x, y = data.train.x, data.train.y
    assert y is not None

    def read(rows: Tensor) -> Tensor:
        inputs = data.batch(x[rows])
        if features is None:
            return inputs
        with torch.no_grad():
            found: Tensor = features(inputs.to(next(features.parameters()).device))
        return found.to(x.device)

    statistics = data.statistics
    if isinstance(features, Encoder):
        codes = torch.cat([read(rows) for rows in torch.arange(len(x)).split(MAX_BATCH)])
        std, mean = torch.std_mean(codes, dim=0, correction=0)
        statistics = Statistics(mean, std.masked_fill(~which_vary(codes), 1.0))  # 1 if a unit changes by rounding only
    draws = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = plain_classifier(tuple(statistics.mean.shape), int(y.max()) + 1).to(x.device)
    use_library(model, library_for_processor())
    model.mean.copy_(statistics.mean)
    model.std.copy_(statistics.std)
    optimizer = Adam(model.parameters(), RECIPE.lr)
    for _ in range(RECIPE.steps):
        rows = torch.randint(len(x), (RECIPE.batch,), generator=draws).to(x.device)
        loss = F.cross_entropy(model(read(rows)), y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.eval()
