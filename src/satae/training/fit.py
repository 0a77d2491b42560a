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
    alpha: float  # weight of the penalty in the last step
    samples_per_s: float
    lr: float
    loss: float | None  # of the last step

    def scalars(self) -> dict[str, float]:
        """The numbers to log."""
        return {"alpha": self.alpha, "lr": self.lr, "samples_per_s": self.samples_per_s}


class Position(NamedTuple):
    """Where a training stands: with the weights, the optimiser and the noise, all that it needs to go on."""

    step: int  # optimiser steps so far
    order: Tensor  # the state in which the generator of the order began the epoch that comes next or goes on


def beginning(order: Generator) -> Position:
    """Where a training begins, the order of whose samples is drawn from a CPU generator."""
    return Position(0, order.get_state())


class Moment(NamedTuple):
    """A moment at which a training can be left."""

    position: Position
    epoch: Epoch | None  # what the pass came to that has just ended; None within one


class NonFinite(ArithmeticError):
    """What is trained is no number any more."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what}; try a smaller optim.lr or alpha")


class NonFiniteLoss(NonFinite):
    """The loss became nan or infinite."""

    def __init__(self, step: int, value: float, last: float | None) -> None:
        before = "at the first step" if step == 1 else f"after {last:.6g} the step before" if last is not None else ""
        super().__init__(f"the loss is {value} at step {step}" + (f", {before}" if before else ""))


class NonFiniteWeights(NonFinite):
    """A weight became nan or infinite."""

    def __init__(self, step: int) -> None:
        super().__init__(f"a weight is not finite after step {step}")


def steps_per_epoch(samples: int, batch_size: int) -> int:
    """Steps of one pass over the samples; the last one may be of fewer."""
    return -(-samples // batch_size)


def batches(x: Stored, size: int, generator: Generator, skip: int = 0) -> Iterator[Stored]:
    """The rows of ``x`` in an order drawn from ``generator``, ``size`` at a time; the last batch may be smaller.

    The first ``skip`` batches are left out.
    """
    order = torch.randperm(len(x), generator=generator)[skip * size :]
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
    begin: Position,
    *,
    epochs: int,
    batch_size: int,
    decoder_norm: int | None = None,
    pause: Callable[[int], bool] = lambda step: False,
) -> Iterator[Moment]:
    """Train, and report after each epoch, and within one where that is asked for.

    Args:
        model: changed in place; in training mode whenever it is stepped.
        dataset: its training split, on the device of the model.
        gradient: (model, x, x_noisy, alpha) -> losses, whose gradient it leaves in the weights.
        noise: x -> x_noisy.
        optimiser: over the parameters of ``model``.
        schedule: alpha, by the share of the training that is done.
        begin: where to begin, or to go on.
        epochs: passes over the training split.
        batch_size: samples for one step.
        decoder_norm: scale the decoder's weights to unit length every so many steps; None for never.
        pause: asked after each step whether to report within the epoch.

    Yields:
        A ``Moment`` after each pass and in each pause.

    Raises:
        NonFiniteLoss: a loss was nan or infinite.
    """
    per_epoch = steps_per_epoch(len(dataset.train.x), batch_size)
    take_step = plain_step(optimiser)
    step, order = begin.step, Generator()
    order.set_state(begin.order)
    alpha, watch = schedule(step / (epochs * per_epoch)), _Watch(step)
    for number in range(step // per_epoch + 1, epochs + 1):
        began, first, seconds, since = order.get_state(), step, 0.0, time.perf_counter()
        model.train()
        for stored in batches(dataset.train.x, batch_size, order, step % per_epoch):
            alpha = schedule(step / (epochs * per_epoch))
            x = dataset.batch(stored)
            losses = gradient(model, x, noise(x), alpha)
            take_step()
            step += 1
            if decoder_norm and step % decoder_norm == 0:
                model.normalise_decoder()
            watch.add(losses.total)
            if pause(step) and step % per_epoch:
                watch.look()
                seconds += time.perf_counter() - since
                yield Moment(Position(step, began), None)
                model.train()
                since = time.perf_counter()
        watch.look()
        seconds += time.perf_counter() - since
        samples = len(dataset.train.x) - (first % per_epoch) * batch_size
        epoch = Epoch(number, alpha, samples / seconds, optimiser.param_groups[0]["lr"], watch.last)
        yield Moment(Position(step, order.get_state()), epoch)


class _Watch:
    """Looks for losses that are not finite, a hundred at a time."""

    def __init__(self, step: int) -> None:
        self.step = step
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
