"""The whole suite on one model at one radius, each attack on those that the ones before it have left."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import torch
from torch import Tensor

from satae import robustness
from satae.data import cache
from satae.evaluation.memory import Memory
from satae.evaluation.subject import Subject
from satae.evaluation.trained import FOLDER
from satae.evaluation.victims import Victim
from satae.robustness.attacks import Attack, Budget, of_libraries, suite
from satae.robustness.ball import Norm
from satae.robustness.draws import Draws
from satae.robustness.evidence import Result
from satae.robustness.objectives import has_no_gradient

Step = Callable[[], None]

SHORT: Final = Budget(steps=20, restarts=1, queries=1)


class Arsenal(NamedTuple):
    """What a model is attacked with."""

    norm: Norm
    budget: Budget
    temperatures: tuple[float, ...]  # of the surrogate gradients
    sources: Mapping[str, Victim]  # models whose adversarial examples are tried on it
    libraries: Sequence[str] = ()  # whose attacks are made, too


class Siege:
    """A model under attack, with all that is known of it so far."""

    def __init__(self, subject: Subject, victim: Victim, arsenal: Arsenal) -> None:
        """Get ready.

        Args:
            subject: with labels, whose inputs are perturbed.
            victim: the model.
            arsenal: what it is attacked with.
        """
        self.subject, self.victim, self.arsenal = subject, victim, arsenal
        y = subject.labels
        with victim.attacked() as model:
            logits = subject.mapped(model, subject.x)
            self.no_gradient = subject.mapped(lambda x, y: has_no_gradient(model, x, y), subject.x, y)
        self.correct = (logits.argmax(dim=1) == y) & logits.isfinite().all(dim=1)
        self.classes, self.chance = logits.shape[1], y.bincount().max().item() / len(y)
        sources = {name: source.model for name, source in arsenal.sources.items()}
        self.attacks = [
            *suite(victim.model, self.classes, arsenal.budget, sources=sources, temperatures=arsenal.temperatures),
            *of_libraries(victim.model, self.classes, arsenal.budget, arsenal.libraries, subject.seed),
        ]
        self._transferred = [source.fingerprint(subject.inputs()) for source in arsenal.sources.values()]
        self.results: list[Result] = []
        self._tried: dict[tuple[str, float], int] = {}
        self._examples = torch.arange(len(y), device=y.device)
        self._memory = Memory(cache.folder() / FOLDER / f"attacks-{victim.fingerprint(subject.inputs())[:20]}.jsonl")

    def attack(self, attack: Attack, epsilon: float) -> None:
        """Make one of the attacks at one radius; what is known of it is not made again.

        Args:
            attack: one of its own.
            epsilon: the radius, as a share of the range of the data.
        """
        fooled = ~self.correct
        todo = self._left_for(attack, epsilon) & self.correct
        self._tried[attack.name, epsilon] = int(todo.sum())
        told = self._key(attack, epsilon)
        known = self._memory.known(told, self._examples[todo].tolist())
        for example, broken in known.items():
            fooled[example], todo[example] = broken, False
        if todo.any():
            with self.victim.attacked():
                fooled[todo] = self._fooled(attack, epsilon, self._examples[todo], told)
        self.results.append(Result(attack.name, attack.kind, epsilon, ~fooled, attack.like))

    def steps(self, epsilon: float) -> list[Step]:
        """All attacks at one radius, in their order, each to be called."""
        return [functools.partial(self.attack, attack, epsilon) for attack in self.attacks]

    @property
    def plain(self) -> list[str]:
        """The attacks that follow the exact gradient, step by step."""
        return [attack.name for attack in self.attacks if attack.kind == "plain"]

    def halving(self, radii: Sequence[float]) -> float:
        """The radius, of shares of the range, at which about half of what is right withstands a short attack."""
        pgd = next(attack for attack in suite(self.victim.model, self.classes, SHORT) if attack.name == "pgd-margin")
        examples = self._examples[self.correct]
        with self.victim.attacked():
            fooled = {radius: self._fooled(pgd, radius, examples).float().mean().item() for radius in radii}
        return min(radii, key=lambda radius: abs(fooled[radius] - 0.5))

    def tried(self, result: Result) -> int:
        """On how many examples an attack was made."""
        return self._tried[result.attack, result.epsilon]

    def broken(self, epsilon: float, *names: str) -> Tensor:
        """Which examples some of these attacks have broken at a radius, or any of all: booleans (n,)."""
        found = ~self.correct
        for result in self.results:
            if result.epsilon == epsilon and (result.attack in names or not names):
                found |= ~result.withstood
        return found

    def _left_for(self, attack: Attack, epsilon: float) -> Tensor:
        """The examples that tell something: those that what it is held against has not broken."""
        spared = [one.name for one in self.attacks if one is not attack and _is_held_against(attack, one)]
        return ~self.broken(epsilon, *spared) if spared else torch.ones_like(self.correct)

    def _fooled(self, attack: Attack, epsilon: float, examples: Tensor, told: str | None = None) -> Tensor:
        """Which of some examples an attack fools; kept in memory under a name, if it is given one."""
        ball = self.subject.ball(self.arsenal.norm, epsilon)

        def on_batch(x: Tensor, y: Tensor, examples: Tensor) -> Tensor:
            fooled = attack.run(x, y, ball, Draws.of(self.subject.seed, examples)).fooled
            if told is not None:
                self._memory.keep(told, examples.tolist(), fooled.tolist())
            return fooled

        return self.subject.mapped(on_batch, self.subject.x[examples], self.subject.labels[examples], examples)

    def _key(self, attack: Attack, epsilon: float) -> str:
        """An attack with all that its outcome follows from, beside the victim and its inputs."""
        key = [
            attack.name,
            *self.arsenal.budget,
            self.arsenal.norm,
            epsilon,
            *self.subject.data.span,
            self.subject.seed,
        ]
        if attack.kind == "transfer":
            key += self._transferred
        return " ".join(map(str, [*key, _sources()]))


@functools.cache
def _sources() -> str:
    """SHA-256 of the attacks as they are written: an edited one is made anew."""
    files = sorted(Path(robustness.__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]


def _is_held_against(attack: Attack, other: Attack) -> bool:
    """Whether an attack is asked what it adds to another one; what that one has broken it is spared.

    Single steps and the plain PGD are made on every example. A softened PGD is held against the PGD that differs from
    it in the gradient alone; all others against every attack that follows the exact gradient.
    """
    if attack.kind == "single" or attack.name in ("pgd-ce", "pgd-margin"):
        return False
    if attack.like.startswith("pgd"):
        return other.name == attack.like
    return other.kind == "plain"
