"""The losses of a training batch: the objective, its forward pass in a precision, compiled where that is asked for."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor

from satae.model.autoencoder import DenoisingAutoencoder
from satae.model.objective import Losses, Objective
from satae.training.precision import Precision

LossesOf = Callable[[DenoisingAutoencoder, Tensor, Tensor, float], Losses]  # of (model, x, x_noisy, alpha)
Terms = Callable[[DenoisingAutoencoder, Tensor, Tensor], tuple[Tensor, Tensor]]  # of (model, x, x_noisy)

MODES: Final = {"cuda": "reduce-overhead"}  # by kind of device: on a GPU, CUDA graphs


def batch_losses(
    objective: Objective, precision: Precision, device: torch.device, compile_size: int | None = None
) -> LossesOf:
    """What the loop calls for each batch.

    Args:
        objective: gives the losses.
        precision: of the forward pass.
        device: of the model.
        compile_size: the size of the batches for which the forward pass is compiled; None for none. A last, smaller
            batch is not worth a compilation of its own.

    Returns:
        A function (model, x, x_noisy, alpha) -> losses.
    """

    def terms(model: DenoisingAutoencoder, x: Tensor, x_noisy: Tensor) -> tuple[Tensor, Tensor]:
        with precision.products(device):
            trace = model.trace(x_noisy)
        return objective.terms(trace, model.standardise(x))

    quick = terms if compile_size is None else _compiled(terms, device)

    def losses_of(model: DenoisingAutoencoder, x: Tensor, x_noisy: Tensor, alpha: float) -> Losses:
        return Losses.of(*(quick if len(x) == compile_size else terms)(model, x, x_noisy), alpha)

    return losses_of


def _compiled(terms: Terms, device: torch.device) -> Terms:
    """The same, compiled; alpha, which changes from step to step, stays outside."""
    torch.compiler.reset()  # else the runs of a process share a limit, beyond which nothing is compiled any more
    quick = torch.compile(terms, mode=MODES.get(device.type))

    def copied(model: DenoisingAutoencoder, x: Tensor, x_noisy: Tensor) -> tuple[Tensor, Tensor]:
        reconstruction, saturation = quick(model, x, x_noisy)
        return reconstruction.clone(), saturation.clone()  # a CUDA graph writes its results to one place each time

    return copied


def missing_compiler(device: torch.device) -> str:
    """The compiler that torch would call and that does not answer; nothing if it does. On a CPU, one for C++."""
    compiler = os.environ.get("CXX", "g++")
    if device.type != "cpu":
        return ""
    try:
        subprocess.run([compiler, "--version"], capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return compiler
    return ""
