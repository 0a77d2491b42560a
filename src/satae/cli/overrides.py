"""The grammar of overrides: quoting, checks before Hydra composes, and Hydra's errors in the words of a user."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from importlib import resources
from typing import Any, Final

from hydra.core.override_parser.types import Override, Quote, QuotedString

from satae.config import Config
from satae.config.messages import format_value, unknown_choice
from satae.config.schema import GROUPS, TRAINING, Schema, all_path_options, flatten
from satae.config.validation import expected_type, unknown_key
from satae.errors import ConfigError
from satae.launchers import selection
from satae.printable import first_line

PLAIN: Final = re.compile(r"[\w./:@%+-]*", re.ASCII)  # what Hydra reads without quotes
GRAMMAR: Final = re.compile(r"""['"]|.*,|.*\$\{|(choice|glob|range|interval|sort|shuffle|tag)\(""")  # meant for Hydra


def key_of(word: str) -> str:
    """The key of an override, without ``+``, ``++`` or ``~`` before it."""
    return word.partition("=")[0].lstrip("+~")


def task_overrides(words: Iterable[str]) -> list[str]:
    """The overrides that say what is run, without those that say how Hydra works."""
    return [word for word in words if not key_of(word).startswith(("hydra.", "hydra/"))]


def quote_path(word: str) -> str:
    """Put quotes around the name of a file or folder if Hydra needs them: a shell removes those that a user types."""
    key, equals, value = word.partition("=")
    if not equals or PLAIN.fullmatch(value) or GRAMMAR.match(value) or key.lstrip("+") not in all_path_options():
        return word
    mark = '"' if "'" in value else "'"
    return f"{key}={mark}{value}{mark}"


def quote_value(value: Any) -> str:
    """A value as Hydra reads it."""
    if isinstance(value, str):
        return QuotedString(text=value, quote=Quote.single).with_quotes()
    return format_value(value)


def config_overrides(config: Config) -> list[str]:
    """A whole configuration as overrides."""
    plain = config.to_dict()
    groups = [f"{group}={plain[group].pop('name')}" for group in GROUPS]
    return [*groups, *(f"{key}={quote_value(value)}" for key, value in flatten(plain).items())]


def choice_names(group: str) -> list[str]:
    """The names in a group of ``conf/``."""
    with resources.as_file(resources.files("satae.conf") / group) as path:
        return sorted(file.relative_to(path).with_suffix("").as_posix() for file in path.rglob("*.yaml"))


def check_override(override: Override, schema: Schema) -> None:
    """Refuse what Hydra would misread, or would accept although no run can use it.

    Args:
        override: as Hydra's parser gives it.
        schema: what can be chosen.

    Raises:
        ConfigError: it cannot be used.
    """
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
    if key in schema.groups and not _is_name(value):
        raise ConfigError(unknown_choice(key, value, choice_names(key)))
    if key in schema.presets and not (override.is_delete() or isinstance(value, list) or _is_name(value)):
        raise ConfigError(unknown_choice(key, value, choice_names(key)))


def check_single_values(parsed: Sequence[Override], schema: Schema) -> None:
    """Refuse several values where one run is asked for.

    A misspelt word is reported first, since it may be the one that was to ask for several runs.

    Args:
        parsed: the overrides of a run, as Hydra's parser gives them.
        schema: what can be chosen.

    Raises:
        ConfigError: an override has several values.
    """
    several = [override.input_line for override in parsed if override.is_sweep_override()]
    for key in (str(override.key_or_group) for override in parsed if several and not override.is_add()):
        if re.fullmatch(r"\w+", key) and key not in {*schema.keys} | schema.presets:
            raise ConfigError(unknown_key(key, {}, schema))
    if several:
        raise ConfigError(f"{several[0]}: {schema.several_values}")


def check_sweep_override(override: Override) -> None:
    """Refuse a sweep without values, over an interval, over Hydra's options, or over the numbers of its runs.

    Args:
        override: as Hydra's parser gives it.

    Raises:
        ConfigError: it cannot be used.
    """
    typed, is_hydras = str(override.input_line), str(override.key_or_group).startswith("hydra")
    if override.is_interval_sweep():
        raise ConfigError(f"{typed}: has no end of values; write some, such as alpha=0,0.1 or 'seed=range(3)'")
    if "${hydra" in typed and not is_hydras:
        raise ConfigError(
            f"{typed}: the numbers of a sweep's runs change when it resumes; write 'seed=range(3)', for example"
        )
    if override.is_sweep_override() and not list(override.sweep_string_iterator()):
        raise ConfigError(f"{typed}: gives no values, so nothing can be run")
    if override.is_sweep_override() and is_hydras:
        raise ConfigError(f"{typed}: give one value; only what is run can be varied")


def _is_name(value: object) -> bool:
    return isinstance(value, str) and bool(value) and "${" not in value


def explain(error: Exception, chosen: dict[str, str], schema: Schema = TRAINING) -> str:
    """What Hydra found wrong, in one line.

    Args:
        error: raised by Hydra.
        chosen: the name chosen in each group.
        schema: what can be chosen.
    """
    text, cause = str(error), error.__cause__
    if (typed := getattr(error, "override", None)) is not None:
        shown = typed if typed.strip() else repr(typed)
        if shown.startswith(",") or shown.endswith(","):  # a blank stood beside the comma
            return f"{shown}: cannot be read; write values with commas and without blanks, such as alpha=0,0.1"
        return f"{shown}: cannot be read; write option=value, and quote special characters"
    if found := re.search(
        r"Could not (?:override|append to|delete from) config.*?'([^']+)'|not override '(.+?)'", text
    ):
        key = found[1] or found[2]
        return selection.unknown_option_message(key, chosen) or unknown_key(key, chosen, schema)
    if getattr(error, "missing_cfg_file", None):
        return _explain_missing_file(error, schema)
    if found := re.search(r"Error merging override (\S+?)=(.*)", text):
        reason = expected_type(found[1], chosen, schema) or (first_line(cause) if cause else "cannot be used")
        return f"{found[1]}={found[2]}: {reason}"
    place = f"{key}: " if (key := getattr(error, "full_key", None)) else ""
    return place + first_line(error) + (f" ({first_line(cause)})" if cause and str(cause) else "")


def _explain_missing_file(error: Any, schema: Schema) -> str:
    """A file that Hydra could not find, as the choice that was asked for."""
    group, _, name = str(error.missing_cfg_file).rpartition("/")
    root, _, below = group.partition("/")
    if root in schema.group_keys:
        own = [f"{below}/{option}" if below else option for option in error.options or []]  # from --config-dir too
        return unknown_choice(root, f"{below}/{name}" if below else name, dict.fromkeys([*choice_names(root), *own]))
    if group == selection.LAUNCHER_GROUP:
        return selection.unknown_launcher_message(name, error.options or [])
    return unknown_choice(group, name, error.options) if group and error.options else first_line(error)
