"""A batch under attack: examples leave it as soon as they are fooled, so no more work is spent on them."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor

from satae.robustness.attack_losses import Model, mask_label
from satae.robustness.random_streams import RandomStreams

State = TypeVar("State", bound=tuple[Any, ...])


class AttackResult(NamedTuple):
    """What an attack found."""

    x: Tensor  # (N, *shape): adversarial examples; the clean input if none was found
    fooled: Tensor  # (N,) bool: the prediction differs from the label; also true if it was wrong before the attack


class ActiveBatch:
    """The examples of a batch that are not fooled yet.

    Attributes:
        x: inputs of the active examples (M, *shape).
        labels: their labels (M,).
        streams: their random numbers.
        other_classes: all classes but the label, likeliest first (M, classes - 1).
    """

    def __init__(self, judge: Model, x: Tensor, labels: Tensor, streams: RandomStreams) -> None:
        """Start with the examples that the model classifies correctly; the others count as fooled.

        Args:
            judge: the model to fool.
            x: inputs (N, *shape) in the range of the data.
            labels: (N,).
            streams: random numbers of these inputs.
        """
        self.judge = judge
        self.x, self.labels, self.streams = x.detach(), labels, streams
        self._found = self.x.clone()
        self._active = torch.arange(len(x), device=x.device)
        self._fooled = torch.zeros(len(x), dtype=torch.bool, device=x.device)
        with torch.no_grad():
            logits = judge(self.x)
        self.other_classes = mask_label(logits, labels).argsort(dim=1, descending=True)[:, :-1]
        self.remove_fooled(self.x, logits)

    def __len__(self) -> int:
        return len(self._active)

    @torch.no_grad()
    def remove_fooled(self, points: Tensor, logits: Tensor | None = None) -> Tensor:
        """Record and remove the examples whose point fools the model.

        Args:
            points: one for each active example (M, *shape).
            logits: of the judge at these points, if they are known.

        Returns:
            Which examples stay active: booleans (M,).
        """
        if not len(self):
            return torch.ones(0, dtype=torch.bool, device=points.device)
        answers = self.judge(points) if logits is None else logits
        fooled = (answers.argmax(dim=1) != self.labels) | ~answers.isfinite().all(dim=1)
        removed = self._active[fooled]
        self._found[removed], self._fooled[removed] = points[fooled], True
        stay = ~fooled
        self.x, self.labels, self.streams = self.x[stay], self.labels[stay], self.streams[stay]
        self.other_classes, self._active = self.other_classes[stay], self._active[stay]
        return stay

    def result(self) -> AttackResult:
        """Everything found so far."""
        return AttackResult(self._found, self._fooled)


def select_examples(state: State, stay: Tensor) -> State:
    """A NamedTuple of tensors (M, ...), reduced to the examples that stay."""
    return type(state)(*(part[stay] for part in state))
