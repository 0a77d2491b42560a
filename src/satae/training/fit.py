"""The training loop."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Generator, Tensor
from torch.optim import Optimizer

from satae.data.dataset import Dataset, Stored
from satae.model.autoencoder import DenoisingAutoencoder
from satae.training.gradient import Gradient
from satae.training.schedule import Schedule
from satae.training.step import plain_step

CHECK_EVERY = 100  # steps between looks at the losses: a look waits for the device


class Epoch(NamedTuple):
    """What one pass over the training data came to."""

    number: int  # from 1
    step: int  # optimiser steps so far
    alpha: float  # weight of the penalty in the last step
    samples_per_s: float
    lr: float
    loss: float  # of the last step

    def scalars(self) -> dict[str, float]:
        """The numbers to log."""
        return {"alpha": self.alpha, "lr": self.lr, "samples_per_s": self.samples_per_s}


class NonFiniteLoss(ArithmeticError):
    """The loss became nan or infinite."""

    def __init__(self, step: int, value: float, last: float | None) -> None:
        before = "at the first step" if last is None else f"after {last:.6g} the step before"
        super().__init__(f"the loss is {value} at step {step}, {before}; try a smaller optim.lr or alpha")


def batches(x: Stored, size: int, generator: Generator) -> Iterator[Stored]:
    """The rows of ``x`` in an order drawn from ``generator``, ``size`` at a time; the last batch may be smaller."""
    order = torch.randperm(len(x), generator=generator)
    for index in (order.to(x.device) if isinstance(x, Tensor) else order).split(size):  # to a GPU at once
        # quicker than x[index]
        yield x.index_select(0, index)


def fit(
    model: DenoisingAutoencoder,
    dataset: Dataset,
    gradient: Gradient,
    noise: Callable[[Tensor], Tensor],
    optimiser: Optimizer,
    schedule: Schedule,
    *,
    epochs: int,
    batch_size: int,
    order: Generator,
    decoder_norm: int | None = None,
) -> Iterator[Epoch]:
    """Train, and report after each epoch.

    Args:
        model: changed in place; in training mode whenever it is stepped.
        dataset: its training split, on the device of the model.
        gradient: (model, x, x_noisy, alpha) -> losses, whose gradient it leaves in the weights.
        noise: x -> x_noisy.
        optimiser: over the parameters of ``model``.
        schedule: alpha, by the share of the training that is done.
        epochs: passes over the training split.
        batch_size: samples for one step.
        order: draws the order of the samples; a CPU generator.
        decoder_norm: scale the decoder's weights to unit length every so many steps; None for never.

    Yields:
        One ``Epoch`` after each pass.

    Raises:
        NonFiniteLoss: a loss was nan or infinite.
    """
    per_epoch = -(-len(dataset.train.x) // batch_size)
    take_step = plain_step(optimiser)
    step, alpha, watch = 0, schedule(0.0), _Watch()
    for number in range(1, epochs + 1):
        started = time.perf_counter()
        model.train()
        for stored in batches(dataset.train.x, batch_size, order):
            alpha = schedule(step / (epochs * per_epoch))
            x = dataset.batch(stored)
            losses = gradient(model, x, noise(x), alpha)
            take_step()
            step += 1
            if decoder_norm and step % decoder_norm == 0:
                model.normalise_decoder()
            watch.add(losses.total)
        watch.look()
        speed = len(dataset.train.x) / (time.perf_counter() - started)
        yield Epoch(number, step, alpha, speed, optimiser.param_groups[0]["lr"], watch.last or 0.0)


class _Watch:
    """Looks for losses that are not finite, a hundred at a time."""

    def __init__(self) -> None:
        self.step = 0
        self.losses: list[Tensor] = []
        self.last: float | None = None

    def add(self, loss: Tensor) -> None:
        self.losses.append(loss)
        if len(self.losses) >= CHECK_EVERY:
            self.look()

    def look(self) -> None:
        for value in torch.stack(self.losses).tolist() if self.losses else []:
            self.step += 1
            if not abs(value) < float("inf"):
                raise NonFiniteLoss(self.step, value, self.last)
            self.last = value
        self.losses.clear()
