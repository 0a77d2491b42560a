"""How robust a classifier of one's own is: all attacks, all checks, one verdict."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

import torch
from torch import Tensor, nn

from satae.model.autoencoder import evaluation_mode
from satae.robustness.active_test import PlantedOutcome, active_test
from satae.robustness.attack_losses import has_no_gradient
from satae.robustness.attack_suite import LIBRARY_ATTACKS, Attack, Budget, attack_suite, planted_point_attacks
from satae.robustness.estimates import Estimate
from satae.robustness.masking_checks import (
    AttackOutcome,
    AttackOutcomes,
    Check,
    Evidence,
    Verdict,
    is_constant,
    run_checks,
    verdict,
)
from satae.robustness.norm_ball import NormBall, RandomStreams, vector_norm

TEMPERATURES: Final = (3.0, 10.0, 30.0, 100.0, 300.0)


class Robustness(NamedTuple):
    """What attacks left of the accuracy of a classifier, and what that is worth."""

    accuracies: dict[float, Estimate]  # by radius, 0 and that of the same grey for all included; against all attacks
    verdict: Verdict
    checks: list[Check]
    outcomes: AttackOutcomes  # of every attack; one that skipped an input has not broken it

    def __str__(self) -> str:
        """The accuracies and the verdict, one line each."""
        lines = [f"epsilon {epsilon:g}: accuracy {one.in_percent()}" for epsilon, one in self.accuracies.items()]
        said = self.verdict
        return "\n".join([*lines, f"verdict: {said.word}; gradients {said.gradients}, level {said.level}"])


def evaluate_robustness(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    epsilons: Sequence[float],
    norm: str = "linf",
    low: float = 0.0,
    high: float = 1.0,
    steps: int = 50,
    restarts: int = 2,
    queries: int = 1000,
    temperatures: Sequence[float] = TEMPERATURES,
    libraries: Sequence[str] = (),
    sources: Mapping[str, nn.Module] | None = None,
    seed: int = 0,
    batch_size: int = 250,
) -> Robustness:
    """Attack a classifier with the whole suite, and judge what the attacks show.

    The model and the sources are set to evaluation mode and left as they were. To call gradients visible takes at least
    73 inputs; 500 are a good number.

    Args:
        model: inputs (N, *shape) to logits (N, classes).
        x: inputs (N, *shape), in the range of the data, on the device of the model.
        y: labels (N,), from 0.
        epsilons: radii, in the units of x.
        norm: linf or l2.
        low: smallest value that an input can have.
        high: largest value that an input can have.
        steps: steps of attacks that follow a gradient, from each start.
        restarts: their starts.
        queries: queries of attacks without a gradient.
        temperatures: of the surrogate gradients.
        libraries: independent attacks, ``autoattack`` and ``foolbox``.
        sources: other models, whose adversarial examples are tried.
        seed: of all random numbers.
        batch_size: inputs that are attacked at once.

    Raises:
        ValueError: an argument does not fit; a library is not installed.
    """
    balls = {epsilon: NormBall.create(norm, epsilon, low, high) for epsilon in sorted({*epsilons})}
    _check_arguments(x, y, low, high, balls, libraries)
    x, y = x.detach(), y.long()
    middle = torch.full_like(x[:1], (low + high) / 2)
    grey_radius = vector_norm(x - middle, next(iter(balls.values())).norm).max().item()
    compared = [*balls]
    balls[grey_radius] = NormBall.create(norm, grey_radius, low, high)
    budget = Budget(steps, restarts, queries)
    streams = RandomStreams.for_examples(seed, torch.arange(len(x), device=x.device))
    with evaluation_mode(nn.ModuleList([model, *(sources or {}).values()])):
        logits, anywhere = (
            _in_batches(model, batch_size, points)
            for points in (x, NormBall("linf", high - low, low, high).around(x).random_start(streams, 0))
        )
        if int(y.max()) >= logits.shape[1]:
            raise ValueError(f"y: labels up to {int(y.max())}, but the model has {logits.shape[1]} classes")
        no_gradient = _in_batches(lambda x, y: has_no_gradient(model, x, y), batch_size, x, y)
        correct = (logits.argmax(dim=1) == y) & logits.isfinite().all(dim=1)
        outcomes = AttackOutcomes(correct)
        attacks = attack_suite(
            model, logits.shape[1], budget, temperatures=temperatures, sources=sources, libraries=libraries, seed=seed
        )
        for epsilon, ball in balls.items():
            for attack in attacks:
                left = outcomes.left_for(attack, epsilon)
                robust = correct.clone()
                if left.any():
                    robust[left] = ~_attack(attack, x[left], y[left], ball, streams[left], batch_size)
                outcomes = outcomes._replace(results=[*outcomes.results, AttackOutcome(attack, epsilon, robust)])
        searching, spread = planted_point_attacks(model, budget, temperatures), logits.std(dim=0, correction=0)
        largest = balls[compared[-1]]
        planted, by_exact, by_any = _in_batches(
            lambda x, keys: active_test(model, x, largest, RandomStreams(keys), searching, temperatures, spread),
            batch_size,
            x,
            streams.keys,
        ).t()
    evidence = Evidence(
        outcomes,
        y.bincount().max().item() / len(y),
        no_gradient,
        is_constant(torch.cat([logits, anywhere])),
        grey_radius,
        baseline=outcomes,
        planted=PlantedOutcome(by_exact[planted], by_any[planted], compared[-1]),
    )
    checks = run_checks(evidence)
    accuracies = {epsilon: outcomes.at(epsilon).accuracy for epsilon in sorted({0.0, *balls})}
    return Robustness(accuracies, verdict(evidence, checks, compared), checks, outcomes)


def _check_arguments(
    x: Tensor, y: Tensor, low: float, high: float, balls: Mapping[float, NormBall], libraries: Sequence[str]
) -> None:
    """Refuse what cannot be attacked.

    Raises:
        ValueError: an argument does not fit.
    """
    if not balls or 0 in balls:
        raise ValueError(f"epsilons={[*balls]}: give at least one radius above 0")
    if not len(x) or y.shape != x.shape[:1] or not x.is_floating_point():
        raise ValueError(f"x {tuple(x.shape)}, {x.dtype}, and y {tuple(y.shape)}: must be N numbers and N labels")
    if y.is_floating_point() or int(y.min()) < 0:
        raise ValueError("y: labels must be whole numbers from 0")
    if not (x.min() >= low and x.max() <= high):  # also if some are nan
        found = f"{x.min().item():g} to {x.max().item():g}"
        raise ValueError(f"x: values from {found} leave the range low={low:g} to high={high:g}")
    if unknown := [name for name in libraries if name not in LIBRARY_ATTACKS]:
        raise ValueError(f"libraries={unknown}: choose from {', '.join(LIBRARY_ATTACKS)}")


def _attack(attack: Attack, x: Tensor, y: Tensor, ball: NormBall, streams: RandomStreams, batch_size: int) -> Tensor:
    """Which inputs an attack breaks: booleans (N,)."""
    return _in_batches(
        lambda x, y, keys: attack.run(x, y, ball, RandomStreams(keys)).fooled, batch_size, x, y, streams.keys
    )


def _in_batches(function: Callable[..., Tensor], size: int, *xs: Tensor) -> Tensor:
    with torch.no_grad():
        return torch.cat([function(*batch) for batch in zip(*(x.split(size) for x in xs), strict=True)])
