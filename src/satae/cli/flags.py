"""The words of a command line: Hydra's flags and the overrides, in any order."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import metadata, resources
from string import Template
from typing import Final, NoReturn

from omegaconf import OmegaConf

from satae.config import ConfigError

VERSION: Final = "--version"


def parse(parser: argparse.ArgumentParser, words: Sequence[str]) -> argparse.Namespace:
    """Hydra's flags and the overrides; ``run`` says whether anything would be trained.

    Args:
        parser: Hydra's own.
        words: what follows the program's name.

    Raises:
        ConfigError: an unknown flag, or one that is not offered.
    """
    parser.error = _refuse  # type: ignore[method-assign, assignment]
    parser.exit_on_error = False
    try:
        arguments, unknown = parser.parse_known_intermixed_args([word for word in words if word != VERSION])
    except argparse.ArgumentError as error:
        raise ConfigError(str(error)) from None
    if unknown:
        raise ConfigError(f"{unknown[0]}: no such flag; options are written option=value (see --help)")
    if arguments.experimental_rerun:
        raise ConfigError("--experimental-rerun: not offered, since it loads a pickle, which may run code")
    if arguments.config_path:
        raise ConfigError("--config-path: not offered; add a folder of your own with --config-dir")
    arguments.version = VERSION in words  # Hydra would show its own
    shows = (
        arguments.help,
        arguments.version,
        arguments.hydra_help,
        arguments.cfg,
        arguments.info,
        arguments.shell_completion,
    )
    arguments.run = not any(shows)
    return arguments


def shown(found: argparse.Namespace) -> str:
    """The help, or the version, if that is what was asked for; else nothing.

    It is read from ``conf/`` here, since Hydra takes three times as long to compose a configuration for it.
    """
    if found.version:
        return version_line()
    if not found.help:
        return ""
    with resources.as_file(resources.files("satae.conf") / "config.yaml") as file:
        template = OmegaConf.load(file).hydra.help.template
    return Template(template).substitute().rstrip()


def version_line() -> str:
    """Of what is installed."""
    return f"satae {metadata.version('satae')}"


@contextmanager
def added(words: Sequence[str]) -> Iterator[None]:
    """More words on the command line, where Hydra's parser finds them, for as long as the context lasts."""
    before = list(sys.argv)
    sys.argv += words
    try:
        yield
    finally:
        sys.argv[:] = before


def _refuse(line: str) -> NoReturn:
    raise ConfigError(line)
