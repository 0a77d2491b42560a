"""Configurations that come from a file: plain data, from whomever."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Final

import yaml

from satae.config.messages import ConfigError, first_line
from satae.config.schema import SECTIONS, Config
from satae.config.validate import validate

LARGEST: Final = 2**20  # bytes; what satae-train writes is a thousandth of that


def read(path: Path) -> Config:
    """The configuration of a run, from its ``config.yaml``.

    Raises:
        ConfigError: it cannot be read, or is none. Tags, references and interpolations, which plain data have not, are
            refused.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise ConfigError(f"{path}: is larger than any configuration")
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(content, yaml.SafeLoader)):
            raise ConfigError(f"{path}: has a reference (*), which satae-train does not write")
        found = yaml.safe_load(content)
        return plain({**_defaults(), **found} if isinstance(found, dict) else found, str(path))
    except ConfigError:
        raise
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise ConfigError(f"{path}: is no configuration ({first_line(error)})") from None


def _defaults() -> dict[str, object]:
    """Of the sections that configurations of earlier versions have not."""
    values = yaml.safe_load((resources.files("satae.conf") / "config.yaml").read_text("utf-8"))
    return {section: values[section] for section in SECTIONS}


def plain(found: object, where: str) -> Config:
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
        raise ConfigError(f"{where}: {error}") from None
    except Exception as error:  # keys that are no words, and what else YAML can hold
        raise ConfigError(f"{where}: is no configuration ({first_line(error)})") from None
