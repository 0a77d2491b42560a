"""The flags of satae-train, and the lists for ``--help``, from the YAML files in ``conf/`` and their comments."""

from __future__ import annotations

import argparse
import re
import textwrap
from collections.abc import Iterator, Sequence
from string import Template
from typing import Final

from satae.cli.app import LineErrorParser, output_exit_code
from satae.config.option_types import MISSING
from satae.config.registry import Registry, choice_names, conf_text, conf_values
from satae.config.schema import GROUPS, PRESETS, default_choice
from satae.errors import ConfigError
from satae.messages import format_value

INFORMATION: Final = ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath")
HELP_WIDTH: Final = 80
OPTION_LINE: Final = re.compile(r"^( *)(\w+):(?: +([^#]*?))?(?: +# *(.*))?$")


def parse_flags(words: Sequence[str]) -> argparse.Namespace:
    """Hydra's flags under their own names, and the other words as ``overrides``.

    Raises:
        ConfigError: a flag is unknown, is not offered, or cannot stand beside another one.
    """
    parser = LineErrorParser(prog="satae-train", add_help=False)
    parser.add_argument("overrides", nargs="*")
    parser.add_argument("--help", "-h", action="store_true")
    parser.add_argument("--hydra-help", action="store_true")
    parser.add_argument("--cfg", "-c", choices=["job", "hydra", "all"])
    parser.add_argument("--resolve", action="store_true")
    parser.add_argument("--package", "-p")
    parser.add_argument("--run", "-r", action="store_true")
    parser.add_argument("--multirun", "-m", action="store_true")
    parser.add_argument("--dry-run", action="store_true")
    parser.add_argument("--shell-completion", "-sc", action="store_true")
    parser.add_argument("--info", "-i", const="all", nargs="?", choices=INFORMATION)
    parser.add_argument("--config-name", "-cn")
    parser.add_argument("--config-dir", "-cd")
    parser.add_argument("--config-path", "-cp")
    parser.add_argument("--experimental-rerun")
    flags, unknown = parser.parse_known_intermixed_args(words)
    if unknown:
        raise ConfigError(f"{unknown[0]}: no such flag; options are written option=value (see --help)")
    if flags.experimental_rerun:
        raise ConfigError("--experimental-rerun: not offered, since it loads a pickle, which may run code")
    if flags.config_path:
        raise ConfigError("--config-path: not offered; add a folder of your own with --config-dir")
    if flags.resolve and not (flags.cfg or flags.help):
        raise ConfigError("--resolve: needs --cfg or --help")
    if flags.dry_run and (flags.cfg or flags.info or flags.shell_completion):
        raise ConfigError("--dry-run: shows runs; leave out --cfg, --info and --shell-completion")
    if sum(map(bool, (flags.run, flags.multirun, flags.cfg, flags.info, flags.shell_completion))) > 1:
        raise ConfigError("--run, --multirun, --cfg, --info, --shell-completion: give only one")
    return flags


def only_shows(flags: argparse.Namespace) -> bool:
    """Whether the flags ask to show something instead of a run."""
    return bool(flags.help or flags.hydra_help or flags.cfg or flags.info or flags.shell_completion or flags.dry_run)


def help_text() -> str:
    """The help of satae-train, read from ``conf/``: Hydra would take three times as long to compose it."""
    template = conf_values("config.yaml")["hydra"]["help"]["template"]
    settings = describe_settings(conf_text("config.yaml"), "  ")
    return Template(template).substitute(choices=describe_groups(), settings=settings).rstrip()


def show(flags: argparse.Namespace) -> int:
    """Print what the flags ask to show, after a check of the overrides beside them; returns the exit code.

    Raises:
        ConfigError: what was typed cannot be used.
    """
    if flags.help and not flags.overrides:
        print(help_text())  # noqa: T201
        return output_exit_code()
    from satae.cli import compose, plan  # take longer than the help

    if flags.dry_run and not (flags.help or flags.hydra_help):
        from satae.cli.dry_run import show_plan

        show_plan(plan.make_plan(flags, ""), flags.overrides)
        return output_exit_code()
    asked = plan.make_plan(flags, "") if flags.cfg or (flags.overrides and not flags.shell_completion) else None
    if asked is not None and asked.sweep is not None:
        typed = next((word for word in flags.overrides if word.startswith("sweep=")), "-m")
        raise ConfigError(f"{typed}: makes runs; leave it out where something is only shown")
    if flags.help:
        print(help_text())  # noqa: T201
    elif flags.cfg and asked is not None:
        print(compose.config_text(asked.first, flags.cfg, flags.package, flags.resolve))  # noqa: T201
    elif stored := [word for word in flags.overrides if word.startswith(("resume=", "rerun="))]:
        raise ConfigError(f"{stored[0]}: Hydra cannot show a stored configuration; show it with --cfg")
    else:
        compose.show_with_hydra()
    return output_exit_code()


# the lists for --help


def describe_groups() -> str:
    """Every group with its choices and their options."""
    lines = [line for registry in GROUPS.values() for line in _group_lines(registry)]
    presets = f"  {PRESETS:10}  {' '.join(choice_names(PRESETS, is_nested=True))}"
    return "\n".join([*lines, presets, f"{'':14}(a whole setting; what you add overrides it)"])


def _group_lines(registry: Registry) -> Iterator[str]:
    names = registry.names()
    options = {name: registry.defaults(name) for name in names}
    shared = [option for option in options[names[0]] if all(option in options[name] for name in names)]
    about = {name: description(registry.text(name)) for name in names}
    meanings = {name: option_comments(registry.text(name)) for name in names}
    common = _common_meanings([meanings[name] for name in names], shared)
    default = default_choice(registry.group)
    usual = {option: default.options[option] for option in shared}

    def word(key: str, value: object) -> str:
        return f"{registry.group}.{key}={'...' if value == MISSING else format_value(value)}"

    own = {
        name: [
            (word(key, value), "" if key in common else meanings[name].get(key, ""))
            for key, value in options[name].items()
            if key not in shared or value != usual[key]
        ]
        for name in names
    }
    bare = [name for name in names if not about[name] and not own[name]]
    width = max((len(name) for name in names if name not in bare), default=0)
    rows = textwrap.wrap(" ".join(bare), HELP_WIDTH - 14)
    for name in [name for name in names if name not in bare]:
        listed = " ".join(typed for typed, meaning in own[name] if not meaning)
        explained = [f"{typed}  {meaning}" for typed, meaning in own[name] if meaning]
        room = HELP_WIDTH - 16 - width
        texts = [line for text in (about[name], listed) for line in textwrap.wrap(text, room)]
        texts += [line for text in explained for line in textwrap.wrap(text, room, subsequent_indent="  ")]
        rows += [f"{label:{width}}  {text}" for label, text in zip([name, *[""] * len(texts)], texts, strict=False)]
    everywhere = f"; all have {' '.join(word(*item) for item in usual.items())}" if shared else ""
    rows += textwrap.wrap(f"(default: {default.name}{everywhere})", HELP_WIDTH - 14)
    start = max((len(key) for key in common), default=0) + len(registry.group) + 3
    for key, meaning in common.items():
        name = f"{registry.group}.{key}".ljust(start)
        rows += textwrap.wrap(name + meaning, HELP_WIDTH - 14, subsequent_indent=" " * start)
    for label, row in zip([registry.group, *[""] * len(rows)], rows, strict=False):
        yield f"  {label:10}  {row}"


def option_comments(text: str) -> dict[str, str]:
    """The comment beside each option of a YAML file that has one."""
    lines = [OPTION_LINE.match(line) for line in text.splitlines()]
    return {match[2]: match[4] for match in lines if match and match[4]}


def _common_meanings(meanings: Sequence[dict[str, str]], shared: Sequence[str]) -> dict[str, str]:
    """The meaning of each option that means the same in every choice that has it; a remark after ``;`` may differ."""
    shared_meanings = dict[str, str]()
    for key in dict.fromkeys([*shared, *(key for one in meanings for key in one)]):
        texts = [one[key] for one in meanings if key in one]
        if texts and (key in shared or len({text.partition(";")[0] for text in texts}) == 1):
            shared_meanings[key] = texts[0]
    return shared_meanings


def describe_parts(registry: Registry) -> str:
    """Every choice of a group, what it is, and its options with their values and meanings."""
    blocks = []
    for name in registry.names():
        text = registry.text(name)
        blocks += textwrap.wrap(f"  {name}: {description(text)}", HELP_WIDTH, subsequent_indent="    ")
        blocks.append(describe_settings(text, "    ."))
    return "\n".join(blocks)


def describe_settings(text: str, indent: str) -> str:
    """Every setting of a YAML file with its value and the comment beside it, without the settings of Hydra."""
    rows, section = [], ""
    for line in text.splitlines():
        if not (match := OPTION_LINE.match(line)) or match[2] in ("defaults", "name"):
            continue
        if match[2] == "hydra":
            break
        is_below, name, value, comment = match.groups("")
        section = section if is_below else ""
        rows.append((f"{indent}{section}{name}", value.replace(", ", ","), comment))
        if not value:
            section = f"{name}."
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    lines = []
    for name, value, comment in rows:
        start = f"{name:{widths[0]}}  {value:{widths[1]}}  "
        texts = textwrap.wrap(comment, HELP_WIDTH, initial_indent=start, subsequent_indent=" " * len(start))
        lines += texts or [start.rstrip()]
    return "\n".join(lines)


def description(text: str) -> str:
    """The comment in the first line of a YAML file; empty without a comment."""
    first = text.partition("\n")[0]
    return first.removeprefix("# ") if first.startswith("# ") else ""
