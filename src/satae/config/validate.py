"""From what Hydra composed, or what a run stored, to a ``Config``."""

from __future__ import annotations

import functools
import math
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import (
    ConfigKeyError,
    InterpolationResolutionError,
    MissingMandatoryValue,
    OmegaConfBaseException,
)

from satae.config.choices import Options
from satae.config.messages import KINDS, ConfigError, bad_choice, expected, out_of_range, own_options, show, unknown_key
from satae.config.schema import TRAINING, Config, Schema
from satae.printable import first_line

T = TypeVar("T")


def validate(composed: DictConfig | dict[str, Any]) -> Config:
    """The configuration of a training, with its types.

    Args:
        composed: what Hydra composed, or a stored configuration as plain data.

    Raises:
        ConfigError: an unknown key, a wrong type, a value out of range.
    """
    return validated(composed, TRAINING)


def validated(composed: DictConfig | dict[str, Any], schema: Schema[T]) -> T:
    """That of any program.

    Args:
        composed: what Hydra composed, or a stored configuration as plain data.
        schema: what it may hold.

    Raises:
        ConfigError: an unknown key, a wrong type, a value out of range.
    """
    composed = OmegaConf.create(composed) if isinstance(composed, dict) else composed
    chosen = chosen_names(composed, schema)
    for section, kind in schema.sections.items():
        if not isinstance(found := composed.get(section), DictConfig):
            own = ", ".join(f"{section}.{option}" for option in own_options(kind))
            raise ConfigError(f"{section}={show(found)}: is not one value; there are {own}")
    typed = OmegaConf.structured(schema.root)
    for group, name in chosen.items():
        typed[group] = OmegaConf.structured(schema.groups[group][name])
    try:
        config = OmegaConf.to_object(OmegaConf.merge(typed, composed))
    except OmegaConfBaseException as error:
        raise ConfigError(_refusal(error, composed, chosen, schema)) from None
    except OverflowError as error:
        raise ConfigError(f"a number is too large ({first_line(error)}); choose a smaller one") from None
    assert isinstance(config, schema.root)
    _check_ranges(config, OmegaConf.to_container(composed, resolve=True))
    return config


def chosen_names(composed: DictConfig, schema: Schema[Any]) -> dict[str, str]:
    """The name chosen in each group.

    Raises:
        ConfigError: a group without a name, or with one that is not known.
    """
    names = {}
    for group, kinds in schema.groups.items():
        node = composed.get(group)
        name = node.get("name") if isinstance(node, DictConfig) else node
        if name not in kinds:
            raise ConfigError(bad_choice(group, name, kinds))
        names[group] = str(name)
    return names


def _refusal(error: OmegaConfBaseException, composed: DictConfig, chosen: dict[str, str], schema: Schema[Any]) -> str:
    name = str(error.full_key or error.key).partition("[")[0]
    if isinstance(error, ConfigKeyError):
        return unknown_key(name, chosen, schema)
    if isinstance(error, MissingMandatoryValue):
        return f"{name}: is missing; give it a value"
    value = functools.reduce(
        lambda node, key: node.get(key) if isinstance(node, dict) else node,
        name.split("."),
        OmegaConf.to_container(composed, resolve=False),
    )
    reason = "" if isinstance(error, InterpolationResolutionError) else expected(name, chosen, schema)
    return f"{name}={show(value)}: {reason or first_line(error)}"


def _check_ranges(group: Any, typed: Any, prefix: str = "") -> None:
    """Refuse what lies outside the schema's ranges; ``typed`` holds the values before they got their types."""
    for item in fields(group):
        value, given, name, rules = getattr(group, item.name), typed[item.name], prefix + item.name, item.metadata
        if is_dataclass(value):
            _check_ranges(value, given, f"{name}.")
        elif value == "" and "choices" not in rules:
            raise ConfigError(f"{name}=: is empty; give it a value, or leave it out")
        elif item.type == "bool" and type(given) is int:
            raise ConfigError(f"{name}={given}: {KINDS['bool']}")
        elif "choices" in rules and value not in rules["choices"]:
            raise ConfigError(bad_choice(name, given, rules["choices"]))
        elif "low" in rules and not all(isinstance(number, int | float) for number in _numbers(value)):
            raise ConfigError(f"{name}={show(given)}: {KINDS[str(item.type)]}")
        elif "low" in rules and not all(_fits(number, rules) for number in _numbers(value)):
            raise ConfigError(out_of_range(name, given, rules))
    if isinstance(group, Options) and (line := group.misfit()):
        raise ConfigError(line)


def _numbers(value: Any) -> list[float]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _fits(number: float, rules: Any) -> bool:
    over = rules["low"] < number if rules["above"] else rules["low"] <= number
    under = number < rules["high"] if rules["below"] else number <= rules["high"]
    return over and under and math.isfinite(number)
