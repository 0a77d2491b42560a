"""The grammar of overrides, the words of a command line that Hydra composes, and Hydra's errors in plain words."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

from hydra.core.override_parser.types import ChoiceSweep, Override, RangeSweep

from satae.cli.typed_text import quote_value
from satae.config import Config
from satae.config.plugins import PLUGINS
from satae.config.registry import choice_names
from satae.config.schema import GROUPS, TRAINING, Schema, default_choice, expected_type, flatten, key_of, unknown_key
from satae.errors import ConfigError
from satae.launchers import selection
from satae.messages import brief, first_line, unknown_choice

RUN_FOLDER, SWEEP_FOLDER, SUBFOLDER = "hydra.run.dir", "hydra.sweep.dir", "hydra.sweep.subdir"
MAX_RUNS: Final = 20_000  # of one command line: to compose each takes a thirtieth of a second
MULTIRUN: Final = re.compile(r"\+*hydra\.mode=(RunMode\.)?MULTIRUN", re.IGNORECASE)


def task_overrides(words: Iterable[str]) -> list[str]:
    """The overrides that say what is run, without those that say how Hydra works."""
    return [word for word in words if not key_of(word).startswith(("hydra.", "hydra/"))]


def config_overrides(config: Config) -> list[str]:
    """A whole configuration as overrides."""
    plain = {key: value for key, value in config.to_dict().items() if key != PLUGINS}
    groups = [f"{group}={plain[group].pop('name')}" for group in GROUPS]
    return [*groups, *(f"{key}={quote_value(value)}" for key, value in flatten(plain).items())]


def check_override(override: Override, schema: Schema) -> None:
    """Refuse, by a ConfigError, what Hydra would misread, or would accept although no run can use it."""
    typed, key = str(override.input_line), str(override.key_or_group)
    root, _, option = key.partition(".")
    value = None if override.is_delete() else override.value()
    if not key:
        raise ConfigError(f"{typed}: cannot be read; write option=value")
    if override.is_delete() and root in schema.keys:
        raise ConfigError(f"{typed}: every run needs {key}; leave it out")
    if override.package is not None and root in {*schema.keys} | schema.presets:
        raise ConfigError(f"{typed}: write {key}=..., without the @")
    if override.is_add() and root in schema.keys:
        raise ConfigError(f"{typed}: {key} exists already; leave out the +")
    if root in schema.groups and option == "name":
        raise ConfigError(f"{typed}: write {root}={value}")
    is_name = isinstance(value, str) and bool(value) and "${" not in value
    is_name = is_name and not {"", ".", ".."} & {*str(value).split("/")}  # Hydra would look elsewhere
    is_preset = key in schema.presets and (override.is_delete() or isinstance(value, list))
    if key in schema.group_keys and not is_name and not is_preset:
        raise ConfigError(unknown_choice(key, value, _known_names(key)))


def _known_names(group: str) -> list[str]:
    """The choices of a group, or the presets."""
    return sorted(GROUPS[group].names()) if group in GROUPS else choice_names(group, is_nested=True)


def check_single_values(parsed: Sequence[Override], schema: Schema) -> None:
    """Refuse, by a ConfigError, several values where one run is asked for.

    A misspelt word is reported first, since it may be the one that was to ask for several runs.
    """
    several = [override.input_line for override in parsed if override.is_sweep_override()]
    for key in (str(override.key_or_group) for override in parsed if several and not override.is_add()):
        if re.fullmatch(r"\w+", key) and key not in {*schema.keys} | schema.presets:
            raise ConfigError(unknown_key(key, {}, schema))
    if several:
        key, _, values = str(several[0]).lstrip("+").partition("=")
        is_list = isinstance(_default_value(key, parsed, schema), list)
        if not is_list:
            _refuse_decimal_comma(key, values)
        if not is_list or re.search(r"[\[(]", values):  # lists to be swept, or a function such as range(3)
            raise ConfigError(f"{several[0]}: {schema.several_values}")
        each = ",".join(f"[{value}]" for value in values.split(","))
        sweep = f", or -m {key}={each} for one run of each" if schema is TRAINING else ""
        raise ConfigError(f"{several[0]}: write {key}=[{values}] for one list{sweep}")


def _default_value(key: str, parsed: Sequence[Override], schema: Schema) -> Any:
    """The value of an option of a choice or a part in its YAML file, without torch; None if it is unknown there.

    Raises:
        ConfigError: the choice that the command line names does not have the option.
    """
    group, _, option = key.partition(".")
    if schema.parts is not None and option and group in schema.parts.names():
        return schema.parts.defaults(group).get(option)
    if not option or group not in schema.groups:
        return None
    registry = schema.groups[group]
    names = [override.value() for override in parsed if override.key_or_group == group and not override.is_delete()]
    name = str(names[-1]) if names else default_choice(group).name
    is_known = name in registry.names() and not any(override.key_or_group in schema.presets for override in parsed)
    if is_known and option not in registry.defaults(name):
        raise ConfigError(registry.unknown_option(option, name))
    owners = [name] if is_known else registry.owners(option)
    return registry.defaults(owners[0])[option] if owners else None


def _refuse_decimal_comma(key: str, values: str) -> None:
    """Refuse, by a ConfigError, ``alpha=0,01``, which is two values; nobody writes 01 for 1."""
    if match := re.fullmatch(r"(-?(?:0|[1-9]\d*)),(0\d+)", values):
        remedy = "write decimals with a point; a comma separates values"
        raise ConfigError(f"{key}={values}: did you mean {key}={match[1]}.{match[2]}? ({remedy})")


def check_number_of_runs(parsed: Sequence[Override]) -> None:
    """Refuse, by a ConfigError, a sweep of more runs than can be made; they are counted, not listed."""
    sweeps = [override for override in parsed if override.is_sweep_override()]
    if (number := math.prod(map(_count_values, sweeps))) > MAX_RUNS:
        typed = brief(" ".join(str(override.input_line) for override in sweeps))
        count = f"{number:,.0f}" if number < 1e15 else f"{number:g}"
        raise ConfigError(f"{typed}: asks for {count} runs, and a sweep makes {MAX_RUNS:,} at most; give fewer values")


def _count_values(override: Override) -> float:
    """How many values a sweep has; a range may have more than can be listed."""
    values = override.value()
    if not isinstance(values, RangeSweep):
        return len(values.list) if isinstance(values, ChoiceSweep) else 1
    try:
        start, stop, step = (float(part or 0) for part in (values.start, values.stop, values.step))
    except OverflowError:  # a whole number of more than 300 digits
        step = 0.0
    if not step or not all(map(math.isfinite, (start, stop, step))):
        raise ConfigError(f"{override.input_line}: must have finite numbers, and a step that is not 0")
    number = (stop - start) / step
    return max(0, math.ceil(number)) if math.isfinite(number) else number


def check_sweep_override(override: Override) -> None:
    """Refuse, by a ConfigError, a sweep over nothing, an interval, Hydra's options or what Hydra counts up."""
    typed, is_hydras = str(override.input_line), str(override.key_or_group).startswith("hydra")
    _refuse_decimal_comma(*typed.lstrip("+").partition("=")[::2])
    if override.is_interval_sweep():
        raise ConfigError(f"{typed}: an interval cannot be swept; list values, such as alpha=0,0.1")
    if "${hydra" in typed and not is_hydras:
        remedy = "write the values, such as 'seed=range(3)'"
        raise ConfigError(f"{typed}: ${{hydra:...}} has another value when the sweep resumes; {remedy}")
    if override.is_sweep_override() and not list(override.sweep_string_iterator()):
        raise ConfigError(f"{typed}: gives no values, so nothing can be run")
    if override.is_sweep_override() and is_hydras:
        raise ConfigError(f"{typed}: Hydra's own options cannot vary within a sweep; give one value")


def explain(error: Exception, chosen: dict[str, str], schema: Schema = TRAINING) -> str:
    """What Hydra found wrong, in one line; ``chosen`` has the name chosen in each group."""
    text, cause = str(error), error.__cause__
    if (typed := getattr(error, "override", None)) is not None:
        shown = typed if typed.strip() else repr(typed)
        if shown.startswith(",") or shown.endswith(","):  # a blank stood beside the comma
            return f"{shown}: cannot be read; write values with commas and without blanks, such as alpha=0,0.1"
        key, _, value = shown.partition("=")
        if "=" in value:
            return f"{shown}: cannot be read; write option=value, and quote a value with a second =: \"{key}='...'\""
        return f"{shown}: cannot be read; write option=value, and quote special characters"
    if match := re.search(
        r"Could not (?:override|append to|delete from) config.*?'([^']+)'|not override '(.+?)'", text
    ):
        key = match[1] or match[2]
        return selection.unknown_option_message(key, chosen) or unknown_key(key, chosen, schema)
    if getattr(error, "missing_cfg_file", None):
        return _explain_missing_file(error, schema)
    if match := re.search(r"Error merging override (\S+?)=(.*)", text):
        reason = expected_type(match[1], chosen, schema) or (first_line(cause) if cause else "cannot be used")
        return f"{match[1]}={match[2]}: {reason}"
    place = f"{key}: " if (key := getattr(error, "full_key", None)) else ""
    first, _, rest = text.strip().partition("\n")
    if first.endswith(":") and rest.strip():  # what is wrong stands in the next line
        return f"{first} {brief(rest.strip().splitlines()[0])}"
    return place + first_line(error) + (f" ({first_line(cause)})" if cause and str(cause) else "")


def _explain_missing_file(error: Any, schema: Schema) -> str:
    """A file that Hydra could not find, as the choice that was asked for."""
    group, _, name = str(error.missing_cfg_file).rpartition("/")
    root, _, below = group.partition("/")
    if root in schema.group_keys:
        own = [f"{below}/{option}" if below else option for option in error.options or []]  # from --config-dir too
        known = [*_known_names(root), *own]
        return unknown_choice(root, f"{below}/{name}" if below else name, dict.fromkeys(known))
    if f"{group}/".startswith(f"{selection.LAUNCHER_GROUP}/"):
        typed = str(error.missing_cfg_file).removeprefix(f"{selection.LAUNCHER_GROUP}/")
        return selection.unknown_launcher_message(typed, error.options or [])
    return unknown_choice(group, name, error.options) if group and error.options else first_line(error)
