"""Lists of choices, options and settings for ``--help``, from the YAML files in ``conf/`` and their comments."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from importlib.resources.abc import Traversable
from typing import Any, Final

from satae.config.messages import format_value
from satae.config.registry import Registry, conf_folder
from satae.config.schema import GROUPS, PRESETS

WIDTH: Final = 120
OPTION_LINE: Final = re.compile(r"^( *)(\w+):(?: +([^#]*?))?(?: +# *(.*))?$")


def describe_groups() -> str:
    """Every group with its choices and their options."""
    presets = conf_folder() / PRESETS
    names = sorted(f"{folder.name}/{file.name[:-5]}" for folder in presets.iterdir() for file in folder.iterdir())
    lines = [line for registry in GROUPS.values() for line in _group_lines(registry)]
    return "\n".join([*lines, f"  {PRESETS:10}  {' '.join(names)}    a whole setting; what you add overrides it"])


def _group_lines(registry: Registry[Any]) -> Iterator[str]:
    names = registry.names()
    options = {name: registry.defaults(name) for name in names}
    shared = [option for option in options[names[0]] if all(option in options[name] for name in names)]
    about = {name: description(conf_folder() / registry.group / f"{name}.yaml") for name in names}
    own = {
        name: " ".join(_option(registry.group, key, value) for key, value in options[name].items() if key not in shared)
        for name in names
    }
    bare = [name for name in names if not about[name] and not own[name]]
    width = max((len(name) for name in names if name not in bare), default=0)
    rows = textwrap.wrap(" ".join(bare), WIDTH - 14)
    for name in [name for name in names if name not in bare]:
        texts = [text for text in (about[name], *textwrap.wrap(own[name], WIDTH - 16 - width)) if text]
        rows += [f"{word:{width}}  {text}" for word, text in zip([name, *[""] * len(texts)], texts, strict=False)]
    if shared:
        rows.append(f"(all: {' '.join(f'{registry.group}.{option}' for option in shared)})")
    for label, row in zip([registry.group, *[""] * len(rows)], rows, strict=False):
        yield f"  {label:10}  {row}"


def _option(group: str, name: str, value: object) -> str:
    return f"{group}.{name}={format_value(value) if value != '???' else '...'}"


def describe_parts(registry: Registry[Any]) -> str:
    """Every choice of a group, what it is, and its options with their values and meanings."""
    blocks = []
    for name in registry.names():
        file = conf_folder() / registry.group / f"{name}.yaml"
        blocks.append(f"  {name}: {description(file)}")
        blocks += [f"    .{line}" for line in describe_settings(file).splitlines()]
    return "\n".join(blocks)


def describe_settings(file: Traversable) -> str:
    """Every setting of a YAML file with its value and the comment beside it, without the settings of Hydra."""
    rows, section = [], ""
    for line in file.read_text("utf-8").splitlines():
        if not (found := OPTION_LINE.match(line)) or found[2] in ("defaults", "name"):
            continue
        if found[2] == "hydra":
            break
        indent, name, value, comment = found.groups("")
        section = section if indent else ""
        if not value:
            section = f"{name}."
        rows.append((f"{section if indent else ''}{name}", value.replace(", ", ","), comment))
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    return "\n".join(f"{name:{widths[0]}}  {value:{widths[1]}}  {comment}".rstrip() for name, value, comment in rows)


def description(file: Traversable) -> str:
    """The comment in the first line of a YAML file; nothing if there is none."""
    first = file.read_text("utf-8").partition("\n")[0]
    return first.removeprefix("# ") if first.startswith("# ") else ""
