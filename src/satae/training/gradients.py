"""The gradient of a training batch: by automatic differentiation, or by the faster hand-written step."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor

from satae.model.autoencoder import DenoisingAutoencoder
from satae.model.objective import Losses, Objective
from satae.training import mlp_step
from satae.training.torch_settings import Precision

BatchLosses = Callable[[DenoisingAutoencoder, Tensor, Tensor, float], Losses]  # (model, x, x_noisy, alpha) -> losses
Gradient = BatchLosses  # it also leaves the gradient of the total in the weights of the model

COMPILE_MODES: Final = {"cuda": "reduce-overhead"}  # by type of device: CUDA graphs on a GPU


def choose_gradient(
    model: DenoisingAutoencoder, objective: Objective, precision: Precision, compile_size: int | None = None
) -> Gradient:
    """The fastest way to compute the gradient.

    The forward pass of batches of ``compile_size`` is compiled; None compiles nothing.
    """
    if compile_size is None and mlp_step.applies(model, objective):
        return mlp_step.MlpStep(model, objective, precision)
    return by_autograd(batch_losses(objective, precision, model.mean.device, compile_size))


def by_autograd(losses_of: BatchLosses) -> Gradient:
    """Automatic differentiation, for any model and any losses."""

    def gradient(model: DenoisingAutoencoder, x: Tensor, x_noisy: Tensor, alpha: float) -> Losses:
        losses = losses_of(model, x, x_noisy, alpha)
        for weights in model.parameters():  # as ``zero_grad``, without its profiler and its search for a compiler
            weights.grad = None
        losses.total.backward()
        return Losses(*(value.detach() for value in losses))

    return gradient


def batch_losses(
    objective: Objective, precision: Precision, device: torch.device, compile_size: int | None = None
) -> BatchLosses:
    """The losses of a batch, with a forward pass in some precision.

    It is compiled for batches of ``compile_size``; a smaller last batch is not worth a compilation of its own.
    """

    def terms(model: DenoisingAutoencoder, x: Tensor, x_noisy: Tensor) -> tuple[Tensor, Tensor]:
        with precision.products(device):
            trace = model.trace(x_noisy)
        return objective.terms(trace, model.standardize(x))

    if compile_size is not None:
        torch.compiler.reset()  # else the runs of a process share a limit, beyond which nothing is compiled any more
        compiled = torch.compile(terms, mode=COMPILE_MODES.get(device.type))

        def compiled_terms(model: DenoisingAutoencoder, x: Tensor, x_noisy: Tensor) -> tuple[Tensor, Tensor]:
            reconstruction, saturation = compiled(model, x, x_noisy)
            return reconstruction.clone(), saturation.clone()  # a CUDA graph writes its results to one place each time

    def losses_of(model: DenoisingAutoencoder, x: Tensor, x_noisy: Tensor, alpha: float) -> Losses:
        terms_of = compiled_terms if len(x) == compile_size else terms
        return Losses.of(*terms_of(model, x, x_noisy), alpha)  # alpha changes with each step and stays outside

    return losses_of


def missing_compiler(device: torch.device) -> str:
    """The compiler that torch would call and that does not answer, or "": on a CPU, one for C++."""
    compiler = os.environ.get("CXX", "g++")
    if device.type != "cpu":
        return ""
    try:
        subprocess.run([compiler, "--version"], capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return compiler
    return ""
