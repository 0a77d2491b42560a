"""What is evaluated: a trained model, and inputs that it was not trained on."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from satae.config import Config, ConfigError, saved_config
from satae.config.evaluation import Evaluation
from satae.data.dataset import Dataset, Statistics, chunk
from satae.experiment import build
from satae.experiment.experiment import check_data, check_shape
from satae.model.autoencoder import DenoisingAutoencoder
from satae.model.complement import Complement
from satae.printable import first_line
from satae.robustness.norm_ball import Norm, NormBall
from satae.runs.layout import CONFIG_FILE
from satae.runs.loading import read_state, restore_model
from satae.training import precision, torch_settings
from satae.training.checkpoint import State
from satae.training.metrics import LARGEST_BATCH


def digest(tensors: Mapping[str, Tensor], *words: str) -> str:
    """SHA-256 of some words, and of numbers by name."""
    total = hashlib.sha256(" ".join(words).encode())
    for name, x in sorted(tensors.items()):
        total.update(f"{name} {x.dtype} {tuple(x.shape)}".encode())
        total.update(x.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return total.hexdigest()


def device_of(name: str) -> torch.device:
    """The device of a name; ``auto`` takes an NVIDIA GPU where there is one: others lack the float64 that bounds need.

    Raises:
        ConfigError: it is not there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return build.device(name)


class Trained(NamedTuple):
    """The weights of a run."""

    directory: Path
    config: Config
    state: State
    shape: tuple[int, ...]  # of one input
    best: bool  # whether they are those with the lowest validation loss

    @classmethod
    def of(cls, directory: Path, best: bool) -> Trained:
        """Read them.

        Raises:
            ConfigError: there are none, or they cannot be read.
        """
        try:
            config, state = saved_config.read_config(directory / CONFIG_FILE), read_state(directory, best=best)
            return cls(directory, config, state, tuple(state.facts["shape"]), best)
        except ConfigError:
            raise
        except (FileNotFoundError, ValueError) as error:
            raise ConfigError(first_line(error)) from None
        except (KeyError, TypeError):
            raise ConfigError(f"{directory}: its checkpoint is of no model; train again") from None

    def fingerprint(self) -> str:
        """SHA-256 of the weights, by name."""
        return digest(self.state.part("model"))


class Subject(NamedTuple):
    """A model in evaluation mode and the inputs that it is measured on, all on one device."""

    config: Config  # of the run
    steps: int  # that it was trained for
    model: DenoisingAutoencoder
    complement: Complement  # knows where its activation is flat
    data: Dataset
    centre: Statistics  # of the training split
    x: Tensor  # (n, *shape): clean inputs of the split, in the data's units
    y: Tensor | None  # (n,): their labels
    seed: int
    batch_size: int | None  # None for as many inputs as fit

    @classmethod
    def of(cls, trained: Trained, chosen: Evaluation) -> Subject:
        """Build it.

        Raises:
            ConfigError: the data cannot be read, or are others than those of the run; the device is not there.
        """
        config, where = trained.config, str(trained.directory)
        device = device_of(chosen.device)
        torch_settings.use_deterministic_algorithms(device)
        try:
            model = restore_model(trained.state, where).to(device).eval()
            precision.set_precision(model, "fp32", device)
            data = build.dataset(config)
            (check_shape if trained.best else check_data)(trained.state.facts, data)
            centre = build.centre(config).to(device)
        except OSError as error:
            raise ConfigError(f"{error.filename or where}: cannot be read ({error.strerror or error})") from None
        except (KeyError, ValueError) as error:
            raise ConfigError(f"{where}: cannot be evaluated on its data ({first_line(error)})") from None
        split = getattr(data, chosen.split)
        n = data.few(min(chosen.samples, len(split.x)))
        x = data.batch(split.x[:n]).to(device)
        y = None if split.y is None else split.y[:n].to(device)
        f_c = Complement(build.activation(config), "input", config.eps)  # of which the flat set is wanted alone
        return cls(config, trained.state.step, model, f_c, data, centre, x, y, chosen.seed, chosen.batch_size)

    @property
    def labels(self) -> Tensor:
        """The labels (n,) of data that have them."""
        assert self.y is not None
        return self.y

    def inputs(self) -> dict[str, Tensor]:
        """What it is measured on, by name."""
        return {"x": self.x} | ({} if self.y is None else {"y": self.y})

    def learnt_from(self) -> str:
        """SHA-256 of what was to be learnt from: the inputs of training and validation, and the labels."""
        y = self.data.train.y
        return digest({} if y is None else {"labels": y}, build.fingerprint(self.config))

    def first(self, count: int) -> Subject:
        """The same with its first inputs alone."""
        return self._replace(x=self.x[:count], y=None if self.y is None else self.y[:count])

    @property
    def width(self) -> float:
        """Of the range of the data."""
        return self.data.span[1] - self.data.span[0]

    def ball(self, norm: Norm, epsilon: float) -> NormBall:
        """The perturbations of a size; ``epsilon`` is a share of the range of the data.

        They stay in that range, or in that of the inputs where these leave it.
        """
        low, high = min(self.data.span[0], self.x.min().item()), max(self.data.span[1], self.x.max().item())
        return NormBall.create(norm, epsilon * self.width, low, high)

    def draws(self, purpose: str) -> Generator:
        """A generator for a purpose, the same in every evaluation with one seed."""
        return build.random_generator(self.seed, f"evaluation {purpose}", self.x.device)

    def mapped(self, work: Callable[..., Tensor], *xs: Tensor) -> Tensor:
        """What a function gives of batches, joined; without a chosen size, of smaller ones where memory runs out.

        Args:
            work: takes a batch of each of ``xs``; gives a tensor (batch, ...).
            xs: (N, ...) each.
        """
        size = self.batch_size or min(LARGEST_BATCH, chunk(self.data.shape))
        while True:
            try:
                batches = zip(*(x.split(size) for x in xs), strict=True)
                return torch.cat([work(*batch) for batch in batches])
            except RuntimeError as error:
                if self.batch_size or size == 1 or not torch_settings.is_out_of_memory(error):
                    raise
            size //= 2
