"""From a configuration to the data, model, objective, noise and optimizer that it names."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterable

import torch
from torch import Generator, nn
from torch.optim import Optimizer

from satae.config import Config, ConfigError
from satae.config.registries import ACTIVATIONS, ARCHITECTURES, DATA_SOURCES, NOISES, OPTIMIZERS
from satae.data.dataset import Dataset, Statistics, statistics
from satae.data.dataset import fingerprint as fingerprint_of
from satae.model.autoencoder import DenoisingAutoencoder
from satae.model.complement import Complement
from satae.model.noise import Noise
from satae.model.objective import Objective


class LoadedData:
    """A data set; its statistics and its fingerprint are computed once, when they are needed."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset

    @functools.cached_property
    def statistics(self) -> Statistics:
        """The statistics of the training split."""
        return statistics(self.dataset)

    @functools.cached_property
    def fingerprint(self) -> str:
        """The fingerprint of the data."""
        return fingerprint_of(self.dataset)


@functools.lru_cache(maxsize=1)
def load_data(name: str, options: str) -> LoadedData:
    """A data set by its name and its options (as JSON); all runs of a process that use the same one share it."""
    return LoadedData(DATA_SOURCES.build(DATA_SOURCES.choice(name, json.loads(options))))


def _data_of(config: Config) -> LoadedData:
    return load_data(config.data.name, json.dumps(config.data.options))


def dataset(config: Config) -> Dataset:
    """The data set."""
    return _data_of(config).dataset


def centre(config: Config) -> Statistics:
    """The statistics of the training split."""
    return _data_of(config).statistics


def fingerprint(config: Config) -> str:
    """The fingerprint of the data."""
    return _data_of(config).fingerprint


def activation(config: Config) -> nn.Module:
    """A new activation module."""
    act: nn.Module = ACTIVATIONS.build(config.act)
    return act


def model(config: Config, shape: tuple[int, ...]) -> DenoisingAutoencoder:
    """A new model for inputs of ``shape``, its weights drawn by torch's own generator."""
    autoencoder: DenoisingAutoencoder = ARCHITECTURES.build(config.arch, shape, functools.partial(activation, config))
    return autoencoder


def objective(config: Config) -> Objective:
    """The loss.

    Raises:
        ConfigError: the complement is not defined for the activation.
    """
    try:
        complement = Complement(activation(config), config.complement, config.eps)
    except ConfigError:
        raise
    except ValueError as error:
        raise ConfigError(f"complement={config.complement}: {error}") from None
    return Objective(complement, config.reduction)


def noise(config: Config, data: Dataset) -> Noise:
    """The corruption process."""
    corrupt: Noise = NOISES.build(config.noise, data.span)
    return corrupt


def optimizer(config: Config, parameters: Iterable[nn.Parameter]) -> Optimizer:
    """The optimizer of some weights."""
    made: Optimizer = OPTIMIZERS.build(config.optim, parameters)
    return made


def device(name: str) -> torch.device:
    """The device with this name; ``auto`` takes a GPU if there is one.

    Raises:
        ConfigError: this machine does not have it.
    """
    available = ["cpu"]
    available += ["cuda"] if torch.cuda.is_available() else []
    available += ["mps"] if torch.backends.mps.is_available() else []
    if name == "auto":
        return torch.device(available[-1])
    if name not in available:
        raise ConfigError(f"device={name}: not on this machine, which has {', '.join(available)}; or device=auto")
    return torch.device(name)


def random_generator(seed: int, purpose: str, on: torch.device | str = "cpu") -> Generator:
    """A generator of random numbers for one purpose, seeded by the seed of the run; each purpose has its own."""
    digest = hashlib.blake2b(f"{purpose} {seed}".encode(), digest_size=7).digest()
    return Generator(on).manual_seed(int.from_bytes(digest, "big"))
