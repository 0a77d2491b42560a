"""Reads files that may be torn, enormous or from a stranger: YAML, JSON, and saved configurations."""

from __future__ import annotations

import json
import math
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from satae.config.plugins import PLUGINS, missing_plugins, warn_of_changes
from satae.config.registry import YAML_LOADER, conf_values
from satae.config.schema import GROUPS, Config, default_choice, validate
from satae.errors import ConfigError
from satae.messages import brief, brief_line, reason

MAX_DEPTH: Final = 10
MAX_CONFIG_BYTES: Final = 2**20  # satae-train writes a thousandth of that
ADDED_LATER: Final = ("checkpoint", "logger")  # configurations of earlier versions do not have these keys
# configurations of earlier versions do not have these settings either, but they are part of what a run is
SETTINGS_ADDED_LATER: Final = ("patience", "ema", "start", "start_best", "freeze")
OPTIONS_ADDED_LATER: Final = {  # of each group: options that they do not have
    "data": ("background",),
    "optim": ("schedule", "warmup", "step_at", "step_factor", "clip"),
}


class MissingPluginError(ConfigError):
    """A configuration has a choice of a plugin that is not imported; the message says what to type."""


def read_file(path: Path, max_bytes: int, *, follow_links: bool = True) -> bytes:
    """Read a regular file of limited size.

    Raises:
        FileNotFoundError: the file is missing.
        OSError: it cannot be read.
        ValueError: it is not a regular file, or it is too large.
    """
    # a pipe is opened without waiting for its writer
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | (0 if follow_links else os.O_NOFOLLOW))
    with open(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise ValueError("it is not a file")
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise ValueError("it is too large")
    return content


def read_json(path: Path, max_bytes: int, *, finite: bool = False) -> Any:
    """Parse a JSON file of limited size; if ``finite``, NaN and infinity are refused, which JSON does not have.

    Raises:
        ConfigError: it cannot be read; the message is one line with the path and the reason.
    """
    try:
        content = read_file(path, max_bytes)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be read ({reason(error)})") from None
    try:
        number = _finite if finite else float
        return json.loads(content.decode("utf-8"), parse_constant=number, parse_float=number)
    except RecursionError:
        raise ConfigError(f"{path}: cannot be read (it is nested too deeply)") from None
    except ValueError:
        raise ConfigError(f"{path}: cannot be read (it is incomplete, or not JSON)") from None


def _finite(text: str) -> float:
    """A number of a JSON file; a ValueError if it is not finite."""
    if not math.isfinite(number := float(text)):
        raise ValueError(text)
    return number


def read_yaml(path: Path) -> Any:
    """Read a YAML file that holds plain data: no tags, no references, at most ``MAX_DEPTH`` levels.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is larger than ``MAX_CONFIG_BYTES``, no regular file, or not plain YAML.
    """
    content = read_file(path, MAX_CONFIG_BYTES)
    try:
        _check_yaml(content)
        return YAML_LOADER(content).get_single_data()
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(brief_line(error)) from None


def _check_yaml(content: bytes) -> None:
    """Refuse references, which can grow without end, and depth, which can end the program."""
    depth = 0
    for event in yaml.parse(content, YAML_LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if isinstance(event, yaml.AliasEvent):
            raise ValueError("it has a reference (*)")
        if depth > MAX_DEPTH:
            raise ValueError(f"it is more than {MAX_DEPTH} levels deep")


def read_config(path: Path) -> Config:
    """Read and check the configuration of a run, from its ``config.yaml``.

    Raises:
        ConfigError: it cannot be read, or is not a configuration.
    """
    return restore_config(read_config_values(path), str(path))


def read_config_values(path: Path) -> dict[str, Any]:
    """Read the configuration of a run without checking its values, which takes a hundredth of the time.

    Raises:
        ConfigError: it cannot be read, or does not map names to plain data.
    """
    try:
        values = read_yaml(path)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise ConfigError(f"{path}: is not a configuration ({brief_line(error)})") from None
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise ConfigError(f"{path}: is not a configuration")
    if (found := next(_not_finite(values), None)) is not None:
        raise ConfigError(f"{path}: is not a configuration (it holds {found}, not a finite number)")
    warn_of_changes(values.get(PLUGINS))
    return _add_later_options(values)


def _not_finite(value: Any) -> Iterator[float]:
    """The numbers of plain data that are not finite: no option allows them."""
    if isinstance(value, float) and not math.isfinite(value):
        yield value
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _not_finite(item)


def _add_later_options(values: Mapping[str, Any]) -> dict[str, Any]:
    """Give options that an earlier version did not have their default values, with which nothing changes."""
    added = {**values, **{key: conf_values("config.yaml")[key] for key in SETTINGS_ADDED_LATER if key not in values}}
    for group, options in OPTIONS_ADDED_LATER.items():
        chosen = values.get(group)
        if not isinstance(chosen, Mapping) or chosen.get("name") not in GROUPS[group].names():
            continue
        defaults = GROUPS[group].defaults(chosen["name"])
        later = {option: defaults[option] for option in options if option in defaults}
        added[group] = {**later, **chosen}
    return added


def restore_config(values: object, where: str) -> Config:
    """Check a configuration that was saved as plain data, perhaps by an earlier version.

    Args:
        values: from ``config.yaml`` or a checkpoint.
        where: the name of that file, for the message.

    Raises:
        MissingPluginError: it has a choice of a plugin that is not imported.
        ConfigError: it is not a configuration.
    """
    if not isinstance(values, Mapping):
        raise ConfigError(f"{where}: is not a configuration")
    if "${" in repr(values):
        raise ConfigError(f"{where}: has an interpolation (${{), which satae-train does not write")
    defaults = conf_values("config.yaml")
    added = {key: defaults[key] if key in defaults else vars(default_choice(key)) for key in ADDED_LATER}
    warn_of_changes(values.get(PLUGINS))
    try:
        return validate({**added, **_add_later_options(values)})
    except ConfigError as error:
        if missing := missing_plugins(values.get(PLUGINS, [])):
            raise MissingPluginError(f"{where}: {missing}") from None
        raise ConfigError(f"{where}: {brief(error)}") from None
    except Exception as error:  # keys that are not words, and whatever else YAML can hold
        raise ConfigError(f"{where}: is not a configuration ({brief_line(error)})") from None
