"""The whole suite on one model at one radius, each attack on those that the ones before it have left."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

import torch
from torch import Tensor

from satae.data.local_files import cache_folder
from satae.evaluation.memory import Memory
from satae.evaluation.subject import Subject, digest
from satae.evaluation.trained import FOLDER
from satae.evaluation.victims import Victim
from satae.robustness import external_attacks
from satae.robustness.attack_losses import has_no_gradient
from satae.robustness.attack_suite import Attack, Budget, attack_suite
from satae.robustness.masking_checks import AttackOutcome, AttackOutcomes
from satae.robustness.norm_ball import Norm
from satae.robustness.random_streams import RandomStreams
from satae.runs import provenance

Step = Callable[[], None]

HALVINGS: Final = 8  # of the largest radius, which leave it known to a 500th of that
SHORT: Final = Budget(steps=20, restarts=1, queries=1)


class Plan(NamedTuple):
    """What models are attacked with."""

    norm: Norm
    budget: Budget
    temperatures: tuple[float, ...]  # of the surrogate gradients
    sources: Mapping[str, Victim] = {}  # models whose adversarial examples are tried
    libraries: Sequence[str] = ()  # whose attacks are made, too


class Attacked:
    """A model under attack, with all that is known of it so far.

    Attributes:
        correct: (n,), booleans: the inputs of which it is right without an attack.
        no_gradient: (n,), booleans: those whose gradient leads nowhere.
        chance: the accuracy of the best constant answer.
    """

    def __init__(self, subject: Subject, victim: Victim, plan: Plan) -> None:
        """Get ready.

        Args:
            subject: with labels, whose inputs are perturbed.
            victim: the model.
            plan: what it is attacked with.
        """
        self.subject, self.victim, self.plan = subject, victim, plan
        y = subject.labels
        with victim.in_place() as model:
            logits = subject.mapped(model, subject.x)
            self.no_gradient = subject.mapped(lambda x, y: has_no_gradient(model, x, y), subject.x, y)
        self.correct = (logits.argmax(dim=1) == y) & logits.isfinite().all(dim=1)
        self.classes, self.chance = logits.shape[1], y.bincount().max().item() / len(y)
        self.attacks = attack_suite(
            victim.model,
            self.classes,
            plan.budget,
            sources={name: source.model for name, source in plan.sources.items()},
            temperatures=plan.temperatures,
            libraries=plan.libraries,
            seed=subject.seed,
        )
        self._transferred = [source.fingerprint() for source in plan.sources.values()]
        self._results: list[AttackOutcome] = []
        self._tried: dict[tuple[str, float], int] = {}
        self._examples = torch.arange(len(y), device=y.device)
        self._names = [digest({"x": x, "y": y}, str(i))[:16] for i, (x, y) in enumerate(zip(subject.x, y, strict=True))]
        self._memory = Memory(cache_folder() / FOLDER / f"attacks-{victim.fingerprint()[:20]}.jsonl")

    @property
    def outcomes(self) -> AttackOutcomes:
        """Of all attacks that were made."""
        return AttackOutcomes(self.correct, self._results)

    def steps(self, epsilon: float) -> list[Step]:
        """All attacks at one radius, in their order, each to be called; what is known of one is not made again."""
        return [functools.partial(self._attack, attack, epsilon) for attack in self.attacks]

    def tried(self, result: AttackOutcome) -> int:
        """On how many examples an attack was made."""
        return self._tried[result.attack.name, result.epsilon]

    def halving(self, most: float) -> float:
        """The radius, as a share of the range, at which about half of what is right withstands a short attack.

        Args:
            most: the largest that is looked at.
        """
        pgd = next(
            attack for attack in attack_suite(self.victim.model, self.classes, SHORT) if attack.name == "pgd-margin"
        )
        low, high, right = 0.0, most, self._examples[self.correct]
        with self.victim.in_place():
            for _ in range(HALVINGS if len(right) else 0):
                middle = (low + high) / 2
                broken = self._fooled(pgd, middle, right).float().mean().item()
                low, high = (low, middle) if broken > 0.5 else (middle, high)
        return (low + high) / 2

    def _attack(self, attack: Attack, epsilon: float) -> None:
        fooled = ~self.correct
        todo = self.correct & ~self.outcomes.at(epsilon).named(attack.after).broken
        self._tried[attack.name, epsilon] = int(todo.sum())
        told, chosen = self._key(attack, epsilon), self._examples[todo].tolist()
        known = self._memory.known(told, [self._names[example] for example in chosen])
        for example in chosen:
            if (broken := known.get(self._names[example])) is not None:
                fooled[example], todo[example] = broken, False
        if todo.any():
            with self.victim.in_place():
                fooled[todo] = self._fooled(attack, epsilon, self._examples[todo], told)
        self._results.append(AttackOutcome(attack, epsilon, ~fooled))

    def _fooled(self, attack: Attack, epsilon: float, examples: Tensor, told: str | None = None) -> Tensor:
        """Which of some examples an attack fools; kept in memory under a name, if it is given one."""
        ball = self.subject.ball(self.plan.norm, epsilon)

        def on_batch(x: Tensor, y: Tensor, examples: Tensor) -> Tensor:
            fooled = attack.run(x, y, ball, RandomStreams.for_examples(self.subject.seed, examples)).fooled
            if told is not None:
                self._memory.keep(told, [self._names[example] for example in examples.tolist()], fooled.tolist())
            return fooled

        return self.subject.mapped(on_batch, self.subject.x[examples], self.subject.labels[examples], examples)

    def _key(self, attack: Attack, epsilon: float) -> str:
        """An attack with all that its outcome follows from, beside the victim and the input."""
        key = [attack.name, *self.plan.budget, *self.subject.ball(self.plan.norm, epsilon), self.subject.seed]
        key += [self.subject.x.device.type, *provenance.program_version().values()]
        if attack.kind == "transfer":
            key += self._transferred
        if attack.kind == "library":
            key += external_attacks.versions(self.plan.libraries)
        return " ".join(map(str, key))
