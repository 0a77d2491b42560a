"""The attacks that a robustness figure has to stand up to."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple

from torch import Tensor, nn

from satae.robustness import libraries
from satae.robustness.ascent import apgd, fgsm, pgd
from satae.robustness.ball import Ball
from satae.robustness.draws import Draws
from satae.robustness.hunt import Attempt
from satae.robustness.objectives import Model, Objective, cross_entropy, dlr, margin
from satae.robustness.search import random_search, square
from satae.robustness.surrogate import surrogate_gradients

Kind = Literal["single", "plain", "doubled", "surrogate", "black", "transfer", "library"]
Run = Callable[[Tensor, Tensor, Ball, Draws], Attempt]  # of (x, labels, ball, draws)

FEW: Final = 3  # classes, whose logits have no ranks that DLR could be the ratio of
FOOLBOX_STEPS: Final = 4  # times those of other attacks: it looks for the smallest change, not for one in a ball
TARGETS: Final = 9  # classes that are gone after one by one, as in AutoAttack
TEMPERATURES: Final = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0)


class Budget(NamedTuple):
    """What is spent on each input and attack."""

    steps: int = 100  # of the attacks that follow the gradient
    restarts: int = 5  # of the same
    queries: int = 5000  # of those that ask for answers


class Attack(NamedTuple):
    """One of the suite."""

    name: str  # such as pgd-margin, surrogate-apgd-T=30, transfer-twin-pgd
    kind: Kind
    run: Run
    like: str = ""  # of a surrogate, the name of the attack that is the same but for its backward pass


def suite(
    victim: nn.Module,
    classes: int,
    budget: Budget,
    *,
    sources: Mapping[str, nn.Module] | None = None,
    temperatures: tuple[float, ...] = TEMPERATURES,
) -> list[Attack]:
    """All attacks on a model, the quick ones first.

    Every attack leaves the weights alone and is deterministic. Attacks on the same inputs with the same seed begin at
    the same points, so that two of them differ in what they are said to differ in.

    Args:
        victim: the whole pipeline, inputs (N, *shape) to logits (N, classes), in evaluation mode.
        classes: how many; DLR is among the objectives where there are more than three.
        budget: what is spent on each.
        sources: other models by name, such as the unregularised twin, whose gradients are followed against the victim.
        temperatures: of the surrogate gradients.
    """
    steps, restarts, queries = budget
    found = [Attack("fgsm", "single", functools.partial(fgsm, victim))]
    found += [_pgd(victim, "pgd-ce", "plain", cross_entropy, steps, restarts)]
    found += [_pgd(victim, "pgd-margin", "plain", margin, steps, restarts)]
    found += [_apgd(victim, "apgd-ce", "plain", cross_entropy, steps, restarts)]
    if classes > FEW:
        found += [_apgd(victim, "apgd-dlr", "plain", dlr, steps, restarts)]
    found += [_apgd(victim, "apgd-margin", "plain", margin, steps, restarts)]
    found += [_apgd(victim, "apgd-targets", "plain", None, steps, min(classes - 1, TARGETS))]
    found += [_pgd(victim, "pgd-margin-steps", "doubled", margin, 2 * steps, restarts)]
    found += [_apgd(victim, "apgd-margin-restarts", "doubled", margin, steps, 2 * restarts)]
    for temperature in temperatures:
        exact = [
            _pgd(victim, f"surrogate-pgd-T={temperature:g}", "surrogate", margin, steps, restarts),
            _apgd(victim, f"surrogate-apgd-T={temperature:g}", "surrogate", margin, steps, restarts),
        ]
        found += [_softened(attack, victim, temperature) for attack in exact]
    for name, source in (sources or {}).items():
        found += [_transfer(victim, source, f"transfer-{name}-pgd", steps, restarts)]
    found += [Attack("square", "black", functools.partial(square, victim, queries=queries))]
    found += [Attack("random", "black", functools.partial(random_search, victim, queries=queries))]
    return found


def of_libraries(victim: nn.Module, classes: int, budget: Budget, names: Sequence[str], seed: int) -> list[Attack]:
    """The attacks of other people on a model.

    Args:
        victim: as for :func:`suite`.
        classes: how many.
        budget: of which foolbox takes the steps; AutoAttack has its own.
        names: ``"autoattack"``, ``"foolbox"``.
        seed: of their random numbers.

    Raises:
        ValueError: a library is not installed, or cannot attack such a model.
    """
    found = []
    if "autoattack" in names:
        libraries.check_autoattack(classes)

        def auto(x: Tensor, labels: Tensor, ball: Ball, draws: Draws) -> Attempt:
            return libraries.autoattack(victim, x, labels, ball, classes=classes, seed=seed)

        found.append(Attack("autoattack", "library", auto))
    if "foolbox" in names:
        libraries.imported("foolbox")
        steps = FOOLBOX_STEPS * budget.steps

        def nearest(x: Tensor, labels: Tensor, ball: Ball, draws: Draws) -> Attempt:
            return libraries.minimum_norm(victim, x, labels, ball, steps=steps, seed=seed).within(ball.epsilon)

        found.append(Attack("minimum-norm", "library", nearest))
    return found


def _pgd(victim: Model, name: str, kind: Kind, objective: Objective, steps: int, restarts: int) -> Attack:
    run = functools.partial(pgd, victim, objective=objective, steps=steps, restarts=restarts)
    return Attack(name, kind, run)


def _apgd(victim: Model, name: str, kind: Kind, objective: Objective | None, steps: int, restarts: int) -> Attack:
    run = functools.partial(apgd, victim, objective=objective, steps=steps, restarts=restarts)
    return Attack(name, kind, run)


def _transfer(victim: Model, source: Model, name: str, steps: int, restarts: int) -> Attack:
    run = functools.partial(pgd, source, objective=margin, steps=steps, restarts=restarts, judge=victim)
    return Attack(name, "transfer", run)


def _softened(attack: Attack, victim: nn.Module, temperature: float) -> Attack:
    def run(*given: Any) -> Attempt:
        with surrogate_gradients(victim, temperature):
            return attack.run(*given)

    return attack._replace(run=run, like=f"{attack.name.split('-')[1]}-margin")
