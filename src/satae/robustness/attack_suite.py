"""The suite of attacks that every robustness figure must survive."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, Literal, NamedTuple

from torch import Tensor, nn

from satae.robustness import external_attacks
from satae.robustness.attack_losses import AttackLoss, AttackResult, Model, cross_entropy, dlr, margin
from satae.robustness.black_box import random_search, square
from satae.robustness.bpda import surrogate_gradients
from satae.robustness.norm_ball import NormBall, RandomStreams
from satae.robustness.pgd import apgd, fgsm, pgd

AttackKind = Literal["single", "exact", "doubled", "surrogate", "black", "transfer", "library"]
RunAttack = Callable[[Tensor, Tensor, NormBall, RandomStreams], AttackResult]  # (x, labels, ball, streams)

MAX_CLASSES_WITHOUT_DLR: Final = 3  # with fewer than four, DLR has no third logit besides the label's rivals
FOOLBOX_STEPS: Final = 4  # times the steps of other attacks: it searches the smallest perturbation, not one in a ball
CROSS_ENTROPY: Final = "ce"
LOSSES: Final[Mapping[str, AttackLoss]] = {CROSS_ENTROPY: cross_entropy, "dlr": dlr, "margin": margin}
ONE_TARGET_EACH: Final = "targets"  # the margin over one other class in each restart


class Budget(NamedTuple):
    """The work spent on each input by each attack."""

    steps: int  # of gradient attacks, from each start
    restarts: int  # of gradient attacks
    queries: int  # of black-box attacks


class Attack(NamedTuple):
    """One attack of the suite."""

    name: str  # such as pgd-margin, surrogate-apgd-T=30, transfer-twin-pgd
    kind: AttackKind
    run: RunAttack
    loss: str = ""  # what a gradient attack raises: one of LOSSES, or ONE_TARGET_EACH
    like: str = ""  # for a surrogate gradient: the name of the same attack with exact gradients
    after: Sequence[
        str
    ] = ()  # attacks it is compared with: it skips the examples that they broke; those of libraries none


def attack_suite(
    victim: nn.Module,
    classes: int,
    budget: Budget,
    *,
    temperatures: Sequence[float],
    sources: Mapping[str, nn.Module] | None = None,
    libraries: Sequence[str] = (),
    seed: int = 0,
) -> list[Attack]:
    """All attacks on a model, the quick ones first.

    No attack changes the weights, and each is deterministic. Attacks on the same inputs with the same seed start at the
    same points, so two attacks differ only in what their names say.

    Args:
        victim: the whole pipeline, inputs (N, *shape) to logits (N, classes), in evaluation mode.
        classes: number of classes; DLR is among the losses if there are more than three.
        budget: work of each attack.
        temperatures: of the surrogate gradients.
        sources: other models by name, such as the unregularized baseline, for transfer attacks.
        libraries: more attacks, from ``"autoattack"`` or ``"foolbox"``. Foolbox uses the steps of the budget,
            AutoAttack its own.
        seed: of the random numbers of the libraries.

    Raises:
        ValueError: a library is not installed, or cannot attack this model.
    """
    names = [CROSS_ENTROPY, "dlr", "margin"] if classes > MAX_CLASSES_WITHOUT_DLR else [CROSS_ENTROPY, "margin"]
    targets = budget._replace(restarts=min(classes - 1, external_attacks.MAX_TARGETS))
    pgds = [_pgd(victim, loss, budget) for loss in (CROSS_ENTROPY, "margin")]
    apgds = [*(_apgd(victim, loss, budget) for loss in names), _apgd(victim, ONE_TARGET_EACH, targets)]
    exact = [attack.name for attack in (*pgds, *apgds)]
    more_steps = budget._replace(steps=2 * budget.steps)
    more_restarts = _apgd(victim, "margin", budget._replace(restarts=2 * budget.restarts), budget.restarts)
    compared_with_exact = [
        *apgds,
        _pgd(victim, "margin", more_steps)._replace(name="pgd-margin-steps", kind="doubled"),
        more_restarts._replace(name="apgd-margin-restarts", kind="doubled"),
        *(_surrogate(victim, method, t, budget) for t in temperatures for method in (_pgd, _apgd)),
        *(_transfer(victim, source, name, budget) for name, source in (sources or {}).items()),
        Attack("square", "black", partial(square, victim, queries=budget.queries)),
        Attack("random", "black", partial(random_search, victim, queries=budget.queries)),
    ]
    compared_with_exact = [attack._replace(after=attack.after or exact) for attack in compared_with_exact]
    independent = [LIBRARY_ATTACKS[name](victim, classes, budget, seed) for name in libraries]
    return [Attack("fgsm", "single", partial(fgsm, victim)), *pgds, *compared_with_exact, *independent]


def planted_point_attacks(victim: nn.Module, budget: Budget, temperatures: Sequence[float]) -> list[Attack]:
    """The attacks of the suite that follow a gradient and can be given goals: those on the margin."""
    exact = [_pgd(victim, "margin", budget), _apgd(victim, "margin", budget)]
    return [*exact, *(_surrogate(victim, method, t, budget) for t in temperatures for method in (_pgd, _apgd))]


def _pgd(victim: Model, loss: str, budget: Budget) -> Attack:
    run = partial(pgd, victim, loss=LOSSES[loss], steps=budget.steps, restarts=budget.restarts)
    return Attack(f"pgd-{loss}", "exact", run, loss)


def _apgd(victim: Model, loss: str, budget: Budget, first_restart: int = 0) -> Attack:
    steps, restarts = budget.steps, budget.restarts
    run = partial(apgd, victim, loss=LOSSES.get(loss), steps=steps, restarts=restarts, first_restart=first_restart)
    return Attack(f"apgd-{loss}", "exact", run, loss)


def _surrogate(victim: nn.Module, method: Callable[..., Attack], temperature: float, budget: Budget) -> Attack:
    """A margin attack with surrogate gradients; PGD is compared with the exact PGD alone."""
    exact = method(victim, "margin", budget)

    def run(*given: Any) -> AttackResult:
        with surrogate_gradients(victim, temperature):
            return exact.run(*given)

    name = f"surrogate-{exact.name.removesuffix('-margin')}-T={temperature:g}"
    return Attack(name, "surrogate", run, like=exact.name, after=[exact.name] if method is _pgd else ())


def _transfer(victim: Model, source: Model, name: str, budget: Budget) -> Attack:
    run = partial(pgd, source, loss=margin, steps=budget.steps, restarts=budget.restarts, judge=victim)
    return Attack(f"transfer-{name}-pgd", "transfer", run)


def _autoattack(victim: nn.Module, classes: int, budget: Budget, seed: int) -> Attack:
    external_attacks.check_autoattack(classes)

    def run(x: Tensor, labels: Tensor, ball: NormBall, _: RandomStreams) -> AttackResult:
        return external_attacks.autoattack(victim, x, labels, ball, classes=classes, seed=seed)

    return Attack("autoattack", "library", run)


def _minimum_norm(victim: nn.Module, classes: int, budget: Budget, seed: int) -> Attack:
    external_attacks.import_library("foolbox")
    steps = FOOLBOX_STEPS * budget.steps

    def run(x: Tensor, labels: Tensor, ball: NormBall, _: RandomStreams) -> AttackResult:
        return external_attacks.minimum_norm(victim, x, labels, ball, steps=steps, seed=seed).within(ball.epsilon)

    return Attack("minimum-norm", "library", run)


LIBRARY_ATTACKS: Final = {"autoattack": _autoattack, "foolbox": _minimum_norm}
