"""The settings of satae-train and satae-eval: types, ranges and checks; the values stand in ``conf/``."""

from __future__ import annotations

import copy
import difflib
import functools
import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final, Literal, NamedTuple, get_type_hints

from pydantic import TypeAdapter

from satae.config.option_types import (
    IN_MEMORY,
    MISSING,
    Count,
    FilePath,
    NonNegative,
    OpenShare,
    Positive,
    Reading,
    Reduction,
    Seed,
    Threads,
    check_value,
    describe,
    option_types,
    type_words,
)
from satae.config.plugins import PLUGINS, check_stored
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
from satae.errors import ConfigError
from satae.messages import did_you_mean, format_value, join_words, unknown_choice

GROUPS: Final[dict[str, Registry]] = {
    registry.group: registry for registry in (ACTIVATIONS, ARCHITECTURES, DATA_SOURCES, NOISES, OPTIMIZERS, LOGGERS)
}
PRESETS: Final = "experiment"  # a group of whole settings, with choices of all other groups
SEED: Final = "seed"  # says which repetition a run is, not which configuration
# these say how a run is computed and shown, not what it is: they may change when a run resumes
EXECUTION_OPTIONS: Final = ("device", "threads", "compile", "checkpoint", "logger", "data.dir", PLUGINS)


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
    complement: Reading
    eps: OpenShare
    reduction: Reduction
    standardize: bool
    init: Literal["unit_variance", "torch"]
    decoder_norm: Count | None

    epochs: Count
    patience: Count | None
    ema: OpenShare | None
    batch_size: Count
    start: FilePath | None
    start_best: bool
    freeze: Literal["encoder", "decoder"] | None
    seed: Seed
    device: Literal["auto", "cpu", "cuda", "mps"]
    precision: Literal["fp32", "medium", "bf16"]
    compile: bool
    threads: Threads | None
    checkpoint: Checkpoints
    plugins: list[dict[str, str]] = field(default_factory=list)  # that were imported: names, as typed, and digests

    @property
    def choices(self) -> list[tuple[str, str]]:
        """The group and the name of each choice."""
        return [(group, value.name) for group, value in vars(self).items() if isinstance(value, Choice)]

    def to_dict(self) -> dict[str, Any]:
        """The configuration as plain data: a choice is ``{"name": ..., option: ...}``; without plugins, if none."""
        return {
            key: copy.deepcopy(vars(value) if isinstance(value, Choice | Checkpoints) else value)
            for key, value in vars(self).items()
            if value or key != PLUGINS
        }


@dataclass(kw_only=True)
class Evaluation:
    """What satae-eval measures, and how."""

    best: bool
    ema: bool = False
    split: Literal["test", "valid"]
    samples: Count
    batch_size: Count | None
    seed: Seed
    device: Literal["auto", "cpu", "cuda"]
    threads: Threads | None

    parts: dict[str, Choice]  # what to measure
    is_all: bool  # whether every part was asked for, by ``all`` or by default


class Schema(NamedTuple):
    """What the user of one program can choose: how its command line is composed, checked and explained."""

    program: str
    primary: str  # the configuration in ``conf/`` that it starts from
    root: type  # the dataclass of its settings
    groups: Mapping[str, Registry]
    parts: Registry | None  # each of its choices is a section of options, such as ``denoising.gaussian``
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
    reserved=("resume", "rerun", "sweep", "fail_fast", PLUGINS),
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
    reserved=("run", "evaluation", PLUGINS),
    synonyms={},
    several_values="give one value; several runs are named with run=A,B",
)


@functools.cache
def setting_types(root: type) -> dict[str, TypeAdapter[Any]]:
    """The types of the fields of a dataclass that the user sets one by one."""
    not_settings = ("parts", "is_all", "checkpoint", PLUGINS)
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
            is_name = (may_be_name or typed.startswith(IN_MEMORY)) and not os.path.exists(path)
            absolute[option] = typed if is_name else path
    return with_absolute_start(replace(config, data=Choice(**{**vars(config.data), **absolute})))


def with_absolute_start(config: Config) -> Config:
    """The configuration with an absolute name of the run that it starts from."""
    return replace(config, start=config.start and os.path.abspath(os.path.expanduser(config.start)))


def flatten(values: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration as users type it: ``{"act": "relu", "alpha": 0.1, "noise": "gaussian", "noise.level": 0.3}``."""
    flat = dict[str, Any]()
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= {f"{key}.{option}" if option != "name" else key: item for option, item in flatten(value).items()}
        else:
            flat[key] = value
    return flat


def key_of(word: str) -> str:
    """The key of an override, without ``+``, ``++`` or ``~`` before it."""
    return word.partition("=")[0].lstrip("+~")


def is_among(key: str, options: Iterable[str]) -> bool:
    """Whether a key of a flat configuration is one of some options, or lies below one of them."""
    return any(key == option or key.startswith(f"{option}.") for option in options)


# checks of configurations, and one line for what is wrong


def validate(values: Mapping[str, Any]) -> Config:
    """Check the configuration of a training run.

    Args:
        values: plain data, as Hydra composed it or as a run stored it.

    Raises:
        ConfigError: an unknown key, a missing value, a wrong type, a value out of range.
    """
    plugins = check_stored(values.get(PLUGINS, []))
    values = {key: value for key, value in values.items() if key != PLUGINS}
    settings: dict[str, Any] = _check_settings(values, TRAINING)
    checkpoint = Checkpoints(**_check_checkpoint(values.get("checkpoint")))
    return Config(**settings, **_check_groups(values, TRAINING), checkpoint=checkpoint, plugins=plugins)


def validate_evaluation(values: Mapping[str, Any], chosen: Collection[str] | None = None) -> Evaluation:
    """Check the settings of an evaluation.

    Args:
        values: plain data, as Hydra composed it.
        chosen: the parts that the user named; None or ``"all"`` for all.

    Raises:
        ConfigError: an unknown key or part, a wrong type, a value out of range.
    """
    registry, sections = EVALUATION_PARTS, EVALUATION.sections
    for name in chosen or ():
        if name not in ["all", *sections]:
            raise ConfigError(unknown_choice("evaluation", name, ["all", *sections]))
    settings = _check_settings(values, EVALUATION)
    parts = {
        name: registry.choice(name, _section(name, values.get(name), options), name)
        for name, options in sections.items()
    }
    is_all = chosen is None or "all" in chosen
    measured = {name: part for name, part in parts.items() if is_all or name in (chosen or ())}
    return Evaluation(**settings, parts=measured, is_all=is_all)


def _check_settings(values: Mapping[str, Any], schema: Schema) -> dict[str, Any]:
    """The settings outside groups and sections, converted to their types."""
    keys = schema.keys
    for key in values:
        if key not in keys:
            raise ConfigError(unknown_key(str(key), chosen_names(values, schema), schema))
    return {key: check_value(key, kind, values.get(key, MISSING)) for key, kind in schema.settings.items()}


def _check_groups(values: Mapping[str, Any], schema: Schema) -> dict[str, Any]:
    names = chosen_names(values, schema)
    found: dict[str, Any] = {}
    for group, registry in schema.groups.items():
        if not isinstance(node := values[group], Mapping):
            raise ConfigError(f"{group}={format_value(node)}: must be a name with options")
        found[group] = registry.choice(names[group], {key: value for key, value in node.items() if key != "name"})
    return found


def _check_checkpoint(values: Any) -> dict[str, Any]:
    kinds = option_types(Checkpoints)
    found = _section("checkpoint", values, list(kinds))
    if unknown := [option for option in found if option not in kinds]:
        raise ConfigError(unknown_key(f"checkpoint.{unknown[0]}", {}))
    return {
        option: check_value(f"checkpoint.{option}", kind, found.get(option, MISSING)) for option, kind in kinds.items()
    }


def _section(name: str, values: Any, options: Collection[str]) -> dict[str, Any]:
    """The options of a section, without its name."""
    if not isinstance(values, Mapping):
        own = ", ".join(f"{name}.{option}" for option in options)
        raise ConfigError(f"{name}={format_value(values)}: is not one value; there are {own}")
    return {key: value for key, value in values.items() if key != "name"}


def chosen_names(values: Mapping[str, Any], schema: Schema) -> dict[str, str]:
    """The name chosen in each group.

    Raises:
        ConfigError: a group without a name, or with an unknown one.
    """
    names = {}
    for group, registry in schema.groups.items():
        node = values.get(group)
        name = node.get("name") if isinstance(node, Mapping) else node
        if name not in (known := registry.names()):
            raise ConfigError(unknown_choice(group, name, known))
        names[group] = str(name)
    return names


def unknown_key(key: str, chosen: Mapping[str, str], schema: Schema = TRAINING) -> str:
    """What to say of an option that does not exist; nothing heavy is imported.

    Args:
        key: as typed, such as ``act.treshold``.
        chosen: the name chosen in each group.
        schema: what can be chosen.
    """
    group, _, option = key.partition(".")
    if group in schema.groups and option:
        return schema.groups[group].unknown_option(option, chosen.get(group, ""))
    if group == "hydra":
        known = ["hydra.run.dir", "hydra.sweep.dir", "hydra.sweep.subdir", "hydra.verbose"]
        return f"{key}: Hydra has no such option{did_you_mean(key, known, 0.75)} (see {schema.program} --cfg hydra)"
    sections = schema.sections
    if group in sections:
        own = sections[group]
        return f"{key}: {group} has no such option{did_you_mean(option, own)}; it has {', '.join(own)}"
    homes = [f"{group}.{key}" for group, registry in schema.groups.items() if registry.owners(key)]
    if homes := homes + [f"{section}.{key}" for section, own in sections.items() if key in own]:
        return f"{key}: no such option; did you mean {join_words(homes)}?"
    known = [*schema.keys, *schema.reserved]
    near = difflib.get_close_matches(key.lower(), [*known, *schema.synonyms], 1, 0.5)
    remedy = f"did you mean {schema.synonyms.get(near[0], near[0])}?" if near else f"there are {', '.join(known)}"
    return f"{key}: no such option; {remedy} (see {schema.program} --help)"


def expected_type(key: str, chosen: Mapping[str, str], schema: Schema = TRAINING) -> str:
    """What the value of an option must be: ``"must be a whole number"``; nothing if that is not known."""
    group, _, option = key.partition(".")
    if not option:
        kinds: Mapping[str, TypeAdapter[Any]] = schema.settings
    elif group in schema.groups and chosen.get(group) in schema.groups[group].names():
        kinds = option_types(schema.groups[group][chosen[group]].build)
    elif schema.parts is not None and group in schema.parts.names():
        kinds = option_types(schema.parts[group].build)
    else:
        kinds = option_types(Checkpoints) if group in schema.sections else {}
    kind = kinds.get(option or key)
    return "" if kind is None else type_words(describe(kind))


def text_types(key: str, schema: Schema) -> list[dict[str, Any]]:
    """The JSON schema of an option's type in each choice where it is any text; such choices are imported."""
    group, _, option = key.partition(".")
    is_section = schema.parts is not None and group in schema.parts.names()
    if not option:
        kinds = [kind for name, kind in schema.settings.items() if name == key]
    elif registry := schema.parts if is_section else schema.groups.get(group):
        owners = [name for name in registry.owners(option) if isinstance(registry.defaults(name)[option], str | None)]
        kinds = [option_types(registry[name].build)[option] for name in owners]
    else:
        kinds = []
    return [found for found in map(describe, kinds) if found["type"] == "string" and "enum" not in found]


def check_changes(saved: Config, wanted: Config, leave_out: Collection[str] = ()) -> None:
    """Refuse to resume a run with changes that would make it another run.

    Args:
        saved: the configuration of the run so far.
        wanted: the configuration to resume with.
        leave_out: options that may differ.

    Raises:
        ConfigError: something is changed that must stay; all of it is named.
    """
    changeable = ("epochs", "patience", *EXECUTION_OPTIONS)
    free = (*leave_out, *changeable)
    if found := differences(flatten(saved.to_dict()), flatten(wanted.to_dict()), free):
        typed, had = (" ".join(f"{key}={pair[place]}" for key, pair in found.items()) for place in (1, 0))
        raise ConfigError(
            f"{typed}: cannot be changed in a run that started with {had};"
            f" these can: {', '.join(changeable)}; or start a new run with rerun=..."
        )


def differences(
    before: Mapping[str, Any], after: Mapping[str, Any], leave_out: Collection[str] = ()
) -> dict[str, tuple[str, str]]:
    """What differs between two flat configurations: the value before and after, as users type them, by key.

    The options of another choice come with it, and are not named.
    """
    found = {}
    for key in {**before, **after}:
        old, new = before.get(key), after.get(key)
        if old != new and not is_among(key, leave_out):
            found[key] = (format_value(old), format_value(new))
    return {key: pair for key, pair in found.items() if not is_among(key, {*found} - {key})}
