"""Configurations that come from a file: plain data, from whomever."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any, Final

import yaml

from satae.config.messages import ConfigError
from satae.config.schema import SECTIONS, Config
from satae.config.validate import validate
from satae.printable import brief, brief_line

LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # plain data alone, the quick one if it is there
DEEPEST: Final = 10
LARGEST: Final = 2**20  # bytes; what satae-train writes is a thousandth of that


def read(path: Path) -> Config:
    """The configuration of a run, from its ``config.yaml``.

    Raises:
        ConfigError: it cannot be read, or is none. Tags, references and interpolations, which plain data have not, are
            refused.
    """
    return config_of({**_defaults(), **read_plain(path)}, str(path))


def read_plain(path: Path) -> dict[str, Any]:
    """The same as it stands there, its values not looked at, which takes a hundredth of the time.

    Raises:
        ConfigError: it cannot be read, or holds something else than plain data by name.
    """
    try:
        if path.exists() and not path.is_file():  # reading from a pipe would wait for ever
            raise ConfigError(f"{path}: is no file")
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise ConfigError(f"{path}: is larger than any configuration")
        if reason := _refused(content):
            raise ConfigError(f"{path}: {reason}, which satae-train does not write")
        found = LOADER(content).get_single_data()
    except ConfigError:
        raise
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise ConfigError(f"{path}: is no configuration ({brief_line(error)})") from None
    if not isinstance(found, dict) or not all(isinstance(key, str) for key in found):
        raise ConfigError(f"{path}: is no configuration")
    return found


def _refused(content: bytes) -> str:
    """What is in a text that is in no configuration: references can grow without end, depth can end the program."""
    depth = 0
    for event in yaml.parse(content, LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if isinstance(event, yaml.AliasEvent):
            return "has a reference (*)"
        if depth > DEEPEST:
            return f"is more than {DEEPEST} levels deep"
    return ""


def _defaults() -> dict[str, object]:
    """Of the sections that configurations of earlier versions have not."""
    values = shipped("config")
    return {section: values[section] for section in SECTIONS}


def shipped(primary: str) -> dict[str, Any]:
    """The values of ``conf/<primary>.yaml``, which stand where nothing else is chosen."""
    found: dict[str, Any] = yaml.safe_load((resources.files("satae.conf") / f"{primary}.yaml").read_text("utf-8"))
    return found


def config_of(found: object, where: str) -> Config:
    """A configuration from plain data.

    Args:
        found: what was read.
        where: it was read.

    Raises:
        ConfigError: it is none, in one line that says where.
    """
    if not isinstance(found, dict):
        raise ConfigError(f"{where}: is no configuration")
    if "${" in repr(found):
        raise ConfigError(f"{where}: has an interpolation (${{), which satae-train does not write")
    try:
        return validate(found)
    except ConfigError as error:
        raise ConfigError(f"{where}: {brief(error)}") from None
    except Exception as error:  # keys that are no words, and what else YAML can hold
        raise ConfigError(f"{where}: is no configuration ({brief_line(error)})") from None
