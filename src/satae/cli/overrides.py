"""What is typed on the command line, looked at before Hydra composes it: each refusal names what was typed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from importlib import resources
from typing import Any

from hydra.core.override_parser.types import Override, Quote, QuotedString

from satae.config import ConfigError
from satae.config.messages import bad_choice, show
from satae.config.schema import TRAINING, Schema, all_path_options
from satae.config.validation import expected_type, unknown_key
from satae.launchers import launchers
from satae.printable import first_line

PLAIN = re.compile(r"[\w./:@%+-]*", re.ASCII)  # what Hydra reads without quotes
GRAMMAR = re.compile(r"""['"]|.*,|.*\$\{|(choice|glob|range|interval|sort|shuffle|tag)\(""")  # and what is meant for it


def quoted(word: str) -> str:
    """The name of a file or folder with the quotes that Hydra wants, which a shell has taken or nobody has typed."""
    key, equals, value = word.partition("=")
    if not equals or PLAIN.fullmatch(value) or GRAMMAR.match(value) or key.lstrip("+") not in all_path_options():
        return word
    mark = '"' if "'" in value else "'"
    return f"{key}={mark}{value}{mark}"


def in_grammar(value: Any) -> str:
    """A value as Hydra reads it."""
    if isinstance(value, str):
        return QuotedString(text=value, quote=Quote.single).with_quotes()
    return show(value)


def names(group: str) -> Iterable[str]:
    """The names in a group of ``conf/``."""
    with resources.as_file(resources.files("satae.conf") / group) as path:
        return sorted(file.relative_to(path).with_suffix("").as_posix() for file in path.rglob("*.yaml"))


def check_override(override: Override, schema: Schema) -> None:
    """Refuse what Hydra would misread, or accept though no run can use it.

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
    if override.is_delete() and root in {*schema.keys}:
        raise ConfigError(f"{typed}: every run needs {key}; leave it out")
    if override.package is not None and root in {*schema.keys} | schema.presets:
        raise ConfigError(f"{typed}: write {key}=..., without the @")
    if override.is_add() and root in {*schema.keys}:
        raise ConfigError(f"{typed}: {key} is there already; leave out the +")
    if root in schema.groups and option == "name":
        raise ConfigError(f"{typed}: write {root}={value}")
    if key in schema.groups and not _is_name(value):
        raise ConfigError(bad_choice(key, value, names(key)))
    if key in schema.presets and not (override.is_delete() or isinstance(value, list) or _is_name(value)):
        raise ConfigError(bad_choice(key, value, names(key)))


def check_single(parsed: Sequence[Override], schema: Schema) -> None:
    """Refuse several values where one run is asked for; a misspelt word first, which may be the one to make several.

    Args:
        parsed: the overrides of a run, as Hydra's parser gives them.
        schema: what can be chosen.

    Raises:
        ConfigError: there are several values.
    """
    several = [override.input_line for override in parsed if override.is_sweep_override()]
    for key in (str(override.key_or_group) for override in parsed if several and not override.is_add()):
        if re.fullmatch(r"\w+", key) and key not in {*schema.keys} | schema.presets:
            raise ConfigError(unknown_key(key, {}, schema))
    if several:
        raise ConfigError(f"{several[0]}: {schema.several_values}")


def check_sweep(override: Override) -> None:
    """Refuse a sweep without values, and one over an interval.

    Args:
        override: as Hydra's parser gives it.

    Raises:
        ConfigError: it cannot be used.
    """
    typed = str(override.input_line)
    if override.is_interval_sweep():
        raise ConfigError(f"{typed}: has no end of values; write some, such as alpha=0,0.1 or 'seed=range(3)'")
    if "${hydra" in typed and not str(override.key_or_group).startswith("hydra"):
        raise ConfigError(f"{typed}: the numbers of a sweep's runs change when it goes on; write 'seed=range(3)', say")
    if override.is_sweep_override() and not list(override.sweep_string_iterator()):
        raise ConfigError(f"{typed}: gives no values, so there is nothing to run")


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
        if shown.startswith(",") or shown.endswith(","):  # it stood beside a blank
            return f"{shown}: cannot be read; write values with commas and without blanks, such as alpha=0,0.1"
        return f"{shown}: cannot be read; write option=value, and quote special characters"
    if found := re.search(
        r"Could not (?:override|append to|delete from) config.*?'([^']+)'|not override '(.+?)'", text
    ):
        key = found[1] or found[2]
        return launchers.unknown_option(key, chosen) or unknown_key(key, chosen, schema)
    if getattr(error, "missing_cfg_file", None):
        return _missing(error, schema)
    if found := re.search(r"Error merging override (\S+?)=(.*)", text):
        reason = expected_type(found[1], chosen, schema) or (first_line(cause) if cause else "cannot be used")
        return f"{found[1]}={found[2]}: {reason}"
    place = f"{key}: " if (key := getattr(error, "full_key", None)) else ""
    return place + first_line(error) + (f" ({first_line(cause)})" if cause and str(cause) else "")


def _missing(error: Any, schema: Schema) -> str:
    """A file that Hydra could not find, as the choice that was asked for."""
    group, _, name = str(error.missing_cfg_file).rpartition("/")
    root, _, below = group.partition("/")
    if root in schema.group_keys:
        return bad_choice(root, f"{below}/{name}" if below else name, dict.fromkeys([*names(root), *_others(error)]))
    if group == launchers.KEY:
        return launchers.not_there(name, error.options or [])
    return bad_choice(group, name, error.options) if group and error.options else first_line(error)


def _others(error: Any) -> list[str]:
    """Names that a folder of the user's own (``--config-dir``) adds."""
    group = str(error.missing_cfg_file).partition("/")[2].rpartition("/")[0]
    return [f"{group}/{option}" if group else option for option in error.options or []]
