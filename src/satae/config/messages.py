"""One line for everything a user can get wrong: the value, the choices, the remedy."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable
from dataclasses import fields
from typing import Any, Final

from omegaconf.errors import OmegaConfBaseException

from satae.config.schema import GROUPS, Config

KINDS: Final = {
    "float": "a number",
    "int": "a whole number",
    "int | None": "a whole number, or null",
    "bool": "true or false",
    "list[int]": "whole numbers in brackets, such as [512,64]",
    "str": "a word",
}


class ConfigError(ValueError):
    """A choice that cannot be run, in one line."""


def nearest(word: str, choices: Iterable[str]) -> str:
    """``"; did you mean x?"`` for the choice spelt most like ``word``, or nothing."""
    near = difflib.get_close_matches(word, list(choices), 1, 0.5)
    return f"; did you mean {near[0]}?" if near else ""


def bad_choice(name: str, value: object, choices: Iterable[str]) -> str:
    """A word that is not among the choices."""
    choices = list(choices)
    return f"{name}={value}: choose one of {', '.join(choices)}{nearest(str(value), choices)}"


def unknown_key(key: str, chosen: dict[str, str]) -> str:
    """An option that is not there, given the name that was chosen in each group."""
    group, _, option = key.partition(".")
    if group in GROUPS and option:
        own = [item.name for item in fields(GROUPS[group].get(chosen.get(group, ""), Config))]
        owners = [name for name, kind in GROUPS[group].items() if option in {item.name for item in fields(kind)}]
        where = f"{group}={chosen.get(group)}"
        if owners:
            return f"{key}: {where} has no such option; it belongs to {group}={' and '.join(owners)}"
        return f"{key}: {where} has no such option{nearest(option, own) or '; it has ' + ', '.join(own)}"
    known = [item.name for item in fields(Config)]
    return f"{key}: no such option{nearest(key, known) or '; it has ' + ', '.join(known)} (see satae-train --help)"


def wrong_type(error: OmegaConfBaseException, kind: type) -> str:
    """A value of another type than its field, which is one of the dataclass ``kind``."""
    name = str(error.full_key).partition("[")[0]
    types = {item.name: str(item.type) for item in fields(kind)}
    expected = KINDS.get(types.get(name.rpartition(".")[2], ""), "")
    reason = str(error).partition("\n")[0].rstrip(".")
    value = "null" if error.value is None else error.value
    return f"{error.full_key}={value}: must be {expected}" if expected else f"{error.full_key}={value}: {reason}"


def out_of_range(name: str, value: object, bounds: dict[str, Any]) -> str:
    """A number outside its range."""
    low, high = bounds["low"], bounds["high"]
    least = f"above {low:g}" if bounds["above"] else f"at least {low:g}" if math.isfinite(low) else ""
    most = f"below {high:.10g}" if bounds["below"] else f"at most {high:.10g}" if math.isfinite(high) else ""
    return f"{name}={value}: must be finite" + "".join(f", {bound}" for bound in (least, most) if bound)
