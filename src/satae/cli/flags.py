"""The command line of satae-train: Hydra's flags and the overrides, in any order."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from string import Template
from textwrap import indent
from typing import Final

from satae.cli.app import OK, LineErrorParser
from satae.config.help_text import describe_groups, describe_settings
from satae.config.registry import conf_folder, conf_values
from satae.errors import ConfigError

INFORMATION: Final = ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath")


def parse_flags(words: Sequence[str]) -> argparse.Namespace:
    """Hydra's flags under their own names, and the other words as ``overrides``.

    Args:
        words: what follows the name of the program.

    Raises:
        ConfigError: a flag is unknown, is not offered, or cannot stand beside another one.
    """
    parser = LineErrorParser(prog="satae-train", add_help=False)
    parser.add_argument("overrides", nargs="*")
    parser.add_argument("--help", "-h", action="store_true")
    parser.add_argument("--hydra-help", action="store_true")
    parser.add_argument("--cfg", "-c", choices=["job", "hydra", "all"])
    parser.add_argument("--resolve", action="store_true")
    parser.add_argument("--package", "-p")
    parser.add_argument("--run", "-r", action="store_true")
    parser.add_argument("--multirun", "-m", action="store_true")
    parser.add_argument("--shell-completion", "-sc", action="store_true")
    parser.add_argument("--info", "-i", const="all", nargs="?", choices=INFORMATION)
    parser.add_argument("--config-name", "-cn")
    parser.add_argument("--config-dir", "-cd")
    parser.add_argument("--config-path", "-cp")
    parser.add_argument("--experimental-rerun")
    flags, unknown = parser.parse_known_intermixed_args(words)
    if unknown:
        raise ConfigError(f"{unknown[0]}: no such flag; options are written option=value (see --help)")
    if flags.experimental_rerun:
        raise ConfigError("--experimental-rerun: not offered, since it loads a pickle, which may run code")
    if flags.config_path:
        raise ConfigError("--config-path: not offered; add a folder of your own with --config-dir")
    if flags.resolve and not (flags.cfg or flags.help):
        raise ConfigError("The --resolve flag can only be used in conjunction with --cfg or --help")
    if sum(map(bool, (flags.run, flags.multirun, flags.cfg, flags.info, flags.shell_completion))) > 1:
        raise ConfigError("Only one of --run, --multirun, --cfg, --info and --shell-completion can be specified")
    return flags


def only_shows(flags: argparse.Namespace) -> bool:
    """Whether the flags ask to show something instead of a run."""
    return bool(flags.help or flags.hydra_help or flags.cfg or flags.info or flags.shell_completion)


def help_text() -> str:
    """The help of satae-train, read from ``conf/``: Hydra would take three times as long to compose it."""
    template = conf_values("config.yaml")["hydra"]["help"]["template"]
    settings = indent(describe_settings(conf_folder() / "config.yaml"), "  ")
    return Template(template).substitute(choices=describe_groups(), settings=settings).rstrip()


def show(flags: argparse.Namespace) -> int:
    """Print what the flags ask to show, after a check of the overrides beside them; returns the exit code.

    Raises:
        ConfigError: what was typed cannot be used.
    """
    if flags.help and not flags.overrides:
        print(help_text())  # noqa: T201
        return OK
    from satae.cli import compose, plan  # take longer than the help

    asked = plan.make_plan(flags, "") if flags.cfg or (flags.overrides and not flags.shell_completion) else None
    if asked is not None and asked.sweep is not None:
        raise ConfigError("sweep=: makes runs; leave it out where something is only shown")
    if flags.help:
        print(help_text())  # noqa: T201
    elif flags.cfg and asked is not None:
        print(compose.config_text(asked.first, flags.cfg, flags.package, flags.resolve))  # noqa: T201
    elif stored := [word for word in flags.overrides if word.startswith(("resume=", "rerun="))]:
        raise ConfigError(f"{stored[0]}: Hydra cannot show a stored configuration; show it with --cfg")
    else:
        compose.show_with_hydra()
    return OK
