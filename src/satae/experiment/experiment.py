"""One experiment: everything that a configuration describes, built, trained, measured, saved and restored."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Self

import torch
from torch import Generator, Tensor
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from satae.config import Config
from satae.config.registry import NOISES, OPTIMIZERS
from satae.data.dataset import Dataset, Split, Statistics, is_fingerprint
from satae.experiment import build
from satae.experiment.weights import check_start, check_weights, describe_start, start_weights
from satae.messages import brief, one_line
from satae.model import products
from satae.model.architectures import unit_variance
from satae.model.autoencoder import DenoisingAutoencoder, Dense, use_library
from satae.model.noise import Noise
from satae.model.objective import Objective
from satae.training import AVERAGE, optimizers, torch_settings
from satae.training.checkpoint import State
from satae.training.gradients import Gradient, choose_gradient
from satae.training.loop import (
    Epoch,
    NonFinite,
    NonFiniteData,
    NonFiniteLoss,
    NonFiniteWeights,
    Position,
    alpha_schedule,
    fit,
    steps_per_epoch,
    trained_weights,
)
from satae.training.metrics import code_sensitivity, energy, energy_map, low_energy_area, measure
from satae.training.torch_settings import Precision, set_precision

CALIBRATION_SAMPLES: Final = 512  # the initial weights are scaled on this many
METRICS_SEED: Final = 0  # seed of the noise in metrics and pictures: the same draws in every epoch and every run
MEASURED_SAMPLES: Final = 10_000  # most samples of a split that are measured after each epoch
EXAMPLE_SAMPLES: Final = 100  # in pictures and histograms, at most


@dataclass(eq=False)
class Experiment:
    """A data set, a model and its training, all on one device, at some point of the training."""

    config: Config
    data: Dataset
    fingerprint: str  # of the data
    statistics: Statistics  # of the training split
    model: DenoisingAutoencoder
    objective: Objective
    precision: Precision  # of a training step
    gradient: Gradient  # of the losses of a training batch
    noise: Noise
    noise_generator: Generator  # of the noise in training
    optimizer: Optimizer
    position: Position
    average: AveragedModel | None  # the moving average of the weights, if the configuration asks for it
    start: Mapping[str, Any] | None = None  # the weights that a new training starts from, for its record

    @classmethod
    def from_config(cls, config: Config, start: State | None = None, *, facts: Mapping[str, Any] | None = None) -> Self:
        """Build the experiment at its start: the weights drawn from the seed and scaled, or those of another run.

        Args:
            config: what to build.
            start: the state with the weights of the other run, if the configuration names one.
            facts: those of the state that will be restored, if any: an earlier version may have scaled the data
                differently, and another processor may have another library of products.

        Raises:
            ConfigError: the weights of the other run do not fit.
        """
        device, data = build.device(config.device), build.dataset(config)
        data = data.as_seen_by(facts or {})
        torch_settings.use_deterministic_algorithms(device)
        statistics, fingerprint, data = data.statistics.to(device), data.fingerprint, data.to(device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(build.random_generator(config.seed, "weights").initial_seed())
            model = build.model(config, data.shape).to(device)
        use_library(model, build.product_library(config, facts))
        if config.standardize:
            model.standardize_by(*statistics)
        noise: Noise = NOISES.build(config.noise, data.span, model)
        if start is not None:
            check_start(config, start)
            model.load_state_dict(start_weights(start.part("model")), strict=False)
        elif config.init == "unit_variance":
            x = data.batch(data.train.x[: data.max_examples(CALIBRATION_SAMPLES)])
            unit_variance(model, noise(x, build.random_generator(config.seed, "calibration", device)))
        if config.decoder_norm:
            model.normalize_decoder()
        if config.freeze:
            model.freeze(config.freeze)
        average = None
        if config.ema is not None:
            average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(config.ema))
        objective = build.objective(config)
        precision = set_precision(model, config.precision, device)
        return cls(
            config,
            data,
            fingerprint,
            statistics,
            model,
            objective,
            precision,
            choose_gradient(model, objective, precision, config.batch_size if config.compile else None),
            noise,
            build.random_generator(config.seed, "noise", device),
            OPTIMIZERS.build(config.optim, trained_weights(model)),
            Position(0, build.random_generator(config.seed, "order").get_state()),
            average,
            start and describe_start(config, start),
        )

    @classmethod
    def from_state(cls, config: Config, state: State) -> Self:
        """Build the experiment and put it where it was when ``state`` was saved.

        Raises:
            ValueError: the state belongs to another model, or to other data.
        """
        experiment = cls.from_config(config, facts=state.facts)
        experiment.restore(state)
        return experiment

    @property
    def device(self) -> torch.device:
        """The device of the data and the model."""
        return self.data.train.x.device

    @property
    def library(self) -> str:
        """The library that multiplies in fully connected layers: see :mod:`satae.model.products`."""
        return next((part.library for part in self.model.modules() if isinstance(part, Dense)), products.TORCH)

    @property
    def step(self) -> int:
        """The number of optimizer steps so far."""
        return self.position.step

    @property
    def epochs_done(self) -> int:
        """The number of finished epochs."""
        return self.position.step // self.steps_per_epoch

    @property
    def steps_per_epoch(self) -> int:
        """The number of optimizer steps in an epoch."""
        return steps_per_epoch(len(self.data.train.x), self.config.batch_size)

    def fit(self, should_pause: Callable[[int], bool] = lambda step: False) -> Iterator[Epoch | None]:
        """Train from the current position to the end.

        Args:
            should_pause: called with the number of each finished step; True makes a pause there.

        Yields:
            An ``Epoch`` after each pass over the data, and None in a pause within one. At both, the experiment can be
            measured and saved.

        Raises:
            NonFinite: a training loss was nan or infinite.
        """
        pauses = fit(
            self.model,
            self.data,
            self.gradient,
            self._corrupt_in_training,
            self.optimizer,
            alpha_schedule(self.config.alpha, self.config.alpha_schedule),
            self.position,
            epochs=self.config.epochs,
            batch_size=self.config.batch_size,
            decoder_norm=self.config.decoder_norm,
            lr=optimizers.lr_schedule(self.config.optim),
            clip=self.config.optim.options.get("clip"),
            average=self.average,
            should_pause=should_pause,
        )
        try:
            for self.position, epoch in pauses:
                yield epoch
        except NonFiniteLoss as error:
            raise self._with_cause(error, self.data.train) from None

    def weights(self) -> State:
        """The model's weights and how to build it; they change with the next step."""
        facts = {"config": self.config.to_dict(), "shape": list(self.data.shape), "step": self.step}
        return State(facts, {}).with_part("model", self.model.state_dict())

    def state(self) -> State:
        """Everything that is needed to resume from here to the same end, bit for bit; it changes with the next step.

        Raises:
            NonFiniteWeights: a weight is nan or infinite.
        """
        generators = {"noise": self.noise_generator.get_state(), "order": self.position.order}
        facts = {
            "samples": len(self.data.train.x),
            "device": self.device.type,
            "data": self.fingerprint,
            "products": self.library,
            **({"clipped": self.position.clipped} if self.position.clipped else {}),
        }
        state = self.weights().with_part(optimizers.OPTIMIZER_PART, optimizers.state_tensors(self.optimizer))
        if self.average is not None:
            state = state.with_part(AVERAGE, self.average.module.state_dict())
        state = state.with_part("generator", generators).with_facts(**facts)
        if not state.is_finite:
            raise NonFiniteWeights(self.step)
        return state

    def restore(self, state: State) -> None:
        """Take over a saved state, with its position.

        On another type of device, the noise differs from here on: the generators of two types draw different numbers.

        Raises:
            ValueError: the state belongs to another model, or to other data.
        """
        facts = state.facts
        try:
            check_data(facts, self.data, self.fingerprint)
            self.check_weights(state)
            self.model.load_state_dict(state.part("model"))
            optimizers.load_state(self.optimizer, state.part(optimizers.OPTIMIZER_PART), after_a_step=state.step > 0)
            if self.average is not None:
                averaged = state.part(AVERAGE)
                check_weights(self.model.state_dict(), averaged, AVERAGE)
                self.average.module.load_state_dict(averaged)
                self.average.n_averaged.fill_(state.step)
            if facts["device"] == self.device.type:
                self.noise_generator.set_state(state.tensors["generator/noise"])
            else:
                seed = build.random_generator(self.config.seed, f"noise {facts['step']}").initial_seed()
                self.noise_generator.manual_seed(seed)
            position = Position(state.step, state.tensors["generator/order"], facts.get("clipped", 0))
            if type(position.clipped) is not int or not 0 <= position.clipped <= state.step:
                raise ValueError(f"clipped is {position.clipped}")
            Generator().set_state(position.order)  # refuses what is not a state
        except (KeyError, TypeError, AttributeError, ValueError, RuntimeError) as error:
            reason = brief(" ".join(str(error).split()))
            raise ValueError(f"the checkpoint is not of this run and its data ({reason})") from None
        self.position = position

    def check_weights(self, state: State) -> None:
        """Refuse weights that are not the model's, or have other types or shapes, which torch would convert.

        Raises:
            ValueError: the message names the weight.
        """
        check_weights(self.model.state_dict(), state.part("model"))

    def measure(self, epoch: Epoch) -> dict[str, float]:
        """The metrics after an epoch.

        They are the epoch's own, those of the training and the validation split (``train/`` and ``valid/``), those of
        the averaged weights on the validation split (``ema/``), and the weight norm of each encoder layer. Both
        splits are measured on the same number of samples, since a unit is dead more often on fewer. Training is not
        affected.

        Raises:
            NonFinite: the last step made the weights useless, or the validation data cannot be measured.
        """
        data, metrics = self.data, epoch.scalars()
        count = min(len(data.valid.x), len(data.train.x), MEASURED_SAMPLES)
        parts: list[tuple[str, Split, Any, Noise]] = [
            ("train", data.train, self.model, self.noise),
            ("valid", data.valid, self.model, self.noise),
        ]
        if self.average is not None:
            averaged = self.average.module
            parts.append((AVERAGE, data.valid, averaged, NOISES.build(self.config.noise, data.span, averaged)))
        for name, split, model, noise in parts:
            generator = build.random_generator(METRICS_SEED, "train" if name == "train" else "valid", self.device)
            corrupt, part = partial(_corrupt, noise, generator), Split(split.x[:count])
            measured = measure(model, data, part, self.objective, corrupt, epoch.alpha, self.statistics)
            metrics |= {f"{name}/{key}": value for key, value in measured.items()}
        metrics |= {f"encoder_norm/{name}": layer.weight_norm().item() for name, layer in self.model.layers()}
        if not math.isfinite(metrics["valid/total"]):
            error = NonFiniteLoss(self.step, metrics["valid/total"], epoch.loss, "validation")
            raise self._with_cause(error, self.data.valid)
        return metrics

    def _with_cause(self, error: NonFiniteLoss, split: Split) -> NonFinite:
        """The error, with what is wrong with the examples of its split if they cause it whatever the weights are."""
        remedy = "" if self.config.standardize else ", or set standardize=true"
        for start in range(0, len(split.x), MEASURED_SAMPLES):
            x = self.data.batch(split.x[start : start + MEASURED_SAMPLES])
            target = self.model.standardize(x)
            for values, fault in (
                (x, "is not finite in the data"),
                (target, "is not finite once it is standardized: the data are too large for float32; scale them"),
                (
                    target.square(),
                    f"has a square that is too large for float32; scale the data{remedy}",
                ),
            ):
                bad = ~values.flatten(1).isfinite().all(dim=1)
                if bad.any():
                    return NonFiniteData(error, f"example {start + int(bad.nonzero()[0])} of its data {fault}")
        return error

    def measure_rare(self) -> dict[str, float]:
        """Slower metrics, on clean validation data: the code's sensitivity and, for data in the plane, energies."""
        data, model = self.data, self.model
        x = data.batch(data.valid.x[: data.max_examples(MEASURED_SAMPLES)])
        generator = build.random_generator(METRICS_SEED, "perturbation", self.device)
        metrics = {"valid/code_sensitivity": code_sensitivity(model, x, data.span[1] - data.span[0], generator)}
        if data.shape == (2,):
            metrics["valid/energy"] = energy(model, x).mean().item()
            metrics["valid/low_energy_area"] = low_energy_area(energy_map(model, data.span))
        return metrics

    def examples(self) -> tuple[Tensor, Tensor]:
        """Validation data for pictures and histograms, clean and corrupted; the same draws in every epoch."""
        x = self.data.batch(self.data.valid.x[:EXAMPLE_SAMPLES])
        return x, self.noise(x, build.random_generator(METRICS_SEED, "shown", self.device))

    @torch.no_grad()
    def distributions(self) -> dict[str, Tensor]:
        """The pre-activations of each encoder layer and the code, on corrupted validation data, by name."""
        trace = self.model.eval().trace(self.examples()[1])
        return {f"pre_activations/{name}": z for name, z in trace.zs.items()} | {"code": trace.code}

    def describe_position(self) -> str:
        """How far the training is: ``"step 1,000, after 3 epochs"``."""
        return f"step {self.step:,}, after {self.epochs_done} epochs"

    def describe(self) -> dict[str, Any]:
        """The device; the library of products; sizes, shape, range and labels of the data; and what was assumed."""
        splits = {name: len(split.x) for name, split in zip(("train", "valid", "test"), self.data.splits, strict=True)}
        labels = None if self.data.train.y is None else len(self.data.train.y.unique())
        data: dict[str, Any] = {
            **splits,
            "shape": list(self.data.shape),
            "span": list(self.data.span),
            "labels": labels,
            "fingerprint": self.fingerprint,
            "evaluated": self.data.evaluated_fingerprints,
        }
        data |= {"columns": self.data.columns.to_dict()} if self.data.columns else {}
        data |= {"center": self.data.center.tolist()} if self.data.center is not None else {}
        doubts = build.unread_pixels(self.config, self.data.shape), build.noise_doubt(self.config, self.data)
        assumptions = [*self.data.notes, *filter(None, doubts)]
        return {
            "device": str(self.device),
            "products": self.library,
            "data": data,
            **({"start": dict(self.start)} if self.start else {}),
            **({"assumptions": assumptions} if assumptions else {}),
        }

    def summary(self) -> str:
        """Describe the data and the model in two lines; then what was assumed about the data, a line each."""
        weights = sum(p.numel() for p in self.model.parameters())
        sizes, shape = self.describe()["data"], "x".join(map(str, self.data.shape))
        noise, level = f"{self.config.noise.name} noise", getattr(self.config.noise, "level", None)
        if level is not None:
            noise += f" {level:g} (data from {self.data.span[0]:g} to {self.data.span[1]:g})"
        if self.config.noise.name == "none":
            noise = "no noise"
        labels = f"; {sizes['labels']} labels" if sizes["labels"] else ""
        return (
            f"{self.data.name}: {sizes['train']:,} inputs of {shape} to train on, {sizes['valid']:,} to validate,"
            f" {sizes['test']:,} to test{labels}\n"
            f"{self.config.arch.name}, {weights:,} weights, {self.config.act.name}, alpha {self.config.alpha:g},"
            f" {noise}{f', {self.config.freeze} frozen' if self.config.freeze else ''}, on {self.device}"
            f"{self._describe_start()}"
        ) + "".join(f"\ndata: {one_line(note)}" for note in self.data.notes)

    def _describe_start(self) -> str:
        """A line on the weights from which a new training starts; empty if they are random."""
        if self.start is None:
            return ""
        act = f", trained with {self.start['act']}" if "act" in self.start else ""
        return (
            f"\nstarts from the {self.start['weights']} weights of {self.start['path']}, step {self.start['step']}{act}"
        )

    def _corrupt_in_training(self, x: Tensor) -> Tensor:
        with self.precision.products(self.device):  # for noise that is searched for on the model
            return self.noise(x, self.noise_generator)


def _corrupt(noise: Noise, generator: Generator, x: Tensor) -> Tensor:
    return noise(x, generator)


def check_data(facts: dict[str, Any], data: Dataset, fingerprint: str | None = None) -> None:
    """Refuse data that differ from those that a model was trained on, by the facts in its checkpoint.

    Raises:
        KeyError: the facts say nothing about data.
        ValueError: the data differ.
    """
    samples = len(data.train.x)
    check_shape(facts, data)
    if facts["samples"] != samples:
        raise ValueError(f"the run was trained on {brief(facts['samples'])} inputs, but the data now have {samples}")
    if not is_fingerprint(facts["data"]):
        raise ValueError("an earlier version wrote it, which looked at only a few of the data")
    if facts["data"] != (fingerprint or data.fingerprint):
        raise ValueError("the numbers in the data have changed")


def check_evaluated(record: Mapping[str, Any], data: Dataset) -> None:
    """Refuse other test examples or labels than those that the record of a run names, for data that have moved.

    Labels that one of both lacks are not compared, and records of earlier versions name none.

    Raises:
        ValueError: they differ.
    """
    facts = record.get("data")
    known = facts.get("evaluated") if isinstance(facts, dict) else None
    if isinstance(known, dict):
        for name, fingerprint in data.evaluated_fingerprints.items():
            if known.get(name, fingerprint) != fingerprint:
                raise ValueError(f"the {name} have changed")


def check_shape(facts: dict[str, Any], data: Dataset) -> None:
    """Refuse data of another shape than those that a model was trained on, by the facts in its checkpoint.

    Raises:
        KeyError: the facts say nothing about a shape.
        ValueError: the shape differs.
    """
    if facts["shape"] != list(data.shape):
        raise ValueError(f"the data are of shape {list(data.shape)} now, not {brief(facts['shape'])}")
