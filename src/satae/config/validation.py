"""Checks configurations, from Hydra or from a file, and explains what is wrong with them in one line."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from typing import Any

from pydantic import TypeAdapter

from satae.config.option_types import MISSING, check_value, describe, option_types, type_words
from satae.config.registry import EVALUATION_PARTS
from satae.config.schema import (
    EVALUATION,
    EXECUTION_OPTIONS,
    TRAINING,
    Checkpoints,
    Config,
    Evaluation,
    Schema,
    flatten,
    is_among,
)
from satae.errors import ConfigError
from satae.messages import did_you_mean, format_value, join_words, unknown_choice


def validate(values: Mapping[str, Any]) -> Config:
    """Check the configuration of a training run.

    Args:
        values: plain data, as Hydra composed it or as a run stored it.

    Raises:
        ConfigError: an unknown key, a missing value, a wrong type, a value out of range.
    """
    settings: dict[str, Any] = _check_settings(values, TRAINING)
    checkpoint = Checkpoints(**_check_checkpoint(values.get("checkpoint")))
    return Config(**settings, **_check_groups(values, TRAINING), checkpoint=checkpoint)


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


def check_changes(saved: Config, wanted: Config, leave_out: Collection[str] = ()) -> None:
    """Refuse to resume a run with changes that would make it another run.

    Args:
        saved: the configuration of the run so far.
        wanted: the configuration to resume with.
        leave_out: options that may differ.

    Raises:
        ConfigError: something is changed that must stay, by name.
    """
    changeable = ("epochs", *EXECUTION_OPTIONS)
    before, after = flatten(saved.to_dict()), flatten(wanted.to_dict())
    for key in {**after, **before}:
        old, new = before.get(key), after.get(key)
        if old != new and key not in leave_out and not is_among(key, changeable):
            raise ConfigError(
                f"{key}={format_value(new)}: cannot be changed in a run that started with {format_value(old)};"
                f" these can: {', '.join(changeable)}; or start a new run with rerun=..."
            )
