"""Every run that a command line asks for, composed and validated before Hydra writes anything."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

from hydra import compose, initialize_config_module
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict, read_write
from omegaconf.errors import OmegaConfBaseException

from satae.cli import overrides
from satae.cli.places import place
from satae.config import Config, ConfigError, validate
from satae.config.messages import format_value
from satae.config.schema import TRAINING, Schema
from satae.config.validation import chosen_names
from satae.launchers import launchers
from satae.launchers.launchers import Launcher
from satae.printable import first_line

UNUSABLE: Final = (HydraException, OmegaConfBaseException, ValueError)  # what Hydra raises for what was typed


class Run(NamedTuple):
    """One run that a command line asks for."""

    words: list[str]  # its overrides
    config: Config
    folder: Path  # where it would write; of a sweep, where all of them would


class Planned(NamedTuple):
    """What a command line asks for."""

    runs: list[Run]
    varied: list[str]  # what was given several values
    launcher: Launcher | None  # the options of the one that makes several at once; None for one after another


def planned(
    *commands: Sequence[str], multirun: bool = False, name: str | None = None, folder: str | None = None
) -> Planned:
    """Every run that a command line asks for, and how they are launched.

    Args:
        commands: overrides, as typed; of a sweep that goes on, those of each command line that had a part in it.
        multirun: whether they are those of a sweep.
        name: of the primary configuration; None for the one of ``conf/``.
        folder: with configurations of the user's own (``--config-dir``).

    Raises:
        ConfigError: one of them cannot be run.
    """
    if folder and not Path(folder).is_dir():
        raise ConfigError(f"--config-dir {folder}: no such folder")
    own = [f"hydra.searchpath=['file://{Path(folder).absolute()}']"] if folder else []
    with initialize_config_module("satae.conf", version_base="1.3"):
        jobs, varied = _jobs(commands) if multirun else ([[*commands[0]]], [])
        found = [
            _run(job, own, name or TRAINING.primary, number if multirun else None) for number, job in enumerate(jobs)
        ]
    runs = [composed.run for composed in found]
    return Planned(runs, varied, found[0].launcher if multirun else None)


def settled(words: Sequence[str], schema: Schema) -> dict[str, Any]:
    """The values of the configuration of a program that makes no runs.

    Args:
        words: overrides, as typed.
        schema: what can be chosen.

    Raises:
        ConfigError: one of them cannot be used.
    """
    with initialize_config_module("satae.conf", version_base="1.3"), _explained(words, schema):
        parts = [f"+{schema.parts.group}@{name}={name}" for name in schema.parts.names()] if schema.parts else []
        composed = _checked(list(words), parts, schema.primary, schema)
        with open_dict(composed):
            del composed["hydra"]
        return plain_values(composed)


def plain_values(composed: DictConfig) -> dict[str, Any]:
    """What Hydra composed, with its interpolations resolved.

    Raises:
        ConfigError: an interpolation cannot be resolved.
    """
    try:
        values: dict[str, Any] = OmegaConf.to_container(composed, resolve=True)  # type: ignore[assignment]
    except OmegaConfBaseException as error:
        raw: Any = OmegaConf.to_container(composed, resolve=False)
        for key in str(error.full_key).split("."):
            raw = raw.get(key) if isinstance(raw, dict) else raw
        raise ConfigError(f"{error.full_key}={format_value(raw)}: {first_line(error)}") from None
    return {key: value for key, value in values.items() if key != "hydra"}


class _Composed(NamedTuple):
    run: Run
    launcher: Launcher | None


def _jobs(commands: Sequence[Sequence[str]]) -> tuple[list[list[str]], list[str]]:
    """The overrides of each run of a sweep, those of several command lines once; and the keys of several values."""
    found: dict[tuple[str, ...], None] = {}
    varied: dict[str, None] = {}
    for words in commands:
        with _explained(words):
            parsed = _parsed(words)
            for override in parsed:
                overrides.check_sweep(override)
                if override.is_sweep_override() and str(override.key_or_group).startswith("hydra"):
                    raise ConfigError(f"{override.input_line}: give one value; only what is run can be varied")
            varied |= dict.fromkeys(str(override.key_or_group) for override in parsed if override.is_sweep_override())
            found |= dict.fromkeys(tuple(job) for batch in BasicSweeper.split_arguments(parsed, None) for job in batch)
    return [list(job) for job in found], list(varied)


def _parsed(words: Sequence[str]) -> list[Override]:
    hydra = GlobalHydra.instance().hydra
    assert hydra is not None
    return OverridesParser.create(config_loader=hydra.config_loader).parse_overrides(list(words))


def _run(words: list[str], own: list[str], name: str, number: int | None) -> _Composed:
    """One run, the ``number``-th of a sweep."""
    with _explained(words):
        composed = _checked(words, own, name, TRAINING)
        with _current(composed, number):
            where, launcher = place(composed, number is not None), _launcher(composed)
            with open_dict(composed):
                del composed["hydra"]
            return _Composed(Run(words, validate(plain_values(composed)), where), launcher)


def _checked(words: list[str], own: list[str], name: str, schema: Schema) -> DictConfig:
    """What Hydra makes of words that have been looked at."""
    parsed = _parsed(words)
    overrides.check_single(parsed, schema)
    for override in parsed:
        overrides.check_override(override, schema)
    return _composed(name, words + own)


def _composed(name: str, words: list[str]) -> DictConfig:
    """What Hydra makes of some words, which it takes apart without looking whether they can be."""
    try:
        return compose(name, words, return_hydra_config=True)
    except UNUSABLE:
        raise
    except Exception as error:
        raise ConfigError(f"{' '.join(words)}: cannot be read ({first_line(error)}); see --help") from None


def _launcher(composed: DictConfig) -> Launcher:
    options = dict(composed.hydra.launcher)
    return Launcher(options.pop("_target_"), options)


@contextmanager
def _current(composed: DictConfig, number: int | None) -> Iterator[None]:
    """For as long as it lasts, ``hydra:`` interpolations find a configuration, as they do in the run."""
    with read_write(composed.hydra):
        composed.hydra.job.update({} if number is None else {"num": number, "id": str(number)})
    hydra = HydraConfig.instance()
    before = hydra.cfg
    hydra.set_config(composed)
    try:
        yield
    finally:
        hydra.cfg = before


@contextmanager
def _explained(words: Sequence[str], schema: Schema = TRAINING) -> Iterator[None]:
    try:
        yield
    except ConfigError:
        raise
    except UNUSABLE as error:
        raise ConfigError(overrides.explain(error, _chosen(words, schema), schema)) from None


def _chosen(words: Sequence[str], schema: Schema) -> dict[str, str]:
    """The name chosen in each group, as far as the overrides can be composed, and that of the launcher."""
    launcher = {key: name for key, _, name in (word.partition("=") for word in words) if key == launchers.KEY}
    for part in ([word for word in words if word.partition("=")[0] in schema.group_keys], []):
        with suppress(Exception):  # whatever Hydra raises
            return chosen_names(plain_values(compose(schema.primary, part)), schema) | launcher
    return launcher
