"""The losses of a training batch: the objective, its forward pass in a precision, compiled where that is asked for."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor

from satae.model.autoencoder import DenoisingAutoencoder
from satae.model.objective import Losses, Objective
from satae.training.precision import Precision

Forward = Callable[[DenoisingAutoencoder, Tensor, Tensor, float], Losses]  # of (model, x, x_noisy, alpha)
Terms = Callable[[DenoisingAutoencoder, Tensor, Tensor], tuple[Tensor, Tensor]]  # of (model, x, x_noisy)

MODES: Final = {"cuda": "reduce-overhead"}  # by kind of device: on a GPU, CUDA graphs


def forward(objective: Objective, precision: Precision, device: torch.device, compiled: int | None = None) -> Forward:
    """What the loop calls for each batch.

    Args:
        objective: gives the losses.
        precision: of the forward pass.
        device: of the model.
        compiled: the size of the batches for which the forward pass is compiled; None for none. A last, smaller
            batch is not worth a compilation of its own.
    """

    def terms(model: DenoisingAutoencoder, x: Tensor, x_noisy: Tensor) -> tuple[Tensor, Tensor]:
        with precision.products(device):
            trace = model.trace(x_noisy)
        return objective.terms(trace, model.standardise(x))

    quick = terms if compiled is None else _compile(terms, device)

    def losses(model: DenoisingAutoencoder, x: Tensor, x_noisy: Tensor, alpha: float) -> Losses:
        return Losses.of(*(quick if len(x) == compiled else terms)(model, x, x_noisy), alpha)

    return losses


def _compile(terms: Terms, device: torch.device) -> Terms:
    """The same, compiled; alpha, which changes from step to step, stays outside."""
    quick = torch.compile(terms, mode=MODES.get(device.type))

    def copied(model: DenoisingAutoencoder, x: Tensor, x_noisy: Tensor) -> tuple[Tensor, Tensor]:
        reconstruction, saturation = quick(model, x, x_noisy)
        return reconstruction.clone(), saturation.clone()  # a CUDA graph writes its results to one place each time

    return copied


def can_compile(device: torch.device) -> bool:
    """Whether there is the compiler that torch calls: on a CPU, one for C++."""
    return device.type != "cpu" or shutil.which(os.environ.get("CXX", "g++")) is not None
