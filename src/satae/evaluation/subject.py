"""The subject of an evaluation: a trained model, and inputs that it was not trained on."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from satae.config import Config, ConfigError, saved_config
from satae.config.option_types import Norm
from satae.config.registry import Choice
from satae.config.schema import Evaluation
from satae.data.dataset import Dataset, Statistics, chunk
from satae.experiment import build
from satae.experiment.experiment import check_data, check_evaluated, check_shape
from satae.messages import first_line, join_words, reason
from satae.model.autoencoder import DenoisingAutoencoder, use_library
from satae.model.complement import Complement
from satae.model.products import library_for_processor
from satae.robustness.norm_ball import NormBall
from satae.runs.layout import CONFIG_FILE
from satae.runs.loading import read_state, restore_model
from satae.runs.record import read_record
from satae.training import torch_settings
from satae.training.checkpoint import State
from satae.training.metrics import MAX_BATCH


def sha256(tensors: Mapping[str, Tensor], *words: str) -> str:
    """SHA-256 of some words and of named tensors."""
    total = hashlib.sha256(" ".join(words).encode())
    for name, x in sorted(tensors.items()):
        total.update(f"{name} {x.dtype} {tuple(x.shape)}".encode())
        total.update(x.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return total.hexdigest()


def choose_device(name: str) -> torch.device:
    """The device with this name; ``auto`` takes only an NVIDIA GPU: other GPUs lack the float64 that bounds need.

    Raises:
        ConfigError: this machine has no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return build.device(name)


def prepare_to_measure(model: DenoisingAutoencoder, device: torch.device) -> DenoisingAutoencoder:
    """A trained model as it is measured: without gradients of its weights, in fp32 whatever it was trained with."""
    model = model.eval().requires_grad_(False).to(device)
    torch_settings.set_precision(model, "fp32", device)
    use_library(model, library_for_processor())
    return model


class TrainedRun(NamedTuple):
    """The configuration and the weights of a run."""

    directory: Path
    config: Config
    state: State
    shape: tuple[int, ...]  # shape of one input
    best: bool  # whether these are the weights with the lowest validation loss
    ema: bool = False  # whether these are the averaged weights

    @classmethod
    def read(cls, directory: Path, best: bool, ema: bool = False) -> TrainedRun:
        """Read them from the directory of a run.

        Raises:
            ConfigError: they are missing or cannot be read.
        """
        try:
            config = saved_config.read_config(directory / CONFIG_FILE)
            state = read_state(directory, best=best, ema=ema)
            return cls(directory, config, state, tuple(state.facts["shape"]), best, ema)
        except ConfigError:
            raise
        except (FileNotFoundError, ValueError) as error:
            raise ConfigError(first_line(error)) from None
        except (KeyError, TypeError):
            raise ConfigError(f"{directory}: its checkpoint holds no model; train again") from None

    def with_data_at(self, paths: Mapping[str, str]) -> TrainedRun:
        """This run with its data in another place, by option such as ``data.path``.

        Raises:
            ConfigError: its data source has no such option.
        """
        options = {key.removeprefix("data."): path for key, path in paths.items()}
        data = self.config.data
        for option, path in options.items():
            if option not in data.options:
                raise ConfigError(f"data.{option}={path}: data={data.name} of {self.directory} has no such option")
        return self._replace(config=replace(self.config, data=Choice(**{**vars(data), **options})))

    def fingerprint(self) -> str:
        """SHA-256 of the weights and their names."""
        return sha256(self.state.part("model"))


class Subject(NamedTuple):
    """A model in evaluation mode, whose weights need no gradients, and its inputs, all on one device."""

    config: Config  # configuration of the run
    steps: int  # optimizer steps behind the weights
    model: DenoisingAutoencoder
    complement: Complement  # knows where the activation is flat
    data: Dataset
    statistics: Statistics  # of the training split
    x: Tensor  # (n, *shape): clean inputs of the split, in the data's units
    y: Tensor | None  # (n,): their labels
    seed: int
    batch_size: int | None  # None for as many inputs as fit into memory
    split: str = "test"  # of the inputs
    directory: Path | None = None  # of the run
    ema: bool = False  # whether the model has the averaged weights

    @classmethod
    def of(cls, run: TrainedRun, chosen: Evaluation) -> Subject:
        """Build the model and read the data of a run.

        Raises:
            ConfigError: the data cannot be read, are not those of the run, or the device is missing.
        """
        config, where = run.config, str(run.directory)
        device = choose_device(chosen.device)
        torch_settings.use_deterministic_algorithms(device)
        try:
            model = prepare_to_measure(restore_model(run.state, where), device)
            data = build.dataset(config).as_seen_by(run.state.facts)
            (check_shape if run.best else check_data)(run.state.facts, data)
            if config.data != saved_config.read_config(run.directory / CONFIG_FILE).data:
                if run.best:
                    check_data(read_state(run.directory).facts, data)  # the best weights do not say what the data were
                check_evaluated(read_record(run.directory), data)
            statistics = data.statistics.to(device)
        except OSError as error:
            raise ConfigError(f"{error.filename or where}: cannot be read ({reason(error)})") from None
        except (KeyError, ValueError) as error:
            raise ConfigError(f"{where}: cannot be evaluated on its data ({first_line(error)})") from None
        split = getattr(data, chosen.split)
        n = data.max_examples(min(chosen.samples, len(split.x)))
        x = data.batch(split.x[:n]).to(device)
        y = None if split.y is None else split.y[:n].to(device)
        f_c = Complement(build.activation(config), "input", config.eps)  # only its flat set is used
        settings = (chosen.seed, chosen.batch_size, chosen.split, run.directory)
        return cls(config, run.state.step, model, f_c, data, statistics, x, y, *settings, run.ema)

    @property
    def labels(self) -> Tensor:
        """The labels (n,) of data that have labels."""
        assert self.y is not None
        return self.y

    def why_no_labels(self) -> str:
        """Why nothing can be said of labels: ``"the test split has no labels; split=valid has"``; empty if it can."""
        splits = {"training": self.data.train, "valid": self.data.valid, "test": self.data.test}
        having = [name for name, split in splits.items() if split.y is not None]
        if not having:
            return "the data have no labels"
        if "training" not in having:
            return "the training split has no labels"
        others = [f"split={name}" for name in having if name != "training"]
        remedy = f"; {join_words(others, 'and')} has" if others else ""
        return f"the {self.split} split has no labels{remedy}" if self.y is None else ""

    def inputs_fingerprint(self) -> str:
        """SHA-256 of the inputs and labels that the model is measured on."""
        return sha256({"x": self.x} | ({} if self.y is None else {"y": self.y}))

    def training_data_fingerprint(self) -> str:
        """SHA-256 of the inputs of training and validation, and of the training labels."""
        y = self.data.train.y
        return sha256({} if y is None else {"labels": y}, self.data.fingerprint)

    def first(self, count: int) -> Subject:
        """This subject with only its first inputs."""
        return self._replace(x=self.x[:count], y=None if self.y is None else self.y[:count])

    @property
    def range_width(self) -> float:
        """Width of the range of the data."""
        return self.data.span[1] - self.data.span[0]

    @property
    def range_name(self) -> str:
        """What a radius is a share of."""
        return "range of the data" if self.data.columns is None else "range of each column"

    def norm_ball(self, norm: Norm, epsilon: float) -> NormBall:
        """The perturbations up to a size; ``epsilon`` is a fraction of the range of the data.

        Perturbed inputs stay in that range, or in the range of the inputs if some of these leave it.
        """
        low, high = min(self.data.span[0], self.x.min().item()), max(self.data.span[1], self.x.max().item())
        return NormBall.create(norm, epsilon * self.range_width, low, high)

    def generator(self, purpose: str) -> Generator:
        """A random generator for one purpose; it is the same in every evaluation with the same seed."""
        return build.random_generator(self.seed, f"evaluation {purpose}", self.x.device)

    def map_batches(self, function: Callable[..., Tensor], *xs: Tensor) -> Tensor:
        """Call a function on batches and join the results. Unless a batch size is chosen, halve it if memory runs out.

        Args:
            function: takes a batch of each of ``xs`` and returns a tensor (batch, ...).
            xs: tensors (N, ...).
        """
        size = self.batch_size or min(MAX_BATCH, chunk(self.data.shape))
        while True:
            try:
                batches = zip(*(x.split(size) for x in xs), strict=True)
                return torch.cat([function(*batch) for batch in batches])
            except RuntimeError as error:
                if self.batch_size or size == 1 or not torch_settings.is_out_of_memory(error):
                    raise
            size //= 2
