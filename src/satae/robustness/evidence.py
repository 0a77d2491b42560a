"""What came of the attacks, example by example, and whatever else the checks look at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from torch import Tensor

from satae.robustness.attacks import Kind
from satae.robustness.proportions import Share

Verdict = Literal["holds", "masked", "inconclusive"]


class Result(NamedTuple):
    """What one attack came to at one radius."""

    attack: str
    kind: Kind
    epsilon: float
    withstood: Tensor  # (n,), booleans; true of what the attack was not made on
    like: str = ""  # of a surrogate, the attack that is the same but for its backward pass


class Control(NamedTuple):
    """What came of the positive control: a model as it is, and with its gradients hidden more and more."""

    unchanged: tuple[Verdict, float]  # of the suite on it, and its robust accuracy
    hidden: Sequence[tuple[Verdict, float]]  # the same model, the same values, other gradients


class Evidence(NamedTuple):
    """All that the checks look at."""

    results: Sequence[Result]
    correct: Tensor  # (n,), booleans: right without an attack
    chance: float  # the accuracy of the best constant answer
    no_gradient: Tensor  # (n,), booleans: inputs where the gradient is 0 in every element
    path: str  # of the gradient, such as "exact, through classifier(autoencoder(x))"
    whole: bool  # the pipeline was attacked, and not the autoencoder or the classifier alone
    on_logits: bool  # what it gives are logits
    everything: float | None = None  # the radius at which every input can become the same grey image
    twin: Sequence[Result] = ()  # the same attacks on the model trained with alpha = 0
    control: Control | None = None
    reported: dict[float, float] | None = None  # by radius, the robust accuracy that is printed

    @property
    def epsilons(self) -> list[float]:
        """The radii, rising."""
        return sorted({result.epsilon for result in self.results})

    def broken(self, epsilon: float, *kinds: Kind) -> Tensor:
        """Which examples some attack of these kinds breaks at a radius; of all kinds where none is named: (n,)."""
        found = ~self.correct
        for result in self.results:
            if result.epsilon == epsilon and (result.kind in kinds or not kinds):
                found = found | ~result.withstood
        return found

    def made(self, epsilon: float, kind: Kind) -> bool:
        """Whether there was such an attack at a radius."""
        return any(result.epsilon == epsilon and result.kind == kind for result in self.results)


def robust_accuracy(results: Sequence[Result], correct: Tensor, epsilon: float) -> Share:
    """The share of the examples that withstand every attack at a radius: the mean of the minimum over the attacks."""
    withstood = correct.clone()
    for result in results:
        if result.epsilon == epsilon:
            withstood &= result.withstood
    return Share.of(int(withstood.sum()), len(withstood))
