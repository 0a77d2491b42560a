"""One line for everything a user can get wrong: the value, the choices, the remedy."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any, Final

from satae.config.ranges import LARGEST
from satae.config.schema import TRAINING, Schema
from satae.errors import ConfigError as ConfigError

KINDS: Final = {
    "float": "must be a number",
    "float | None": "must be a number, or null",
    "int": "must be a whole number",
    "int | None": "must be a whole number, or null",
    "bool": "must be true or false",
    "list[int]": "must be whole numbers in brackets, such as [512,64]",
    "list[float]": "must be numbers in brackets, such as [0.1,0.3]",
    "list[float] | None": "must be two numbers in brackets, such as [0,1], or null",
    "str": "must be a word",
    "str | None": "must be a word, or null",
}
MEANT: Final = {"gpu": ["cuda"], "none": []}  # words that are spelt like what they do not mean


def show(value: object) -> str:
    """A value as one would type it."""
    words = {None: "null", True: "true", False: "false"}
    if value is None or isinstance(value, bool):
        return words[value]
    if isinstance(value, list):
        return f"[{','.join(show(item) for item in value)}]"
    if isinstance(value, dict):
        return f"{{{','.join(f'{key}:{show(item)}' for key, item in value.items())}}}"
    return str(value)


def listed(words: Iterable[str], link: str = "or") -> str:
    """``"a, b or c"``."""
    *most, last = words
    return f"{', '.join(most)} {link} {last}" if most else last


def counted(number: int, one: str, more: str = "") -> str:
    """``1 run``, ``2 runs``; or ``1 has``, ``2 have``."""
    return f"{number:,} {one if number == 1 else more or one + 's'}"


def nearest(word: str, choices: Iterable[str], likeness: float = 0.5) -> str:
    """``"; did you mean x?"`` for the choice that means the same or is spelt most like ``word``, or nothing."""
    choices, word = list(choices), word.lower()
    meant = [choice for choice in MEANT.get(word, ()) if choice in choices]
    near = meant if word in MEANT else difflib.get_close_matches(word, choices, 1, likeness)
    return f"; did you mean {near[0]}?" if near else ""


def bad_choice(name: str, value: object, choices: Iterable[str]) -> str:
    """A word that is not among the choices."""
    choices = list(choices)
    return f"{name}={show(value)}: choose one of {', '.join(choices)}{nearest(show(value), choices)}"


def own_options(kind: type) -> list[str]:
    """The options of a choice in a group."""
    return [item.name for item in fields(kind) if item.name != "name"]


def owners(kinds: Mapping[str, type], option: str) -> list[str]:
    """The choices of a group that have an option."""
    return [name for name, kind in kinds.items() if option in own_options(kind)]


def unknown_key(key: str, chosen: Mapping[str, str], schema: Schema[Any] = TRAINING) -> str:
    """An option that is not there, given the name that was chosen in each group."""
    group, _, option = key.partition(".")
    if group in schema.groups and option:
        return _unknown_option(schema.groups[group], group, option, chosen.get(group, ""))
    if group == "hydra":
        where = nearest(key, ["hydra.run.dir", "hydra.sweep.dir", "hydra.sweep.subdir", "hydra.verbose"], 0.75)
        return f"{key}: Hydra has no such option{where} (see {schema.program} --cfg hydra)"
    if group in schema.sections:
        own = own_options(schema.sections[group])
        return f"{key}: {group} has no such option{nearest(option, own)}; it has {', '.join(own)}"
    homes = [f"{group}.{key}" for group, kinds in schema.groups.items() if owners(kinds, key)]
    if homes := homes + [f"{section}.{key}" for section in owners(schema.sections, key)]:
        return f"{key}: no such option; did you mean {listed(homes)}?"
    known = [*(item.name for item in fields(schema.root)), *schema.whole]
    near = difflib.get_close_matches(key.lower(), [*known, *schema.meant], 1, 0.5)
    remedy = f"did you mean {schema.meant.get(near[0], near[0])}?" if near else f"there are {', '.join(known)}"
    return f"{key}: no such option; {remedy} (see {schema.program} --help)"


def _unknown_option(kinds: Mapping[str, type], group: str, option: str, name: str) -> str:
    refused = f"{group}.{option}: {group}={name} has no such option"
    if there := owners(kinds, option):
        return f"{refused}; it belongs to {group}={listed(there)}"
    own = own_options(kinds[name]) if name in kinds else []
    if near := difflib.get_close_matches(option, own, 1, 0.5):
        return f"{refused}; did you mean {group}.{near[0]}?"
    others = dict.fromkeys(other for kind in kinds.values() for other in own_options(kind))
    if near := difflib.get_close_matches(option, list(others), 1, 0.5):
        return f"{refused}; did you mean {group}.{near[0]} of {group}={listed(owners(kinds, near[0]))}?"
    return f"{refused}; it has {', '.join(own) or 'none'}"


def expected(key: str, chosen: Mapping[str, str], schema: Schema[Any] = TRAINING) -> str:
    """What the value of an option must be, or nothing where that is not known."""
    group, _, option = key.partition(".")
    named = {name: kinds.get(chosen.get(name, ""), schema.root) for name, kinds in schema.groups.items()}
    kind = {**schema.sections, **named}.get(group, schema.root) if option else schema.root
    types = {item.name: str(item.type) for item in fields(kind)}
    return KINDS.get(types.get(option or key, ""), "")


def out_of_range(name: str, value: object, bounds: Mapping[str, Any]) -> str:
    """A number outside its range."""
    low, high = bounds["low"], bounds["high"]
    numbers = [float(str(number)) for number in (value if isinstance(value, list) else [value])]
    least = "above" if bounds["above"] else "at least"
    most = "below" if bounds["below"] else "at most"
    limits = [f"{least} {low:.10g}"] if low > -LARGEST or min(numbers) < low else []
    limits += [f"{most} {high:.10g}"] if high < LARGEST or math.inf > max(numbers) >= high else []
    finite = [] if all(math.isfinite(number) for number in numbers) else ["finite"]
    return f"{name}={show(value)}: {'each ' * isinstance(value, list)}must be {listed(finite + limits, 'and')}"
