"""The attacks that a robustness figure has to stand up to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, Literal, NamedTuple

from torch import Tensor, nn

from satae.robustness import libraries as others
from satae.robustness.ascent import apgd, fgsm, pgd
from satae.robustness.ball import Ball
from satae.robustness.draws import Draws
from satae.robustness.objectives import Model, Objective, cross_entropy, dlr, margin
from satae.robustness.search import random_search, square
from satae.robustness.surrogate import surrogate_gradients
from satae.robustness.unbroken import Attempt

Kind = Literal["single", "exact", "doubled", "surrogate", "black", "transfer", "library"]
Run = Callable[[Tensor, Tensor, Ball, Draws], Attempt]  # of (x, labels, ball, draws)

FEW: Final = 3  # classes, whose logits have no ranks that DLR could be the ratio of
FOOLBOX_STEPS: Final = 4  # times those of other attacks: it looks for the smallest change, not for one in a ball
CROSS_ENTROPY: Final = "ce"
LOSSES: Final[Mapping[str, Objective]] = {CROSS_ENTROPY: cross_entropy, "dlr": dlr, "margin": margin}
ONE_BY_ONE: Final = "targets"  # the margin over one other class after the other
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
    loss: str = ""  # what it drives up, one of LOSSES or ONE_BY_ONE, of an ascent
    like: str = ""  # of a surrogate, the attack that is the same but for its backward pass
    after: Sequence[str] = ()  # attacks that it is asked what it adds to: what they have broken it is spared


def suite(
    victim: nn.Module,
    classes: int,
    budget: Budget,
    *,
    sources: Mapping[str, nn.Module] | None = None,
    temperatures: tuple[float, ...] = TEMPERATURES,
    libraries: Sequence[str] = (),
    seed: int = 0,
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
        libraries: whose attacks are made, too: ``"autoattack"``, ``"foolbox"``. Foolbox takes the steps of the budget,
            AutoAttack has its own.
        seed: of their random numbers.

    Raises:
        ValueError: a library is not installed, or cannot attack such a model.
    """
    pgds = [_pgd(victim, loss, budget) for loss in (CROSS_ENTROPY, "margin")]
    apgds = [_apgd(victim, loss, budget) for loss in (CROSS_ENTROPY, "dlr", "margin") if loss != "dlr" or classes > FEW]
    apgds += [_apgd(victim, ONE_BY_ONE, budget._replace(restarts=min(classes - 1, others.TARGETS)))]
    exact = [attack.name for attack in (*pgds, *apgds)]
    longer, more = budget._replace(steps=2 * budget.steps), budget._replace(restarts=2 * budget.restarts)
    adding = [
        *apgds,
        _pgd(victim, "margin", longer)._replace(name="pgd-margin-steps", kind="doubled"),
        _apgd(victim, "margin", more)._replace(name="apgd-margin-restarts", kind="doubled"),
        *(_softened(victim, method, t, budget) for t in temperatures for method in (_pgd, _apgd)),
        *(_transfer(victim, source, name, budget) for name, source in (sources or {}).items()),
        Attack("square", "black", partial(square, victim, queries=budget.queries)),
        Attack("random", "black", partial(random_search, victim, queries=budget.queries)),
        *(LIBRARIES[name](victim, classes, budget, seed) for name in libraries),
    ]
    on_all = [Attack("fgsm", "single", partial(fgsm, victim)), *pgds]
    return [*on_all, *(attack._replace(after=attack.after or exact) for attack in adding)]


def _pgd(victim: Model, loss: str, budget: Budget) -> Attack:
    run = partial(pgd, victim, objective=LOSSES[loss], steps=budget.steps, restarts=budget.restarts)
    return Attack(f"pgd-{loss}", "exact", run, loss)


def _apgd(victim: Model, loss: str, budget: Budget) -> Attack:
    run = partial(apgd, victim, objective=LOSSES.get(loss), steps=budget.steps, restarts=budget.restarts)
    return Attack(f"apgd-{loss}", "exact", run, loss)


def _softened(victim: nn.Module, method: Callable[..., Attack], temperature: float, budget: Budget) -> Attack:
    """An attack on the margin whose backward pass is another; the PGD is held against the exact PGD alone."""
    exact = method(victim, "margin", budget)

    def run(*given: Any) -> Attempt:
        with surrogate_gradients(victim, temperature):
            return exact.run(*given)

    name = f"surrogate-{exact.name.removesuffix('-margin')}-T={temperature:g}"
    return Attack(name, "surrogate", run, like=exact.name, after=[exact.name] if method is _pgd else ())


def _transfer(victim: Model, source: Model, name: str, budget: Budget) -> Attack:
    run = partial(pgd, source, objective=margin, steps=budget.steps, restarts=budget.restarts, judge=victim)
    return Attack(f"transfer-{name}-pgd", "transfer", run)


def _autoattack(victim: nn.Module, classes: int, budget: Budget, seed: int) -> Attack:
    others.check_autoattack(classes)

    def run(x: Tensor, labels: Tensor, ball: Ball, draws: Draws) -> Attempt:
        return others.autoattack(victim, x, labels, ball, classes=classes, seed=seed)

    return Attack("autoattack", "library", run)


def _minimum_norm(victim: nn.Module, classes: int, budget: Budget, seed: int) -> Attack:
    others.imported("foolbox")
    steps = FOOLBOX_STEPS * budget.steps

    def run(x: Tensor, labels: Tensor, ball: Ball, draws: Draws) -> Attempt:
        return others.minimum_norm(victim, x, labels, ball, steps=steps, seed=seed).within(ball.epsilon)

    return Attack("minimum-norm", "library", run)


LIBRARIES: Final = {"autoattack": _autoattack, "foolbox": _minimum_norm}
