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
from hydra.plugins.sweeper import Sweeper
from omegaconf import DictConfig, open_dict, read_write
from omegaconf.errors import OmegaConfBaseException

from satae.command import overrides, parallel
from satae.command.places import Place, place
from satae.config import Config, ConfigError, validate
from satae.config.messages import first_line
from satae.config.validate import chosen_names

UNUSABLE: Final = (HydraException, OmegaConfBaseException, ValueError)  # what Hydra raises for what was typed


class Planned(NamedTuple):
    """What a command line asks for."""

    configs: list[Config]  # of its runs
    places: list[Place]  # where they would write
    launcher: dict[str, Any] | None  # the options of the one that makes several at once; None for one after another


def planned(
    words: Sequence[str], multirun: bool = False, name: str | None = None, folder: str | None = None
) -> Planned:
    """Every run that a command line asks for, and how they are launched.

    Args:
        words: overrides, as typed.
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
        jobs = _jobs(words) if multirun else [list(words)]
        found = [_run(job + own, name or "config", number if multirun else None) for number, job in enumerate(jobs)]
    return Planned([run.config for run in found], [run.place for run in found], found[0].launcher if multirun else None)


class _Run(NamedTuple):
    config: Config
    place: Place
    launcher: dict[str, Any] | None


def _jobs(words: Sequence[str]) -> list[list[str]]:
    """The overrides of each run of a sweep."""
    with _explained(words):
        parsed = _parsed(words)
        for override in parsed:
            overrides.check_sweep(override)
        return [job for batch in BasicSweeper.split_arguments(parsed, None) for job in batch]


def _parsed(words: Sequence[str]) -> list[Override]:
    hydra = GlobalHydra.instance().hydra
    assert hydra is not None
    return OverridesParser.create(config_loader=hydra.config_loader).parse_overrides(list(words))


def _run(words: list[str], name: str, number: int | None) -> _Run:
    """One run, the ``number``-th of a sweep."""
    with _explained(words):
        for override in _parsed(words):
            overrides.check_override(override)
        composed = _composed(name, words)
        with _current(composed, number):
            where, launcher = place(composed, number is not None), _launcher(composed)
            with open_dict(composed):
                del composed["hydra"]
            return _Run(validate(composed), where, launcher)


def _composed(name: str, words: list[str]) -> DictConfig:
    """What Hydra makes of some words, which it takes apart without looking whether they can be."""
    try:
        return compose(name, words, return_hydra_config=True)
    except UNUSABLE:
        raise
    except Exception as error:
        raise ConfigError(f"{' '.join(words)}: cannot be read ({first_line(error)}); see --help") from None


def _launcher(composed: DictConfig) -> dict[str, Any] | None:
    if composed.hydra.runtime.choices["hydra/launcher"] != parallel.LAUNCHER:
        return None
    options = composed.hydra.launcher
    return {key: options[key] for key in options if key != "_target_"}


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
def composed_already() -> Iterator[None]:
    """Keep Hydra's sweeper from composing every run once more, to see whether it can be: that is known by then."""
    sweeper: Any = Sweeper
    before, sweeper.validate_batch_is_legal = sweeper.validate_batch_is_legal, lambda self, batch: None
    try:
        yield
    finally:
        sweeper.validate_batch_is_legal = before


@contextmanager
def _explained(words: Sequence[str]) -> Iterator[None]:
    try:
        yield
    except ConfigError:
        raise
    except UNUSABLE as error:
        raise ConfigError(overrides.explain(error, _chosen(words))) from None


def _chosen(words: Sequence[str]) -> dict[str, str]:
    """The name chosen in each group, as far as the overrides can be composed."""
    for part in ([word for word in words if word.partition("=")[0] in overrides.GROUPED], []):
        with suppress(Exception):  # whatever Hydra raises
            return chosen_names(compose("config", part))
    return {}
