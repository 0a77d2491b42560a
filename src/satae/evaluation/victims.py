"""What is attacked: a classifier, alone and behind an autoencoder."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import NamedTuple

import torch
from torch import Tensor, nn

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
    def attacked(self) -> Iterator[nn.Module]:
        """The model as it is attacked."""
        with self.change(self.model):
            yield self.model

    def fingerprint(self, x: Tensor, y: Tensor) -> str:
        """SHA-256 of all that an attack on it depends on: structure, weights, and the inputs with their labels."""
        total = hashlib.sha256(f"{self.model} {self.changed}".encode())
        for name, tensor in (*self.model.state_dict().items(), ("x", x), ("y", y)):
            total.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            total.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
        return total.hexdigest()
