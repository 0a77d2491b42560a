"""What came of the attacks, example by example, and whatever else the checks look at."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

from torch import Tensor

from satae.robustness.attacks import Attack, Kind
from satae.robustness.proportions import Share
from satae.robustness.verdict import Verdict


class Result(NamedTuple):
    """What one attack came to at one radius."""

    attack: Attack
    epsilon: float
    withstood: Tensor  # (n,), booleans; true of what the attack was not made on


class Outcomes(NamedTuple):
    """What all attacks on a model came to, or some of them."""

    correct: Tensor  # (n,), booleans: right without an attack
    results: Sequence[Result] = ()

    def at(self, epsilon: float) -> Outcomes:
        """Of those at a radius."""
        return self._replace(results=[result for result in self.results if result.epsilon == epsilon])

    def only(self, keep: Callable[[Attack], bool]) -> Outcomes:
        """Of those that a function says True of."""
        return self._replace(results=[result for result in self.results if keep(result.attack)])

    def of(self, *kinds: Kind) -> Outcomes:
        """Of those of some kinds."""
        return self.only(lambda attack: attack.kind in kinds)

    def by(self, names: Collection[str]) -> Outcomes:
        """Of those with some names."""
        return self.only(lambda attack: attack.name in names)

    @property
    def epsilons(self) -> list[float]:
        """The radii, rising."""
        return sorted({result.epsilon for result in self.results})

    @property
    def broken(self) -> Tensor:
        """Which examples are wrong without an attack, or under any of these: booleans (n,)."""
        found = ~self.correct
        for result in self.results:
            found = found | ~result.withstood
        return found

    @property
    def accuracy(self) -> Share:
        """The share of the examples that withstand every one of these: the mean of the minimum over the attacks."""
        return Share.of(int((~self.broken).sum()), len(self.correct))


class Control(NamedTuple):
    """What came of the positive control: a model as it is, and with its gradients hidden more and more."""

    unchanged: tuple[Verdict, float]  # of the suite on it, and its robust accuracy
    hidden: Mapping[str, tuple[Verdict, float]]  # the same model, the same values, other gradients, by how these are


class Evidence(NamedTuple):
    """All that the checks look at."""

    outcomes: Outcomes
    chance: float  # the accuracy of the best constant answer
    no_gradient: Tensor  # (n,), booleans: inputs whose gradient leads nowhere
    path: str  # of the gradient, such as "exact, through classifier(autoencoder(x))"
    whole: bool  # the pipeline was attacked, and not the autoencoder or the classifier alone
    on_logits: bool  # what it gives are logits
    everything: float | None = None  # the radius at which every input can become the same grey image
    twin: Outcomes | None = None  # of the same attacks on the model trained with alpha = 0
    control: Control | None = None
    reported: dict[float, float] | None = None  # by radius, the robust accuracy that is printed
