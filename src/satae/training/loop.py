"""The training loop, and how alpha grows in it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

import torch
from torch import Generator, Tensor, nn
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel

from satae.data.dataset import Dataset, Stored
from satae.errors import DIVERGED
from satae.model.autoencoder import DenoisingAutoencoder
from satae.training.gradients import Gradient
from satae.training.optimizers import plain_step

Schedule = Callable[[float], float]  # finished share of the training, in [0, 1] -> alpha, or a share of it

CHECK_EVERY: Final = 100  # steps between checks of the losses: a check waits for the device
RAMP: Final = 0.5  # share of the training over which a linear schedule rises
SCHEDULES: Final[dict[str, Schedule]] = {"linear": lambda done: min(1.0, done / RAMP), "constant": lambda done: 1.0}


def alpha_schedule(alpha: float, kind: str) -> Schedule:
    """The weight of the penalty over a training run: a function of its finished share, in [0, 1].

    ``"linear"`` rises from 0 to all of alpha over the first half of the training, then stays there; ``"constant"`` is
    all of alpha throughout.

    Raises:
        ValueError: unknown kind.
    """
    if kind not in SCHEDULES:
        raise ValueError(f"alpha_schedule={kind}: choose one of {', '.join(SCHEDULES)}")
    return lambda done: alpha * SCHEDULES[kind](done)


class Epoch(NamedTuple):
    """The facts of one pass over the training data."""

    number: int  # from 1
    alpha: float  # weight of the penalty in the last step
    samples_per_s: float
    lr: float
    loss: float | None  # of the last step
    clipped: float | None = None  # share of the steps whose gradient was clipped; None without a limit

    def scalars(self) -> dict[str, float]:
        """The numbers to log."""
        clipped = {} if self.clipped is None else {"clipped_fraction": self.clipped}
        return {"alpha": self.alpha, "lr": self.lr, "samples_per_s": self.samples_per_s, **clipped}


class Position(NamedTuple):
    """The point that a training has reached; with weights, optimizer and noise it is enough to resume."""

    step: int  # optimizer steps so far
    order: Tensor  # state of the generator of the sample order at the start of the current or next epoch
    clipped: int = 0  # steps of the current epoch whose gradient was clipped


class Pause(NamedTuple):
    """A point at which a training can stop and later resume."""

    position: Position
    epoch: Epoch | None  # the epoch that has just finished; None within an epoch


class NonFinite(ArithmeticError):
    """The loss or a weight is no longer a finite number."""

    exit_code = DIVERGED

    def __init__(self, what: str, remedy: str = "; try a smaller optim.lr or alpha") -> None:
        super().__init__(what, remedy)
        self.what, self.remedy = what, remedy

    def __str__(self) -> str:
        """The message: the number that is not finite, then the remedy."""
        return f"{self.what}{self.remedy}"


class NonFiniteLoss(NonFinite):
    """The loss became nan or infinite."""

    def __init__(self, step: int, value: float, last: float | None, split: str = "training") -> None:
        before = "at the first step" if step == 1 else f"after {last:.6g} the step before" if last is not None else ""
        super().__init__(f"the {split} loss is {value} at step {step}" + (f", {before}" if before else ""))


class NonFiniteData(NonFinite):
    """The loss became nan or infinite because of the data; other weights would not help."""

    def __init__(self, loss: NonFiniteLoss, fault: str) -> None:
        super().__init__(loss.what, f": {fault}")


class NonFiniteWeights(NonFinite):
    """A weight became nan or infinite."""

    def __init__(self, step: int) -> None:
        super().__init__(f"a weight is not finite after step {step}")


def steps_per_epoch(samples: int, batch_size: int) -> int:
    """The number of steps of one pass over the samples; the last batch may be smaller."""
    return -(-samples // batch_size)


def batches(x: Stored, size: int, generator: Generator, skip: int = 0) -> Iterator[Stored]:
    """The rows of ``x`` after the first ``skip`` batches, in an order drawn from ``generator``, ``size`` at a time."""
    order = torch.randperm(len(x), generator=generator)[skip * size :]
    for index in (order.to(x.device) if isinstance(x, Tensor) else order).split(size):  # to a GPU at once
        yield x.index_select(0, index)  # faster than x[index]


def trained_weights(model: DenoisingAutoencoder) -> list[nn.Parameter]:
    """The weights that training changes: all but those of a frozen part."""
    return [weight for weight in model.parameters() if weight.requires_grad]


def fit(
    model: DenoisingAutoencoder,
    dataset: Dataset,
    gradient: Gradient,
    noise: Callable[[Tensor], Tensor],
    optimizer: Optimizer,
    schedule: Schedule,
    start: Position,
    *,
    epochs: int,
    batch_size: int,
    decoder_norm: int | None = None,
    lr: Schedule | None = None,
    clip: float | None = None,
    average: AveragedModel | None = None,
    should_pause: Callable[[int], bool] = lambda step: False,
) -> Iterator[Pause]:
    """Train; yield after each epoch, and within an epoch whenever ``should_pause`` says so.

    Args:
        model: changed in place; in training mode during each step.
        dataset: its training split, on the device of the model.
        gradient: (model, x, x_noisy, alpha) -> losses; it leaves their gradient in the weights.
        noise: x -> x_noisy.
        optimizer: over the parameters of ``model``.
        schedule: alpha, by the finished share of the training.
        start: the point from which to train.
        epochs: passes over the training split.
        batch_size: samples in one step.
        decoder_norm: steps between scalings of the decoder's weights to unit length; None for never.
        lr: the learning rate, by the finished share of the training; None leaves it to the optimizer.
        clip: the largest norm of the gradient of all weights together; a longer one is scaled down to it.
        average: takes in the weights after each step.
        should_pause: called with the number of each finished step.

    Raises:
        NonFiniteLoss: a training loss was nan or infinite.
    """
    per_epoch = steps_per_epoch(len(dataset.train.x), batch_size)
    take_step = plain_step(optimizer)
    step, order = start.step, Generator()
    order.set_state(start.order)
    loss_check, weights, clipped = _LossCheck(step), trained_weights(model), torch.tensor(start.clipped)
    for number in range(step // per_epoch + 1, epochs + 1):
        epoch_order, first_step, seconds, since = order.get_state(), step, 0.0, time.perf_counter()
        model.train()
        for stored in batches(dataset.train.x, batch_size, order, step % per_epoch):
            alpha = schedule(done := step / (epochs * per_epoch))
            if lr is not None:
                for group in optimizer.param_groups:
                    group["lr"] = lr(done)
            x = dataset.batch(stored)
            losses = gradient(model, x, noise(x), alpha)
            if clip is not None:
                clipped = clipped + (nn.utils.clip_grad_norm_(weights, clip) > clip)
            take_step()
            step += 1
            if decoder_norm and step % decoder_norm == 0:
                model.normalize_decoder()
            if average is not None:
                average.update_parameters(model)
            loss_check.add(losses.total)
            if should_pause(step) and step % per_epoch:
                loss_check.check()
                seconds += time.perf_counter() - since
                yield Pause(Position(step, epoch_order, int(clipped)), None)
                model.train()
                since = time.perf_counter()
        loss_check.check()
        seconds += time.perf_counter() - since
        samples = len(dataset.train.x) - (first_step % per_epoch) * batch_size
        share = None if clip is None else int(clipped) / per_epoch
        epoch = Epoch(number, alpha, samples / seconds, optimizer.param_groups[0]["lr"], loss_check.last, share)
        clipped = torch.tensor(0)
        yield Pause(Position(step, order.get_state()), epoch)


class _LossCheck:
    """Checks that the losses are finite, a hundred at a time."""

    def __init__(self, step: int) -> None:
        self.step = step
        self.losses: list[Tensor] = []
        self.last: float | None = None

    def add(self, loss: Tensor) -> None:
        self.losses.append(loss)
        if len(self.losses) >= CHECK_EVERY:
            self.check()

    def check(self) -> None:
        for value in torch.stack(self.losses).tolist() if self.losses else []:
            self.step += 1
            if not abs(value) < float("inf"):
                raise NonFiniteLoss(self.step, value, self.last)
            self.last = value
        self.losses.clear()
