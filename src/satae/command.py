"""The command line that all entry points share: checks before anything is written, errors in one line, exit codes."""

from __future__ import annotations

import argparse
import math
import os
import re
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from importlib import resources
from typing import Final

from hydra import compose, initialize_config_module
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra._internal.utils import get_args_parser
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf.errors import OmegaConfBaseException

from satae.config import Config, ConfigError, validate
from satae.config.messages import bad_choice, unknown_key
from satae.config.schema import GROUPS
from satae.config.validate import chosen_names

OK: Final = 0
FAILED: Final = 1  # a fault of the program or of the machine
REFUSED: Final = 2  # a choice that cannot be run
DIVERGED: Final = 3  # the loss was not finite
INTERRUPTED: Final = 130  # Ctrl-C

DIRECTORIES = ("hydra.run.dir", "hydra.sweep.dir")


_failures: list[int] = []  # exit codes of the runs of this process that did not end well


def fail(line: str, code: int = FAILED) -> float:
    """Tell in one line that a run failed; the other runs of a sweep go on.

    Returns:
        nan, for the sweeper.
    """
    _failures.append(code)
    print(f"error: {line}", file=sys.stderr)  # noqa: T201
    return math.nan


def execute(program: str, hydra_main: Callable[[], None], check: Callable[[Config], None]) -> int:
    """Run a command line, and tell what went wrong in one line.

    Args:
        program: its name, for the messages.
        hydra_main: a function decorated by ``hydra.main``.
        check: raises ``ConfigError`` for a configuration that cannot be run; called before Hydra writes anything.

    Returns:
        The exit code.
    """
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra passes errors on instead of printing them
    try:
        arguments = parse_arguments()
        if arguments.run or arguments.multirun:
            for config in configs(arguments.overrides, arguments.multirun):
                check(config)
        hydra_main()
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        return _say(program, f"{place}cannot write there ({error.strerror}); set {' or '.join(DIRECTORIES)}", REFUSED)
    except (ConfigError, HydraException, OmegaConfBaseException) as error:
        return _say(program, explain(error, sys.argv[1:]), REFUSED)
    except KeyboardInterrupt:
        return _say(program, "interrupted", INTERRUPTED)
    return max(_failures, default=OK)


def _say(program: str, line: str, code: int) -> int:
    print(f"{program}: {line}", file=sys.stderr)  # noqa: T201
    return code


def parse_arguments() -> argparse.Namespace:
    """Hydra's own options and the overrides.

    Raises:
        ConfigError: an unknown option.
    """
    parser = get_args_parser()
    parser.exit_on_error = False
    try:
        arguments, unknown = parser.parse_known_args()
    except argparse.ArgumentError as error:
        raise ConfigError(str(error)) from None
    if unknown:
        raise ConfigError(f"{unknown[0]}: no such flag; options are written option=value (see --help)")
    if arguments.experimental_rerun:
        raise ConfigError("--experimental-rerun: not offered, since it loads a pickle, which may run code")
    shows = (arguments.help, arguments.hydra_help, arguments.cfg, arguments.info)
    arguments.run = not any(shows) and not arguments.shell_completion
    return arguments


def configs(overrides: list[str], multirun: bool) -> list[Config]:
    """Every run that a command line asks for.

    Raises:
        ConfigError: one of them cannot be run.
    """
    with initialize_config_module("satae.conf", version_base="1.3"):
        return [_config(job) for job in (_jobs(overrides) if multirun else [overrides])]


def _jobs(overrides: list[str]) -> list[list[str]]:
    hydra = GlobalHydra.instance().hydra
    assert hydra is not None
    parser = OverridesParser.create(config_loader=hydra.config_loader)
    try:
        batches = BasicSweeper.split_arguments(parser.parse_overrides(overrides), None)
    except HydraException as error:
        raise ConfigError(explain(error, overrides)) from None
    return [job for batch in batches for job in batch]


def _config(overrides: list[str]) -> Config:
    try:
        return validate(compose("config", overrides))
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        raise ConfigError(explain(error, overrides)) from None


def explain(error: Exception, overrides: list[str]) -> str:
    """What is wrong with a command line, in one line."""
    text = str(error)
    if isinstance(error, OverrideParseException):
        return f"{error.override}: cannot be read; write option=value, and quote special characters"
    if found := re.search(
        r"Could not (?:override|append to|delete from) config.*?'([^']+)'|Could not override '(.+)'", text
    ):
        return unknown_key(found[1] or found[2], _chosen(overrides))
    if isinstance(error, MissingConfigException) and (found := re.search(r"Could not find '(.+?)/(.+)'", text)):
        return bad_choice(found[1], found[2], choices(found[1]))
    if found := re.search(r"Ambiguous value for argument '([^']+)'", text):
        return f"{found[1]}: several values need -m (--multirun), which makes one run of each"
    return " ".join(line.strip() for line in text.splitlines()[:2])


def choices(group: str) -> Iterable[str]:
    """The names in a group of ``conf/``."""
    folder = resources.files("satae.conf") / group
    with resources.as_file(folder) as path:
        return sorted(str(file.relative_to(path).with_suffix("")) for file in path.rglob("*.yaml"))


def _chosen(overrides: list[str]) -> dict[str, str]:
    """The name chosen in each group, as far as the overrides can be composed."""
    for part in ([o for o in overrides if o.partition("=")[0] in {*GROUPS, "experiment"}], []):
        with suppress(HydraException, ValueError):
            return chosen_names(compose("config", part))
    return {}
