"""What is attacked: a classifier, alone and behind an autoencoder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Final, NamedTuple

from torch import nn

from satae.evaluation.subject import digest

OWN, TWIN, ALONE = "own", "twin", "alone"
MEANING: Final = {
    ALONE: "the classifier alone",
    TWIN: "classifier(autoencoder(x)), its autoencoder trained with alpha=0",
    OWN: "classifier(autoencoder(x))",
}

Change = Callable[[nn.Module], AbstractContextManager[None]]


def _unchanged(model: nn.Module) -> AbstractContextManager[None]:
    return nullcontext()


class Victim(NamedTuple):
    """A model under attack; its gradients flow through all of it."""

    name: str
    model: nn.Module  # inputs (N, *shape) in the data's units -> logits (N, labels)
    path: str  # of the gradient
    change: Change = _unchanged  # of its activations, while it is attacked
    changed: str = ""  # what that is, in a word

    @classmethod
    def of(cls, name: str, *parts: nn.Module, path: str) -> Victim:
        """Put parts one behind another; an attack asks for no gradients of their weights."""
        return cls(name, nn.Sequential(*parts).eval().requires_grad_(False), path)

    @contextmanager
    def in_place(self) -> Iterator[nn.Module]:
        """The model as it is attacked, for as long as the context lasts."""
        with self.change(self.model):
            yield self.model

    def fingerprint(self) -> str:
        """SHA-256 of all that an attack on it depends on: structure and weights."""
        return digest(self.model.state_dict(), str(self.model), self.changed)
