"""Classifiers with hidden gradients, and honest ones, under satae.evaluate_robustness: ``make control``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from statistics import mean
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional

import satae
from benchmarks.answer import counts
from benchmarks.report import table
from satae.data.digits import digits
from satae.robustness.external_attacks import autoattack
from satae.robustness.norm_ball import NormBall

EPSILON: Final = 0.1
CLASSES: Final = 10
UNITS: Final = 100
ACTIVATIONS: Final[dict[str, Any]] = {
    "relu": nn.ReLU,
    "satlin": lambda: nn.Hardtanh(-1.0, 1.0),
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
}
FACTORS: Final = (5, 20, 100)
COLUMNS: Final = (
    *("seed", "model", "clean", "pgd-margin", "all attacks", "AutoAttack beside", "gradients", "level", "verdict"),
)


class Scaled(nn.Module):
    """An activation whose input is multiplied by a factor: it decides nearly alike, and its gradient vanishes."""

    def __init__(self, act: nn.Module, factor: float) -> None:
        """Wrap an activation."""
        super().__init__()
        self.act, self.factor = act, factor

    def forward(self, z: Tensor) -> Tensor:
        """The activation of the scaled input."""
        return self.act(self.factor * z)  # type: ignore[no-any-return]


class Functional(nn.Module):
    """An activation that is no module of its own."""

    def __init__(self, act: nn.Module, factor: float) -> None:
        """Remember which function of torch stands for the activation."""
        super().__init__()
        self.function, self.factor = {nn.Tanh: torch.tanh, nn.Sigmoid: torch.sigmoid}[type(act)], factor

    def forward(self, z: Tensor) -> Tensor:
        """The function of the scaled input."""
        return self.function(self.factor * z)


class Rounded(nn.Module):
    """Rounding to a multiple of a step, which passes no gradient."""

    def __init__(self, step: float) -> None:
        """Round to multiples of ``step``."""
        super().__init__()
        self.step = step

    def forward(self, z: Tensor) -> Tensor:
        """The rounded input."""
        return self.step * (z / self.step).round()


class Labels(nn.Module):
    """A classifier that gives a label instead of logits where it answers one of some classes."""

    def __init__(self, model: nn.Module, classes: Sequence[int]) -> None:
        """Wrap a classifier."""
        super().__init__()
        self.model, self.classes = model, torch.tensor(classes)

    def forward(self, x: Tensor) -> Tensor:
        """The logits, or the label as logits that do not change until the label does."""
        logits = self.model(x)
        answer = logits.argmax(dim=1)
        label = 10 * functional.one_hot(answer, CLASSES).to(logits)
        return torch.where(torch.isin(answer, self.classes)[:, None], label, logits)


def main() -> None:
    """Attack all models, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3, help="of the classifiers; default %(default)s")
    parser.add_argument("--inputs", type=int, default=200, help="test images; default %(default)s")
    chosen = parser.parse_args()
    sys.stdout.write(f"| {' | '.join(COLUMNS)} |\n|{' --- |' * len(COLUMNS)}\n")
    cells: dict[str, list[list[str]]] = {}
    for seed in range(chosen.seeds):
        for name, model in models(seed):
            cells.setdefault(name, []).append(measure(model, chosen.inputs))
            sys.stdout.write(f"| {seed} | {name} | {' | '.join(cells[name][-1])} |\n")
            sys.stdout.flush()
    if chosen.seeds > 1:
        sys.stdout.write(f"\n{table(COLUMNS[1:], [[name, *over_seeds(found)] for name, found in cells.items()])}\n")


def models(seed: int) -> Iterator[tuple[str, nn.Module]]:
    """Honest classifiers, and classifiers whose gradients are hidden."""
    for act in ACTIVATIONS:
        yield act, train(act, seed)
    for act in ("tanh", "sigmoid"):
        for factor in FACTORS:
            yield f"{act}, inputs times {factor}", with_activations(train(act, seed), Scaled, factor)
        yield f"{act} as a function, times 20", with_activations(train(act, seed), Functional, 20)
    relu = train("relu", seed)
    yield "rounded inputs", nn.Sequential(Rounded(1 / 8), relu)
    yield "rounded logits", nn.Sequential(relu, Rounded(1 / 2))
    steps = [nn.Sequential(layer, Rounded(1 / 4)) if isinstance(layer, nn.ReLU) else layer for layer in relu]
    yield "relu in steps", nn.Sequential(*steps)
    yield "relu, labels for two digits", Labels(relu, (3, 8))
    last = nn.Linear(64, CLASSES)
    nn.init.zeros_(last.weight)
    yield "one answer for all", nn.Sequential(nn.Flatten(), last)


def train(act: str, seed: int) -> nn.Sequential:
    """A classifier of the digits with two hidden layers."""
    torch.manual_seed(seed)
    f = ACTIVATIONS[act]
    first, second, last = nn.Linear(64, UNITS), nn.Linear(UNITS, UNITS), nn.Linear(UNITS, CLASSES)
    model = nn.Sequential(nn.Flatten(), first, f(), second, f(), last)
    optimizer, data = torch.optim.Adam(model.parameters(), 3e-3), digits().train
    assert data.y is not None
    for _ in range(300):
        rows = torch.randint(len(data.x), (256,))
        loss = functional.cross_entropy(model(data.x[rows].float() / 16), data.y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.eval()


def with_activations(model: nn.Sequential, change: type[Scaled | Functional], factor: float) -> nn.Sequential:
    """A classifier with other activations."""
    return nn.Sequential(
        *(change(layer, factor) if isinstance(layer, nn.Tanh | nn.Sigmoid) else layer for layer in model)
    )


def over_seeds(cells: Sequence[Sequence[str]]) -> list[str]:
    """The means of a model's numbers over the seeds, and how often each word was said."""
    columns = [*zip(*cells, strict=True)]
    return [*(f"{mean(map(float, column)):.3f}" for column in columns[:-3]), *map(counts, columns[-3:])]


def measure(model: nn.Module, inputs: int) -> list[str]:
    """The cells of a model; AutoAttack is kept back from the suite, and only shown beside it."""
    test = digits().test
    assert test.y is not None
    x, y = test.x[:inputs].float() / 16, test.y[:inputs]
    found = satae.evaluate_robustness(model, x, y, epsilons=[EPSILON])
    margin = found.outcomes.at(EPSILON).with_names(["pgd-margin"]).accuracy
    correct = model(x).argmax(dim=1) == y
    beside = autoattack(model, x[correct], y[correct], NormBall("linf", EPSILON), classes=CLASSES, seed=0)
    left = 1 - (beside.fooled.sum().item() + (~correct).sum().item()) / len(x)
    numbers = found.accuracies[0.0].value, margin.value, found.accuracies[EPSILON].value, left
    return [*(f"{number:.3f}" for number in numbers), *found.verdict[:2], found.verdict.word]


if __name__ == "__main__":
    main()
