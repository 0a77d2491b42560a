"""Which weights a model takes over: those of its own checkpoint, or those of a run from which a new one starts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import torch
from torch import Tensor

from satae.config import Config, ConfigError
from satae.config.saved_config import restore_config
from satae.config.schema import differences, flatten
from satae.experiment import build
from satae.messages import brief, brief_line, one_line
from satae.training.checkpoint import State, sha256_of
from satae.training.optimizers import type_and_shape

STANDARDIZATION: Final = ("mean", "std")  # of the data on which a model was trained


def check_weights(own: Mapping[str, Tensor], found: Mapping[str, Tensor], part: str = "model") -> None:
    """Refuse weights that are not the model's, or have other types or shapes, which torch would convert.

    Args:
        own: the weights of the model, by name.
        found: those that it should take.
        part: the part of a checkpoint that holds these, for the message.

    Raises:
        ValueError: the message names the weight.
    """
    if other := own.keys() ^ found.keys():
        raise ValueError(f"{part}/{min(other)} is not there, or not of this model")
    for name, x in found.items():
        if (x.shape, x.dtype) != (own[name].shape, own[name].dtype):
            raise ValueError(f"{part}/{name} is {type_and_shape(x)}, not {type_and_shape(own[name])}")


def start_weights(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights that a run hands to one that starts from it: all but the standardization, which is of its data."""
    return {name: x for name, x in tensors.items() if name not in STANDARDIZATION}


def start_fingerprint(start: State) -> str:
    """SHA-256 of the weights from which a run starts."""
    return sha256_of(start_weights(start.part("model")))


def check_start(config: Config, start: State) -> None:
    """Refuse to start from weights that do not fit a new run.

    Args:
        config: the configuration of the new run.
        start: the state whose weights it takes.

    Raises:
        ConfigError: the weights do not fit the model, take inputs of another shape, or are not finite.
    """
    word, weights = f"start={one_line(config.start)}", start_weights(start.part("model"))
    before, data, shape = _read_config(word, start), build.dataset(config), start.facts.get("shape")
    if shape != list(data.shape):
        raise ConfigError(f"{word}: takes inputs of shape {brief(shape)}, but data={data.name} has {list(data.shape)}")
    with torch.device("meta"):
        own = start_weights(build.model(config, data.shape).state_dict())
    try:
        check_weights(own, weights)
    except ValueError as error:
        if found := differences(*(flatten({"arch": vars(one.arch)}) for one in (before, config))):
            there, here = (" ".join(f"{key}={pair[place]}" for key, pair in found.items()) for place in (0, 1))
            raise ConfigError(f"{word}: has {there}, whose weights do not fit {here}; give both the same") from None
        raise ConfigError(f"{word}: does not hold the weights of its configuration ({brief_line(error)})") from None
    if not all(bool(x.isfinite().all()) for x in weights.values() if x.is_floating_point()):
        raise ConfigError(f"{word}: a weight is nan or infinite; start from other weights")


def describe_start(config: Config, start: State) -> dict[str, Any]:
    """The weights from which a new run starts, for its record: whose, which, after how many steps, and their SHA-256.

    ``act`` is that of the start, if it is another one.
    """
    act = flatten({"act": vars(_read_config(f"start={config.start}", start).act)})
    own = flatten({"act": vars(config.act)})
    return {
        "path": config.start,
        "weights": "best" if config.start_best else "newest",
        "step": start.facts.get("step"),
        "sha256": start_fingerprint(start),
        **({} if act == own else {"act": " ".join(f"{key}={value}" for key, value in act.items())}),
    }


def _read_config(word: str, start: State) -> Config:
    """The configuration of the run whose weights these are."""
    try:
        return restore_config(start.facts.get("config"), "its configuration")
    except ConfigError as error:
        raise ConfigError(f"{word}: does not hold a model of this program ({brief_line(error)})") from None
