"""One experiment: everything that a configuration stands for, trained, kept and gone on with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

import torch
from torch import Generator, Tensor
from torch.optim import Optimizer

from satae.config import Config
from satae.data.dataset import Dataset, Statistics
from satae.experiment import build
from satae.experiment.same_data import check_data
from satae.model.autoencoder import DenoisingAutoencoder
from satae.model.initialisation import unit_variance
from satae.model.noise import Noise
from satae.model.objective import Objective
from satae.printable import brief
from satae.training import optimiser_state, precision
from satae.training.checkpoint import State
from satae.training.fit import Moment, Position, beginning, fit, steps_per_epoch
from satae.training.gradient import Gradient, quickest
from satae.training.schedule import alpha_schedule

CALIBRATION: Final = 512  # samples on which the initial weights are scaled


class Experiment(NamedTuple):
    """A data set, a model and how it is trained, all on one device."""

    config: Config
    data: Dataset
    fingerprint: str  # of the data
    centre: Statistics  # of the training split
    model: DenoisingAutoencoder
    objective: Objective
    gradient: Gradient  # of the losses of a training batch
    noise: Noise
    draws: Generator  # of the noise in training
    optimiser: Optimizer

    @classmethod
    def of(cls, config: Config) -> Experiment:
        """Build it: weights drawn from the seed, put on the scale of their activation, inputs standardised."""
        device, data = build.device(config), build.dataset(config)
        noise = build.noise(config, data)
        centre = build.centre(config).to(device)  # taken before, in float64, which not every GPU has
        known = build.fingerprint(config)
        data = data.to(device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(build.stream(config.seed, "weights").initial_seed())
            model = build.model(config, data.shape).to(device)
        if config.standardize:
            model.standardise_by(*centre)
        if config.init == "unit_variance":
            x = data.batch(data.train.x[: data.few(CALIBRATION)])
            unit_variance(model, noise(x, build.stream(config.seed, "calibration", device)))
        if config.decoder_norm:
            model.normalise_decoder()
        objective = build.objective(config)
        chosen = precision.adopt(model, config.precision, device)
        gradient = quickest(model, objective, chosen, config.batch_size if config.compile else None)
        draws, optimiser = build.stream(config.seed, "noise", device), build.optimiser(config, model)
        return cls(config, data, known, centre, model, objective, gradient, noise, draws, optimiser)

    @property
    def device(self) -> torch.device:
        """Where it is."""
        return self.data.train.x.device

    def corrupt(self, generator: Generator) -> Callable[[Tensor], Tensor]:
        """The noise, drawn from a generator: x -> x_noisy."""
        return lambda x: self.noise(x, generator)

    def beginning(self) -> Position:
        """Where its training begins."""
        return beginning(build.stream(self.config.seed, "order"))

    def fit(self, begin: Position, pause: Callable[[int], bool] = lambda step: False) -> Iterator[Moment]:
        """Train it as its configuration says, and report after each epoch.

        Args:
            begin: where to begin, or to go on.
            pause: asked after each step whether to report within the epoch.

        Raises:
            NonFiniteLoss: a loss was nan or infinite.
        """
        return fit(
            self.model,
            self.data,
            self.gradient,
            self.corrupt(self.draws),
            self.optimiser,
            alpha_schedule(self.config.alpha, self.config.alpha_schedule),
            begin,
            epochs=self.config.epochs,
            batch_size=self.config.batch_size,
            decoder_norm=self.config.decoder_norm,
            pause=pause,
        )

    def weights(self, step: int) -> State:
        """What the model is made of again, as it is after a step, until the next one changes it."""
        facts = {"config": self.config.to_dict(), "shape": list(self.data.shape), "step": step}
        return State(facts, {}).with_part("model", self.model.state_dict())

    def state(self, position: Position) -> State:
        """What it needs to go on from a position to the same end, bit for bit; until the next step changes it."""
        generators = {"noise": self.draws.get_state(), "order": position.order}
        facts = {"samples": len(self.data.train.x), "device": self.device.type, "data": self.fingerprint}
        found = self.weights(position.step).with_part("optimiser", optimiser_state.tensors_of(self.optimiser))
        return found.with_part("generator", generators).with_facts(**facts)

    def restore(self, state: State) -> Position:
        """Take over a state; the position to go on from.

        On another kind of device the noise is another one from there on: its generators differ.

        Raises:
            ValueError: it is of another model, or of other data.
        """
        facts = state.facts
        try:
            check_data(facts, self.data, self.fingerprint)
            self.check_weights(state)
            self.model.load_state_dict(state.part("model"))
            optimiser_state.load_into(self.optimiser, state.part("optimiser"), begun=state.step > 0)
            if facts["device"] == self.device.type:
                self.draws.set_state(state.tensors["generator/noise"])
            else:
                self.draws.manual_seed(build.stream(self.config.seed, f"noise {facts['step']}").initial_seed())
            position = Position(state.step, state.tensors["generator/order"])
            Generator().set_state(position.order)
        except (KeyError, TypeError, AttributeError, ValueError, RuntimeError) as error:
            reason = brief(" ".join(str(error).split()))
            raise ValueError(f"the checkpoint is not of this run and its data ({reason})") from None
        return position

    def check_weights(self, state: State) -> None:
        """Refuse other weights than those of the model, and of other types or shapes, which torch would convert.

        Raises:
            ValueError: by name.
        """
        own, found = self.model.state_dict(), state.part("model")
        if other := own.keys() ^ found.keys():
            raise ValueError(f"model/{min(other)} is not there, or not of this model")
        for name, x in found.items():
            if (x.shape, x.dtype) != (own[name].shape, own[name].dtype):
                raise ValueError(f"model/{name} is {optimiser_state.kind(x)}, not {optimiser_state.kind(own[name])}")

    def epochs_until(self, position: Position) -> int:
        """How many epochs are done at a position."""
        return position.step // steps_per_epoch(len(self.data.train.x), self.config.batch_size)

    def facts(self) -> dict[str, Any]:
        """What is known of the data, as plain values."""
        splits = {name: len(getattr(self.data, name).x) for name in ("train", "valid", "test")}
        labels = None if self.data.train.y is None else len(self.data.train.y.unique())
        return {**splits, "shape": list(self.data.shape), "span": list(self.data.span), "labels": labels}

    def summary(self) -> str:
        """Two lines about it: the data, the model."""
        weights = sum(p.numel() for p in self.model.parameters())
        facts, shape = self.facts(), "x".join(map(str, self.data.shape))
        labels = f"; {facts['labels']} labels" if facts["labels"] else ""
        return (
            f"{self.data.name}: {facts['train']:,} inputs of {shape} to train on, {facts['valid']:,} to validate,"
            f" {facts['test']:,} to test{labels}\n"
            f"{self.config.arch.name}, {weights:,} weights, {self.config.act.name}, alpha {self.config.alpha:g},"
            f" {self.config.noise.name} noise, on {self.device}"
        )
