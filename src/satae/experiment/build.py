"""From a configuration to the data, model, objective, device and random numbers that it names."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

import torch
from torch import Generator, nn

from satae.config import Config, ConfigError
from satae.config.registry import ACTIVATIONS, ARCHITECTURES, DATA_SOURCES, NOISES
from satae.data.dataset import Dataset, refuse_constant
from satae.messages import brief
from satae.model import products
from satae.model.activations import properties_of
from satae.model.architectures import option_that_reads_all, unread_fraction
from satae.model.autoencoder import DenoisingAutoencoder
from satae.model.complement import Complement
from satae.model.objective import Objective

FAINT_NOISE: Final = 0.01  # level, as a share of the data's range, below which noise hardly shows


@functools.lru_cache(maxsize=1)
def load_data(name: str, options: str) -> Dataset:
    """A data set by its name and its options (as JSON); all runs of a process that use the same one share it.

    Raises:
        ValueError: it cannot be read, or there is nothing to learn from it.
    """
    data: Dataset = DATA_SOURCES.build(DATA_SOURCES.choice(name, json.loads(options)))
    refuse_constant(f"data={name}", data.train)
    return data


def dataset(config: Config) -> Dataset:
    """The data set, with its statistics and its fingerprint once they have been computed."""
    return load_data(config.data.name, json.dumps(config.data.options))


def activation(config: Config) -> nn.Module:
    """A new activation module."""
    act: nn.Module = ACTIVATIONS.build(config.act)
    return act


def model(config: Config, shape: tuple[int, ...]) -> DenoisingAutoencoder:
    """A new model for inputs of ``shape``, its weights drawn by torch's own generator."""
    autoencoder: DenoisingAutoencoder = ARCHITECTURES.build(config.arch, shape, functools.partial(activation, config))
    return autoencoder


def product_library(config: Config, facts: Mapping[str, Any] | None) -> str:
    """The library of the products of fully connected layers: the faster one for a new run, the same one for a resumed.

    Args:
        config: what is built; compiled code is left to torch's choice.
        facts: those of the checkpoint from which the run resumes, if any; earlier versions knew torch's choice only.

    Raises:
        ValueError: the checkpoint names a library that is not known, or that this version of torch does not have.
    """
    if facts is None:
        return products.TORCH if config.compile else products.library_for_processor()
    library = facts.get("products", products.TORCH)
    if library not in products.LIBRARIES or (library == products.ONEDNN and not products.has_onednn()):
        raise ValueError(f"products={brief(library)}: this installation multiplies by {products.TORCH} only")
    return str(library)


def unread_pixels(config: Config, shape: tuple[int, ...]) -> str:
    """Say which fraction of the pixels the convolutions do not read, with a remedy; "" if they read all."""
    arch = config.arch
    if arch.name != "conv":
        return ""
    options = (shape, arch.channels, arch.kernel, arch.stride)
    if not (unread := unread_fraction(*options)):
        return ""
    what = "lie between the windows of" if arch.stride > arch.kernel else "at the border are not read by"
    return (
        f"arch.kernel={arch.kernel}, arch.stride={arch.stride}: {100 * unread:.2g} % of the pixels {what} the"
        " convolutions, and reach neither the code nor the reconstruction; choose"
        f" arch.{option_that_reads_all(*options)}"
    )


def noise_doubt(config: Config, data: Dataset) -> str:
    """Say that there is no noise, that it hardly shows in the data, or that most is cut off; "" if nothing is so."""
    (low, high), level = data.span, getattr(config.noise, "level", None)
    if level == 0:
        return f"noise.level=0 is no noise at all: noise={config.noise.name} changes nothing, as noise=none does"
    if level is None or not NOISES[config.noise.name].tags.get("in_data_units", False):
        return ""
    if 0 < level < FAINT_NOISE * (high - low):
        unit = "in units of the range of each column" if data.columns else "in the data's own units"
        return (
            f"noise.level={level:g} is hardly any noise for data from {low:g} to {high:g}: it is {unit};"
            " choose a higher one, or save brightness as uint8"
        )
    if level > high - low:
        return (
            f"noise.level={level:g} is wider than the whole range of the data, {low:g} to {high:g}: most noisy elements"
            " are cut to an end of the range; choose a lower one"
        )
    return ""


def objective(config: Config) -> Objective:
    """The loss.

    Raises:
        ConfigError: the complement is not defined for the activation.
    """
    act = activation(config)
    if config.complement == "output" and not properties_of(act).monotone:
        why = "is not monotone, so complement=output is not defined for it"
        raise ConfigError(f"act={config.act.name}: {why}; choose complement=input or complement=slope")
    try:
        complement = Complement(act, config.complement, config.eps)
    except ConfigError:
        raise
    except ValueError as error:
        raise ConfigError(f"complement={config.complement}: {error}") from None
    return Objective(complement, config.reduction)


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
