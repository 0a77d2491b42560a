"""The settings of satae-train and satae-eval: types and ranges; the values stand in ``conf/``."""

from __future__ import annotations

import copy
import functools
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Final, Literal, NamedTuple, get_type_hints

from pydantic import TypeAdapter

from satae.config.option_types import (
    Count,
    NonNegative,
    OpenShare,
    Positive,
    Seed,
    Threads,
    describe,
    option_types,
)
from satae.config.registry import (
    ACTIVATIONS,
    ARCHITECTURES,
    DATA_SOURCES,
    EVALUATION_PARTS,
    LOGGERS,
    NOISES,
    OPTIMIZERS,
    Choice,
    Registry,
    conf_values,
)

GROUPS: Final[dict[str, Registry[Any]]] = {
    registry.group: registry for registry in (ACTIVATIONS, ARCHITECTURES, DATA_SOURCES, NOISES, OPTIMIZERS, LOGGERS)
}
PRESETS: Final = "experiment"  # a group of whole settings, with choices of all other groups
SEED: Final = "seed"  # says which repetition a run is, not which configuration
# these say how a run is computed and shown, not what it is: they may change when a run resumes
EXECUTION_OPTIONS: Final = ("device", "threads", "compile", "checkpoint", "logger", "data.dir")


@dataclass(kw_only=True)
class Checkpoints:
    """When checkpoints are saved, and how many are kept."""

    every_minutes: Positive | None
    every_epochs: Count | None
    every_steps: Count | None
    keep: Count


@dataclass(kw_only=True)
class Config:
    """A whole training run."""

    act: Choice
    arch: Choice
    data: Choice
    noise: Choice
    optim: Choice
    logger: Choice

    alpha: NonNegative
    alpha_schedule: Literal["linear", "constant"]
    complement: Literal["output", "input", "slope"]
    eps: OpenShare
    reduction: Literal["mean", "sum"]
    standardize: bool
    init: Literal["unit_variance", "torch"]
    decoder_norm: Count | None

    epochs: Count
    batch_size: Count
    seed: Seed
    device: Literal["auto", "cpu", "cuda", "mps"]
    precision: Literal["fp32", "medium", "bf16"]
    compile: bool
    threads: Threads | None
    checkpoint: Checkpoints

    def to_dict(self) -> dict[str, Any]:
        """The configuration as plain data: a choice is ``{"name": ..., option: ...}``."""
        return {
            key: copy.deepcopy(vars(value) if isinstance(value, Choice | Checkpoints) else value)
            for key, value in vars(self).items()
        }


@dataclass(kw_only=True)
class Evaluation:
    """What satae-eval measures, and how."""

    best: bool
    split: Literal["test", "valid"]
    samples: Count
    batch_size: Count | None
    seed: Seed
    device: Literal["auto", "cpu", "cuda"]
    threads: Threads | None

    parts: dict[str, Choice]  # what to measure
    is_all: bool  # whether the user named no part


class Schema(NamedTuple):
    """What the user of one program can choose: how its command line is composed, checked and explained."""

    program: str
    primary: str  # the configuration in ``conf/`` that it starts from
    root: type  # the dataclass of its settings
    groups: Mapping[str, Registry[Any]]
    parts: Registry[Any] | None  # each of its choices is a section of options, such as ``denoising.gaussian``
    presets: frozenset[str]  # groups that are not a key of the configuration
    reserved: tuple[str, ...]  # words that are not part of a configuration
    synonyms: Mapping[str, str]  # words that users type for others
    several_values: str  # the remedy for several values where only one run is made

    @property
    def settings(self) -> dict[str, TypeAdapter[Any]]:
        """The settings outside groups and sections, and their types."""
        return setting_types(self.root)

    @property
    def sections(self) -> dict[str, list[str]]:
        """Settings that have a common name, and the names of their options; nothing heavy is imported."""
        if self.parts is not None:
            return {name: list(self.parts.defaults(name)) for name in self.parts.names()}
        return {"checkpoint": [item.name for item in fields(Checkpoints)]}

    @property
    def keys(self) -> list[str]:
        """The first words of everything that can be chosen."""
        return [*self.groups, *self.settings, *self.sections]

    @property
    def group_keys(self) -> frozenset[str]:
        """The words that take a name from ``conf/``."""
        return frozenset({*self.groups, *self.presets})


TRAINING: Final = Schema(
    program="satae-train",
    primary="config",
    root=Config,
    groups=GROUPS,
    parts=None,
    presets=frozenset({PRESETS}),
    reserved=("resume", "rerun", "sweep", "fail_fast"),
    synonyms={"launcher": "hydra/launcher=joblib", "n_jobs": "hydra.launcher.n_jobs=2"},
    several_values="several values need -m (--multirun), which makes one run of each",
)
EVALUATION: Final = Schema(
    program="satae-eval",
    primary="eval",
    root=Evaluation,
    groups={},
    parts=EVALUATION_PARTS,
    presets=frozenset(),
    reserved=("run", "evaluation"),
    synonyms={},
    several_values="give one value; several runs are named with run=A,B",
)


@functools.cache
def setting_types(root: type) -> dict[str, TypeAdapter[Any]]:
    """The types of the fields of a dataclass that the user sets one by one."""
    not_settings = ("parts", "is_all", "checkpoint")
    hints = get_type_hints(root, include_extras=True)
    return {name: TypeAdapter(hint) for name, hint in hints.items() if hint is not Choice and name not in not_settings}


def default_choice(group: str) -> Choice:
    """The choice of a group, with its options, unless the user makes another one."""
    defaults = conf_values("config.yaml")["defaults"]
    return GROUPS[group].choice(next(item[group] for item in defaults if group in item))


@functools.cache
def all_path_options() -> frozenset[str]:
    """Every option that takes the name of a file or folder, such as ``data.path``; all data sources are imported."""
    return frozenset(f"data.{option}" for name in DATA_SOURCES.names() for option in _path_options(name))


def _path_options(source: str) -> dict[str, bool]:
    """The options of a data source that take the name of a file or folder; True: or another name."""
    kinds = {option: describe(kind).get("path") for option, kind in option_types(DATA_SOURCES[source].build).items()}
    return {option: kind == "if it exists" for option, kind in kinds.items() if kind}


def with_absolute_paths(config: Config) -> Config:
    """The configuration with absolute names of files and folders, which hold in every working directory."""
    absolute = {}
    for option, may_be_name in _path_options(config.data.name).items():
        if typed := config.data.options[option]:
            path = os.path.abspath(os.path.expanduser(typed))
            absolute[option] = path if os.path.exists(path) or not may_be_name else typed
    return replace(config, data=Choice(**{**vars(config.data), **absolute}))


def flatten(values: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration as users type it: ``{"act": "relu", "alpha": 0.1, "noise": "gaussian", "noise.level": 0.3}``."""
    flat = dict[str, Any]()
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= {f"{key}.{option}" if option != "name" else key: item for option, item in flatten(value).items()}
        else:
            flat[key] = value
    return flat


def is_among(key: str, options: Iterable[str]) -> bool:
    """Whether a key of a flat configuration is one of some options, or lies below one of them."""
    return any(key == option or key.startswith(f"{option}.") for option in options)
