"""From a configuration to the things it names."""

from __future__ import annotations

import functools
import hashlib
from typing import Any

import torch
from torch import Generator, nn
from torch.optim import Optimizer

from satae.config import Config, ConfigError
from satae.config.registries import ACTIVATIONS, ARCHITECTURES, DATA_SOURCES, NOISES, OPTIMIZERS
from satae.config.registry import Choice
from satae.data.dataset import Dataset, Statistics, statistics
from satae.data.dataset import fingerprint as fingerprint_of
from satae.model.autoencoder import DenoisingAutoencoder
from satae.model.complement import Complement
from satae.model.noise import Noise
from satae.model.objective import Objective
from satae.training.losses import missing_compiler


def dataset(config: Config) -> Dataset:
    """The data set, read once for all the runs of a process that name the same."""
    return _dataset(config.data.name, **_hashable(config))


def centre(config: Config) -> Statistics:
    """The statistics of its training split, taken once likewise."""
    return _centre(config.data.name, **_hashable(config))


def fingerprint(config: Config) -> str:
    """That of the data, taken once likewise."""
    return _fingerprint(config.data.name, **_hashable(config))


@functools.lru_cache(maxsize=1)
def _dataset(name: str, /, **choices: Any) -> Dataset:
    values = {key: list(value) if isinstance(value, tuple) else value for key, value in choices.items()}
    data: Dataset = DATA_SOURCES.build(Choice(name=name, **values))
    return data


@functools.lru_cache(maxsize=1)
def _centre(name: str, /, **choices: Any) -> Statistics:
    return statistics(_dataset(name, **choices))


@functools.lru_cache(maxsize=1)
def _fingerprint(name: str, /, **choices: Any) -> str:
    return fingerprint_of(_dataset(name, **choices))


def _hashable(config: Config) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in config.data.options.items()}


def activation(config: Config) -> nn.Module:
    """A new activation module."""
    act: nn.Module = ACTIVATIONS.build(config.act)
    return act


def model(config: Config, shape: tuple[int, ...]) -> DenoisingAutoencoder:
    """A new model for inputs of ``shape``, its weights drawn by torch's own generator."""
    network: DenoisingAutoencoder = ARCHITECTURES.build(config.arch, shape, functools.partial(activation, config))
    return network


def objective(config: Config) -> Objective:
    """The loss."""
    complement = Complement(activation(config), config.complement, config.eps)
    return Objective(complement, config.reduction)


def noise(config: Config, data: Dataset) -> Noise:
    """The corruption process."""
    corrupt: Noise = NOISES.build(config.noise, data.span)
    return corrupt


def optimiser(config: Config, network: nn.Module) -> Optimizer:
    """The optimiser, fused into one pass over the weights."""
    found: Optimizer = OPTIMIZERS.build(config.optim, network.parameters())
    return found


def device(config: Config) -> torch.device:
    """That of a configuration.

    Raises:
        ConfigError: it is not there.
    """
    return named_device(config.device)


def named_device(name: str) -> torch.device:
    """The device of a name; ``auto`` takes a GPU where there is one.

    Raises:
        ConfigError: it is not there.
    """
    there = ["cpu"]
    there += ["cuda"] if torch.cuda.is_available() else []
    there += ["mps"] if torch.backends.mps.is_available() else []
    if name == "auto":
        return torch.device(there[-1])
    if name not in there:
        raise ConfigError(f"device={name}: not on this machine, which has {', '.join(there)}; or device=auto")
    return torch.device(name)


def stream(seed: int, purpose: str, on: torch.device | str = "cpu") -> Generator:
    """A generator of random numbers of its own for each purpose, all from the one seed of the run."""
    digest = hashlib.blake2b(f"{purpose} {seed}".encode(), digest_size=7).digest()
    return Generator(on).manual_seed(int.from_bytes(digest, "big"))


def check(config: Config) -> None:
    """Build everything but the weights, so that what does not fit is told before anything is written.

    Raises:
        ConfigError: something does not fit.
    """
    try:
        on = device(config)
        if config.compile and (compiler := missing_compiler(on)):
            raise ConfigError(f"compile=true: needs the C++ compiler {compiler}; install it, or set compile=false")
        objective(config)
        data = dataset(config)
        last_batch = len(data.train.x) % config.batch_size or config.batch_size
        if config.arch.batch_norm and last_batch == 1:
            raise ConfigError(
                f"batch_size={config.batch_size}: leaves a batch of one of the {len(data.train.x)} training inputs,"
                " which arch.batch_norm=true cannot normalise; choose another"
            )
        with torch.device("meta"):
            network = model(config, data.shape)
            if config.decoder_norm:
                network.normalise_decoder()
    except ValueError as error:
        raise ConfigError(str(error)) from None
    except OSError as error:
        raise ConfigError(f"{error.filename or 'data'}: cannot be read ({error.strerror or error})") from None
