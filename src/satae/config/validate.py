"""From what Hydra composed, or what a run stored, to a ``Config``."""

from __future__ import annotations

import math
from dataclasses import fields, is_dataclass
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigKeyError, MissingMandatoryValue, OmegaConfBaseException

from satae.config.messages import ConfigError, bad_choice, out_of_range, unknown_key, wrong_type
from satae.config.schema import GROUPS, Config


def validate(composed: DictConfig | dict[str, Any]) -> Config:
    """A configuration with its types.

    Args:
        composed: what Hydra composed, or a stored configuration as plain data.

    Raises:
        ConfigError: an unknown key, a wrong type, a value out of range.
    """
    composed = OmegaConf.create(composed) if isinstance(composed, dict) else composed
    chosen = chosen_names(composed)
    schema = OmegaConf.structured(Config)
    for group, name in chosen.items():
        schema[group] = OmegaConf.structured(GROUPS[group][name])
    try:
        config = OmegaConf.to_object(OmegaConf.merge(schema, composed))
    except ConfigKeyError as error:
        raise ConfigError(unknown_key(str(error.full_key or error.key), chosen)) from None
    except MissingMandatoryValue as error:
        raise ConfigError(f"{error.full_key}: is missing; leave out the ~ that deletes it") from None
    except OmegaConfBaseException as error:
        group = str(error.full_key).partition(".")[0]
        raise ConfigError(wrong_type(error, GROUPS[group][chosen[group]] if group in chosen else Config)) from None
    assert isinstance(config, Config)
    _check_ranges(config)
    return config


def chosen_names(composed: DictConfig) -> dict[str, str]:
    """The name chosen in each group.

    Raises:
        ConfigError: a group without a name, or with one that is not known.
    """
    names = {}
    for group, kinds in GROUPS.items():
        node = composed.get(group)
        name = node.get("name") if isinstance(node, DictConfig) else None
        if name not in kinds:
            raise ConfigError(bad_choice(group, name or node, kinds))
        names[group] = str(name)
    return names


def _check_ranges(group: Any, prefix: str = "") -> None:
    for item in fields(group):
        value, name, bounds = getattr(group, item.name), prefix + item.name, item.metadata
        if is_dataclass(value):
            _check_ranges(value, f"{name}.")
        elif "choices" in bounds and value not in bounds["choices"]:
            raise ConfigError(bad_choice(name, value, bounds["choices"]))
        elif "low" in bounds and value is not None:
            numbers = value if isinstance(value, list) else [value]
            if not all(_fits(number, **bounds) for number in numbers):
                raise ConfigError(out_of_range(name, value, dict(bounds)))


def _fits(number: float, *, low: float, high: float, above: bool, below: bool) -> bool:
    over = low < number if above else low <= number
    under = number < high if below else number <= high
    return over and under and math.isfinite(number)
