"""Gives options of type text the text that was typed, where Hydra's grammar reads a number, a list or nothing."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Iterator
from dataclasses import is_dataclass
from typing import Any, Final, NamedTuple, get_type_hints

from hydra.conf import HydraConf
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, Quote, QuotedString
from hydra.errors import HydraException

from satae.config.schema import Schema, text_types
from satae.launchers.selection import LAUNCHER_OPTION, TEXT_OPTIONS
from satae.messages import format_value

PLAIN: Final = re.compile(r"(?!(?:true|false|null|nan|inf)$)[a-z_/][\w./:@%-]*", re.ASCII | re.IGNORECASE)
LIST: Final = re.compile(r"\[.*\]", re.DOTALL)
CALL: Final = re.compile(r"(choice|glob|range|interval|sort|shuffle|tag)\((.*)\)", re.DOTALL)
NUMBERS_AND_NAMES: Final = ("range", "interval", "glob")  # functions whose values are not texts
QUOTED: Final = r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*\""""
QUOTED_TEXT: Final = re.compile(QUOTED, re.DOTALL)
LIST_ITEMS: Final = re.compile(rf"({QUOTED}|(?:\\.|[^,\\])+)", re.DOTALL)
CALL_ITEMS: Final = re.compile(rf"(\w+ ?\(|\w+=\w+|{QUOTED}|(?:\\.|[^,()\\])+)", re.DOTALL)  # with names of functions


class TextOption(NamedTuple):
    """What an option of type text may be."""

    may_be_null: bool
    is_path: bool = False  # of a file or folder that exists
    has_one_value: bool = False  # cannot be varied in a sweep: a comma is part of the text
    may_be_list: bool = False  # of names


def keep_text(word: str, schema: Schema, *, is_single: bool = False) -> str:
    """Put quotes around the text of an option if Hydra would read something else than what was typed.

    What the user has quoted stays. So do several values for a sweep, each of which is kept as it was typed, unless the
    word ``is_single``: one run's.
    """
    key, equals, value = word.partition("=")
    if not equals or not value or key.startswith("~") or PLAIN.fullmatch(value):
        return word
    if (option := _find_text_option(key.lstrip("+"), schema)) is None or (option.may_be_null and value == "null"):
        return word
    if is_single and isinstance(_read(value), str):  # with backslashes, which Hydra put there itself
        return word
    return f"{key}={_quote_texts(value, option._replace(has_one_value=is_single or option.has_one_value))}"


def looks_like_number(text: str) -> bool:
    """Whether YAML may have read a number, or true or false, where a file has this text without quotes."""
    return text in ("True", "False") or re.fullmatch(r"[+-]?([\d.]+(e[+-]?\d+)?|inf|nan)", text) is not None


def quote_value(value: Any) -> str:
    """A value as Hydra reads it."""
    if isinstance(value, str):
        return QuotedString(text=value, quote=Quote.single).with_quotes()
    return format_value(value)


def _quote_texts(value: str, option: TextOption) -> str:
    """A text, or the texts of a sweep, with quotes where Hydra needs them."""
    parsed, call = _parse(value), CALL.fullmatch(value)
    if call is not None:
        if call[1] in NUMBERS_AND_NAMES or option.has_one_value:
            return value
        return _quote_items(value, CALL_ITEMS, option)
    if QUOTED_TEXT.fullmatch(value) and parsed is not None:
        return value
    if option.may_be_list and LIST.fullmatch(value):
        return f"[{_quote_items(value[1:-1], LIST_ITEMS, option)}]"
    if "${" in value and parsed is not None and not (option.has_one_value and parsed.is_sweep_override()):
        return value
    if "," in value and not option.has_one_value and not (option.is_path and _is_one_name(value)):
        return _quote_items(value, LIST_ITEMS, option)
    return _quote_text(value, option)


def _quote_items(values: str, items: re.Pattern[str], option: TextOption) -> str:
    """Several values with quotes around each text that needs them."""

    def quote(match: re.Match[str]) -> str:
        item = match[0].strip(" \t")
        is_of_call = items is CALL_ITEMS and re.fullmatch(r"\w+(\(|=\w+)", item)  # a function, or its argument
        return match[0] if is_of_call or not item else _quote_text(item, option)

    return items.sub(quote, values)


def _quote_text(text: str, option: TextOption) -> str:
    """One text, with quotes if Hydra would read something else."""
    if QUOTED_TEXT.fullmatch(text) or (option.may_be_null and text.lower() == "null"):
        return text
    read = _read(text)
    has_quotes = ("\\," if option.is_path else "\\") in text and not _exists(text)  # a\,b is a,b
    if read == text or (isinstance(read, str) and has_quotes):
        return text
    return quote_value(text)


def _parse(value: str) -> Override | None:
    """A value as Hydra reads it; None if it cannot."""
    try:
        return OverridesParser.create().parse_override(f"key={value}")
    except HydraException:
        return None


def _read(value: str) -> Any:
    """What Hydra reads as one value; None if it cannot, or reads several."""
    parsed = _parse(value)
    return None if parsed is None or parsed.is_sweep_override() else parsed.value()


def _is_one_name(value: str) -> bool:
    """Whether a text with commas is the name of one file or folder, rather than names of several that exist."""
    return _exists(value) and not all(_exists(part) for part in value.split(","))


def _exists(name: str) -> bool:
    return os.path.lexists(os.path.expanduser(name))


# which options are of type text


def _find_text_option(key: str, schema: Schema) -> TextOption | None:
    """What an option may be; None if it is not of type text, or unknown."""
    if key in schema.group_keys or key.startswith("hydra/"):
        return TextOption(may_be_null=True, may_be_list=True)  # a preset may be; for others a message names the list
    if key.startswith(LAUNCHER_OPTION):
        is_text = key.removeprefix(LAUNCHER_OPTION) in TEXT_OPTIONS
        return TextOption(may_be_null=True, has_one_value=True) if is_text else None
    if key.startswith("hydra."):
        return _hydra_texts().get(key) or _hydra_texts().get(f"{key.rpartition('.')[0]}.*")
    if not (kinds := text_types(key, schema)):
        return None
    return TextOption(any(kind["nullable"] for kind in kinds), any("path" in kind for kind in kinds))


@functools.cache
def _hydra_texts() -> dict[str, TextOption]:
    """Hydra's own options of type text, such as ``hydra.run.dir``; ``.*`` at the end stands for every key there."""
    return dict(_texts_of(HydraConf, "hydra"))


def _texts_of(record: type, prefix: str) -> Iterator[tuple[str, TextOption]]:
    for name, kind in get_type_hints(record).items():
        key = f"{prefix}.{name}"
        if is_dataclass(kind):
            yield from _texts_of(kind, key)  # type: ignore[arg-type]
        elif kind == dict[str, str] or str(kind) == "typing.Dict[str, str]":
            yield f"{key}.*", TextOption(may_be_null=False, has_one_value=True)
        elif kind is str or kind == (str | None):
            yield key, TextOption(may_be_null=kind is not str, has_one_value=True)
