"""A batch under attack: who has been fooled, by what, and who is left."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor

from satae.robustness.draws import Draws
from satae.robustness.objectives import Model, others

State = TypeVar("State", bound=tuple[Any, ...])


class Attempt(NamedTuple):
    """What came of an attack."""

    x: Tensor  # (N, *shape): points that fool the model; the input where none was found
    fooled: Tensor  # (N,), booleans: the answer is not the label; true of those that are wrong without an attack


class Unbroken:
    """The examples of a batch that nothing has fooled yet. Those that are fooled leave it: no more is spent on them.

    Attributes:
        x: inputs that are left (M, *shape).
        labels: theirs (M,).
        draws: theirs.
        rivals: the classes that are not theirs, likeliest first (M, classes - 1).
    """

    def __init__(self, judge: Model, x: Tensor, labels: Tensor, draws: Draws) -> None:
        """Begin with a batch; what the model gets wrong as it is counts as fooled.

        Args:
            judge: the model to be fooled.
            x: inputs (N, *shape) in the range of the data.
            labels: (N,).
            draws: of these inputs.
        """
        self.judge = judge
        self.x, self.labels, self.draws = x.detach(), labels, draws
        self._found = self.x.clone()
        self._left = torch.arange(len(x), device=x.device)
        self._fooled = torch.zeros(len(x), dtype=torch.bool, device=x.device)
        with torch.no_grad():
            logits = judge(self.x)
        self.rivals = others(logits, labels).argsort(dim=1, descending=True)[:, :-1]
        self.catch(self.x, logits)

    def __len__(self) -> int:
        return len(self._left)

    @torch.no_grad()
    def catch(self, at: Tensor, logits: Tensor | None = None) -> Tensor:
        """Take out those that are fooled by ``at`` (M, *shape): which of them stay, booleans (M,).

        Args:
            at: a point for each example that is left.
            logits: of the judge there, where they are known.
        """
        if not len(self):
            return torch.ones(0, dtype=torch.bool, device=at.device)
        answers = self.judge(at) if logits is None else logits
        fooled = (answers.argmax(dim=1) != self.labels) | ~answers.isfinite().all(dim=1)
        gone = self._left[fooled]
        self._found[gone], self._fooled[gone] = at[fooled], True
        stay = ~fooled
        self.x, self.labels, self.draws = self.x[stay], self.labels[stay], self.draws[stay]
        self.rivals, self._left = self.rivals[stay], self._left[stay]
        return stay

    def attempt(self) -> Attempt:
        """What was found so far."""
        return Attempt(self._found, self._fooled)


def kept(state: State, stay: Tensor) -> State:
    """A NamedTuple of tensors (M, ...), with the examples that stay."""
    return type(state)(*(part[stay] for part in state))
