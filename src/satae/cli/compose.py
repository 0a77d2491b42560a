"""Every run of a command line, composed by Hydra and validated once, before anything is written."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, NamedTuple

import hydra
from hydra import compose, initialize_config_module
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from hydra.core.utils import env_override
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict, read_write
from omegaconf.errors import OmegaConfBaseException

from satae.cli import overrides
from satae.cli.app import FULL_ERROR, warn_of_repetition
from satae.cli.overrides import RUN_FOLDER, SWEEP_FOLDER
from satae.cli.run_options import check_writable
from satae.cli.typed_text import keep_text, looks_like_number, quote_value
from satae.config import Config, ConfigError, plugins, validate
from satae.config.registry import REGISTRIES
from satae.config.schema import PRESETS, TRAINING, Schema, chosen_names, key_of
from satae.launchers import selection
from satae.messages import first_line, format_value, join_words

GRID: Final = "hydra.sweeper.params"
ASK_FOR_RUNS: Final = ("hydra.mode", "hydra.sweeper", "hydra/sweeper")  # options that can ask for several runs
UNUSABLE: Final = (HydraException, OmegaConfBaseException, ValueError)  # what Hydra raises for what was typed


class ComposedRun(NamedTuple):
    """One run of a command line."""

    overrides: list[str]
    config: Config
    folder: Path  # the directory of the run; in a sweep, the folder of all its runs
    base: DictConfig  # what Hydra composed, with its own options under "hydra"; runs of a sweep share it
    values: Mapping[str, Any] = {}  # what this run sets in it

    def composition(self) -> DictConfig:
        """Set the values of this run in the composition that it shares; it is valid until another run does the same."""
        return _set_values(self.base, self.values)

    def process_options(self, directory: Path) -> DictConfig:
        """Hydra's own options for the process that makes the run in a directory, without interpolations."""
        composed, used = self.composition(), ("job", "job_logging", "output_subdir", "verbose")
        with _hydra_options(composed, runtime={"output_dir": str(directory)}):
            options = {key: _plain(composed.hydra[key]) for key in used}
            return OmegaConf.create({**options, "job_logging": _with_known_handlers(options["job_logging"])})

    def launcher_options(self, sweep: Path) -> dict[str, Any]:
        """The options of the launcher, with its class under ``_target_``, for the folder of a sweep."""
        composed = self.composition()
        with _hydra_options(composed, sweep={"dir": str(sweep)}):
            options: dict[str, Any] = _plain(composed.hydra.launcher)
            return options

    def multirun_text(self, words: Sequence[str], sweep: Path) -> str:
        """The content of ``multirun.yaml``: the configuration of a sweep's first run, with its words and its folder."""
        composed = self.composition().copy()
        with read_write(composed.hydra), open_dict(composed.hydra):
            composed.hydra.mode = RunMode.MULTIRUN
            composed.hydra.sweep.dir = str(sweep)
            composed.hydra.overrides.task = list(words)
        return OmegaConf.to_yaml(composed)


def compose_runs(
    *commands: Sequence[str], multirun: bool = False, config_name: str | None = None, config_dir: str | None = None
) -> tuple[list[ComposedRun], list[str]]:
    """Compose and validate every run of a command line.

    Args:
        commands: overrides; of a sweep that resumes, those of each of its command lines.
        multirun: whether they are a sweep's, with one run for each combination of values.
        config_name: the primary configuration; None for ``conf/config.yaml``.
        config_dir: a folder with configurations of the user's own.

    Returns:
        The runs, and the keys that have several values.

    Raises:
        ConfigError: one of the runs cannot be made.
    """
    own, primary = _search_path(config_dir), config_name or TRAINING.primary
    with _all_choices():
        if not multirun:
            return [_compose_run([*commands[0]], own, primary, None, {})], []
        combinations, varied = dict[tuple[str, ...], None](), dict[str, None]()
        for words in commands:
            with _one_line_errors(words, TRAINING):
                parsed = _parse(words)
                varied |= dict.fromkeys(str(item.key_or_group) for item in parsed if item.is_sweep_override())
                combinations |= dict.fromkeys(_combine(parsed))
        shared = dict[tuple[str, ...], DictConfig]()
        jobs = [_compose_run([*words], own, primary, number, shared) for number, words in enumerate(combinations)]
        asked = {word for words in commands for word in words}
        if any(word not in asked for job in jobs for word in _grid(job.base)):
            raise ConfigError(f"{GRID}: cannot be followed in one of several presets; name one preset")
        return jobs, [*varied]


@contextmanager
def beside_another_program() -> Iterator[None]:
    """Compose inside a program that uses Hydra itself, whose state is as it was at the end of the context."""
    outer = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    try:
        yield
    finally:
        GlobalHydra.instance().hydra = outer


def _all_choices() -> initialize_config_module:
    """Let Hydra find the choices in ``conf/``, and those that plugins have registered."""
    _store_added_choices()
    return initialize_config_module("satae.conf", version_base="1.3")


def _store_added_choices() -> None:
    for registry in REGISTRIES:
        for name, values in registry.added_choices.items():
            ConfigStore.instance().store(name=name, node=values, group=registry.group)


def _search_path(config_dir: str | None) -> list[str]:
    """The override that adds a folder with configurations of the user's own.

    Raises:
        ConfigError: it does not exist, or Hydra cannot use its name.
    """
    if not config_dir:
        return []
    folder = Path(os.path.expanduser(config_dir)).absolute()
    if not folder.is_dir():
        raise ConfigError(f"--config-dir {config_dir}: no such folder")
    if "${" in str(folder):
        raise ConfigError(f"--config-dir {config_dir}: the name contains ${{, which Hydra replaces; rename it")
    return [f"hydra.searchpath=[{quote_value(f'file://{folder}')}]"]


def add_grid(
    words: Sequence[str], multirun: bool, config_name: str | None = None, config_dir: str | None = None
) -> tuple[list[str], bool]:
    """Put the grid before overrides that files and words ask for in ``hydra.sweeper.params``, as Hydra does.

    Args:
        words: overrides.
        multirun: whether the command line asks for several runs; ``hydra.mode`` may do that, too.
        config_name: the primary configuration; None for ``conf/config.yaml``.
        config_dir: a folder with configurations of the user's own.

    Returns:
        The overrides, and whether they ask for several runs.

    Raises:
        ConfigError: Hydra cannot use the words, or there is a grid where one run is asked for.
    """
    keys = [key_of(word) for word in words]
    if typed := [word for word, key in zip(words, keys, strict=True) if key.startswith(GRID)]:
        raise ConfigError(f"{typed[0]}: is for files; on the command line write the values themselves: -m alpha=0,0.1")
    if not (config_dir or config_name or any(key == PRESETS or key.startswith(ASK_FOR_RUNS) for key in keys)):
        return [*words], multirun
    own, primary = _search_path(config_dir), config_name or TRAINING.primary
    with _all_choices(), _one_line_errors(words, TRAINING):
        last = {override.get_key_element(): override for override in _parse(words)}
        fixed = [str(override.input_line) for override in last.values() if not override.is_sweep_override()]
        _parse_checked(fixed, TRAINING)
        composed = _compose(fixed, own, primary)
        params = _grid(composed)
    if composed.hydra.mode == RunMode.MULTIRUN:
        multirun = True
    if params and not multirun:
        raise ConfigError(
            f"{GRID}: {' '.join(params)} needs -m (--multirun), which makes one run of each; or remove it"
        )
    return [*(word for word in params if word not in words), *words], multirun


def _grid(composed: DictConfig) -> list[str]:
    """The overrides that ``hydra.sweeper.params`` asks for.

    Raises:
        ConfigError: YAML may have read a number instead of a text.
    """
    params = []
    for key, value in (OmegaConf.select(composed, GRID) or {}).items():
        word = f"{key}={value}"
        params.append(keep_text(word, TRAINING))
        if params[-1] != word and looks_like_number(value):
            raise ConfigError(f"{GRID}.{word}: YAML may have read a number here, not text; write \"'{value}'\"")
    return params


def compose_settings(words: Sequence[str], schema: Schema) -> dict[str, Any]:
    """Compose the configuration of a program that makes no runs, as plain values that are to be validated.

    Raises:
        ConfigError: one of the words cannot be used.
    """
    warn_of_repetition(words)
    words = [keep_text(word, schema) for word in words]
    with _all_choices(), _one_line_errors(words, schema):
        parts = [f"+{schema.parts.group}@{name}={name}" for name in schema.parts.names()] if schema.parts else []
        _parse_checked(words, schema)
        return plain_values(_compose(words, parts, schema.primary))


def config_text(run: ComposedRun, part: str, package: str | None, resolve: bool) -> str:
    """A configuration as YAML, for ``--cfg``.

    Args:
        run: of this command line.
        part: job, hydra or all.
        package: the node to show; None for all of it.
        resolve: whether interpolations are replaced by their values.

    Raises:
        ConfigError: the node does not exist.
    """
    shown = run.composition()
    with _hydra_options(shown):
        if part == "job":
            shown = _without_hydra(shown)
        elif part == "hydra":
            shown = OmegaConf.masked_copy(shown, ["hydra"])
            with read_write(shown.hydra), open_dict(shown.hydra):
                del shown.hydra["hydra_help"], shown.hydra["help"]
        node = shown if package in (None, "_global_") else OmegaConf.select(shown, str(package))
        if node is None:
            raise ConfigError(f"package '{package}' not found in config")
        if not OmegaConf.is_config(node):
            return str(node)
        title = "" if node is shown else f"# @package {package}\n"
        return title + OmegaConf.to_yaml(node, resolve=resolve).rstrip("\n")


def show_with_hydra() -> None:
    """Let Hydra read the command line and show what only it can: ``--info``, ``--hydra-help``, completion.

    Raises:
        ConfigError: Hydra cannot use what was typed.
    """

    @hydra.main(config_path="pkg://satae.conf", config_name="config", version_base="1.3")
    def never_called(composed: DictConfig) -> None: ...

    _store_added_choices()
    try:
        with env_override({FULL_ERROR: "1"}):  # Hydra raises its errors instead of printing them
            never_called()
    except UNUSABLE as error:
        raise ConfigError(overrides.explain(error, {})) from None


def _parse(words: Sequence[str]) -> list[Override]:
    loader = GlobalHydra.instance().config_loader()
    return OverridesParser.create(config_loader=loader).parse_overrides(list(words))


def _combine(parsed: Sequence[Override]) -> Iterator[tuple[str, ...]]:
    """Each combination of the values of a sweep; of two overrides of one key the last one counts."""
    axes, last = dict[str, list[str]](), {override.get_key_element(): override for override in parsed}
    overrides.check_number_of_runs([*last.values()])
    for key, override in last.items():
        overrides.check_sweep_override(override)
        values = override.sweep_string_iterator() if override.is_sweep_override() else None
        words = [str(override.input_line)] if values is None else [f"{key}={value}" for value in values]
        axes[key] = [keep_text(word, TRAINING, is_single=True) for word in words]  # Hydra's functions drop quotes
    yield from itertools.product(*axes.values())


def _compose_run(
    words: list[str], own: list[str], primary: str, number: int | None, shared: dict[tuple[str, ...], DictConfig]
) -> ComposedRun:
    """Compose and validate one run, which has a number if it is one of a sweep.

    Hydra composes once for all runs that differ in plain values only, such as that of ``alpha`` or ``optim.lr``; each
    run then sets its own values. ``shared`` holds these compositions by what the runs have in common.
    """
    with _one_line_errors(words, TRAINING):
        parsed = _parse_checked(words, TRAINING)
        plain = [override for override in parsed if _sets_plain_value(override)]
        common = tuple(str(word.key_or_group if word in plain else word.input_line) for word in parsed)
        composed = shared.get(common)
        if composed is None:
            composed = _compose(words, own, primary)
            if plugins.PLUGINS in composed:  # a file must not choose which code runs
                remedy = f"type {plugins.PLUGINS}=... instead"
                raise ConfigError(
                    f"{plugins.PLUGINS}: stands in a file, which cannot choose what is imported; {remedy}"
                )
            if composed.hydra.callbacks:  # they name code
                raise ConfigError("hydra.callbacks: satae-train does not follow it; leave it out")
            if not str(composed.hydra.sweeper["_target_"]).endswith(".BasicSweeper"):
                raise ConfigError("hydra/sweeper: satae-train makes sweeps itself; leave it out")
            # a mapping is merged into the earlier one; the other is a text of all words
            has_mapping = any(isinstance(word.value(), dict) for word in plain)
            if number is not None and not has_mapping and not _names_overrides(composed):
                shared[common] = composed
        values = {str(word.key_or_group): word.value() for word in plain}
        if number is not None:
            task = [str(word.input_line) for word in parsed if not word.is_hydra_override()]
            values |= {"hydra.job.num": number, "hydra.job.id": str(number), "hydra.overrides.task": task}
        with _hydra_options(_set_values(composed, values)):
            key = RUN_FOLDER if number is None else SWEEP_FOLDER
            typed = OmegaConf.select(composed, key)
            if not typed:
                raise ConfigError(f"{key}=: is empty; name a folder, or leave it out")
            if looks_like_number(typed) and not any(key_of(word) == key for word in words):
                read = "YAML may have read a number here, instead of a name such as 2022_02_02"
                raise ConfigError(f"{key}={typed}: {read}; write ./{typed} for this folder, with quotes")
            folder = Path(os.path.expanduser(typed)).absolute()
            if "${" in str(folder):
                raise ConfigError(f"{folder}: the name contains ${{, which Hydra replaces; rename the folder")
            if not number:  # the first run stands for all of a sweep
                check_writable(folder, f"{key}={typed}")
            config = replace(validate(plain_values(composed)), plugins=plugins.plugin_entries())
            return ComposedRun(words, config, folder, composed, values)


def _set_values(composed: DictConfig, values: Mapping[str, Any]) -> DictConfig:
    with open_dict(composed.hydra):
        for key, value in values.items():
            OmegaConf.update(composed, key, value)
    return composed


def _sets_plain_value(override: Override) -> bool:
    """Whether an override sets an option of a run, and chooses nothing that brings options along."""
    key = str(override.key_or_group)
    is_option = key.partition(".")[0] in TRAINING.keys and key not in TRAINING.group_keys
    return is_option and override.type == OverrideType.CHANGE and override.package is None


def _names_overrides(composed: DictConfig) -> bool:
    """Whether an option of Hydra's asks for the text of all overrides, such as the name of a log file."""
    return "hydra.job.override_dirname}" in OmegaConf.to_yaml(composed).replace(":", ".")


def _parse_checked(words: Sequence[str], schema: Schema) -> list[Override]:
    parsed = _parse(words)
    overrides.check_single_values(parsed, schema)
    for override in parsed:
        overrides.check_override(override, schema)
    return parsed


def _compose(words: Sequence[str], own: Sequence[str], primary: str) -> DictConfig:
    """Compose words that have been checked."""
    try:
        return compose(primary, [*words, *own], return_hydra_config=True)
    except UNUSABLE:
        raise
    except Exception as error:  # Hydra takes some words apart without looking whether they can be used
        raise ConfigError(f"{' '.join(words)}: cannot be read ({first_line(error)}); see --help") from None


def _without_hydra(composed: DictConfig) -> DictConfig:
    return OmegaConf.masked_copy(composed, [str(key) for key in composed if key != "hydra"])


def plain_values(composed: DictConfig) -> dict[str, Any]:
    """The composed configuration as plain values, without Hydra's options and without interpolations.

    Raises:
        ConfigError: an interpolation cannot be resolved.
    """
    chosen = _without_hydra(composed)
    try:
        values: dict[str, Any] = _plain(chosen)
        return values
    except OmegaConfBaseException as error:
        raw: Any = OmegaConf.to_container(chosen, resolve=False)
        for key in str(error.full_key).split("."):
            raw = raw.get(key) if isinstance(raw, dict) else raw
        raise ConfigError(f"{error.full_key}={format_value(raw)}: {first_line(error)}") from None


def _plain(node: Any) -> Any:
    return OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node


def _with_known_handlers(job_logging: dict[str, Any]) -> dict[str, Any]:
    """The configuration of a run's log, in which the root logger has at least one handler, and only existing ones.

    ``conf/config.yaml`` asks for a log file, which the choices none, disabled and stdout lack: they get their own
    handlers, if they have any. Without a handler, Python would print errors.

    Raises:
        ConfigError: another handler is asked for that does not exist.
    """
    handlers, root = job_logging.get("handlers") or {}, job_logging.get("root") or {}
    asked = root.get("handlers") or []
    unknown = [name for name in asked if name not in handlers]
    if unknown not in ([], ["file"]):
        known = f"there are {join_words(handlers, 'and')}" if handlers else "there are none"
        raise ConfigError(f"hydra.job_logging.root.handlers={format_value(unknown)}: no such handler; {known}")
    used = [name for name in asked if name in handlers] or (list(handlers) if unknown else [])
    if not used:  # a handler without a logger would still open its file
        others = handlers if job_logging.get("loggers") else {}
        handlers, used = {**others, "nothing": {"class": "logging.NullHandler"}}, ["nothing"]
    return {**job_logging, "handlers": handlers, "root": {**root, "handlers": used}}


@contextmanager
def _hydra_options(composed: DictConfig, **sections: dict[str, Any]) -> Iterator[None]:
    """Set some of Hydra's own options, and let ``${hydra:...}`` find them, until the context ends."""
    hydra, current = composed.hydra, HydraConfig.instance()
    before, outer = {section: hydra[section].copy() for section in sections}, current.cfg
    try:
        with open_dict(hydra):
            for section, values in sections.items():
                hydra[section].update(values)
        current.cfg = composed  # type: ignore[assignment]  # HydraConfig.set_config would copy all options
        yield
    finally:
        current.cfg = outer
        hydra.update(before)


@contextmanager
def _one_line_errors(words: Sequence[str], schema: Schema) -> Iterator[None]:
    """Turn what Hydra raises for some words into one line."""
    try:
        yield
    except ConfigError:
        raise
    except UNUSABLE as error:
        raise ConfigError(overrides.explain(error, _choices_in(words, schema), schema)) from None


def _choices_in(words: Sequence[str], schema: Schema) -> dict[str, str]:
    """The name chosen in each group, as far as the overrides can be composed, and that of the launcher."""
    launcher = {
        key: name for key, _, name in (word.partition("=") for word in words) if key == selection.LAUNCHER_GROUP
    }
    for part in ([word for word in words if word.partition("=")[0] in schema.group_keys], []):
        with suppress(Exception):  # whatever Hydra raises
            return chosen_names(plain_values(compose(schema.primary, part)), schema) | launcher
    return launcher
