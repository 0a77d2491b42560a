"""Names of the runs of a sweep; a run is found by its configuration, whatever its name."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from satae.config import ConfigError
from satae.config.messages import format_value
from satae.config.schema import EXECUTION_OPTIONS, SEED, is_among
from satae.runs.layout import shorten
from satae.sweeps.manifest import RunIndex
from satae.sweeps.results import RunResult

MAX_NAME_BYTES: Final = 150  # of 255 that file systems allow, without the seed
PRESETS: Final = "experiment"  # one preset sets many options

Choices = Mapping[str, Any]


class RequestedRun(NamedTuple):
    """A run that the command line asks for."""

    words: list[str]  # its overrides
    choices: Choices  # its configuration


def assign_run_names(
    requested: Sequence[RequestedRun], existing: Sequence[RunResult], varied: Sequence[str]
) -> list[str]:
    """The name of each requested run: that of the existing run with its configuration, or a new one.

    Args:
        requested: runs that the command line asks for.
        existing: runs that the sweep already has.
        varied: the options that the sweep varies, in the order in which they were typed.

    Raises:
        ConfigError: a run is requested twice, or differs from an existing one in an option that is not varied.
    """
    name_by_identity = {identity(run.choices, varied): run.name for run in existing}
    taken = set(name_by_identity.values())
    fixed_options = _distinct_fixed_options(existing, varied)
    seen = set[str]()
    names = []
    for run in requested:
        key = identity(run.choices, varied)
        if key in seen:
            raise ConfigError(f"{run_name(run.words, varied)}: is asked for twice; leave one of them out")
        seen.add(key)
        if key not in name_by_identity:
            _check_fixed_options(run.choices, fixed_options, existing, varied)
            name = run_name(run.words, varied)
            name_by_identity[key] = run_name(run.words, varied, run.choices) if name in taken else name
            taken.add(name_by_identity[key])
        names.append(name_by_identity[key])
    return names


def sweep_argument(sweep: Path) -> str:
    """``sweep=outputs/first``, as a user types it; a name without a slash would stand for a folder of ``outputs/``."""
    place = str(shorten(sweep))
    return f"sweep={place if os.sep in place else os.path.join(os.curdir, place)}"


def index_runs(choices_by_name: Mapping[str, Choices], varied: Sequence[str]) -> RunIndex:
    """Index runs by a digest of their configuration without the seed, then by the seed.

    Args:
        choices_by_name: the choices of each run.
        varied: the options that the sweep varies.
    """
    found: dict[str, dict[str, str]] = {}
    for name, choices in choices_by_name.items():
        rest = {key: value for key, value in choices.items() if key != SEED}
        found.setdefault(_digest(identity(rest, varied), 16), {})[format_value(choices.get(SEED, 0))] = name
    return found


def identity(choices: Choices, varied: Sequence[str]) -> str:
    """Everything that distinguishes a run, as text; options such as ``threads`` count only if they are varied."""
    counted = [key for key in choices if not is_among(key, EXECUTION_OPTIONS) or is_among(key, varied)]
    return json.dumps({key: format_value(choices[key]) for key in counted}, sort_keys=True)


def run_name(words: Sequence[str], varied: Sequence[str], choices: Choices | None = None) -> str:
    """A name such as ``alpha=0.1,act=relu,seed=3``, which every file system accepts.

    Runs that differ only in their seed have names that differ only in their end.

    Args:
        words: the overrides of a run.
        varied: the options that the sweep varies.
        choices: the configuration of the run if another run already has its plain name; a digest is then added.
    """
    typed = dict(word.split("=", 1) for word in words if "=" in word)
    text = ",".join(f"{key}={typed[key]}" for key in varied if key in typed and key != SEED)
    seed = _safe(f"{SEED}={typed[SEED]}") if SEED in typed and SEED in varied else ""
    safe = _safe(text)
    start = safe.encode()[:MAX_NAME_BYTES].decode(errors="ignore")  # the cut can split a letter
    parts = [safe] if start == safe else [start, f"#{_digest(text)}"]
    if choices is not None:
        rest = {key: value for key, value in choices.items() if key != SEED or not seed}
        parts.append(f"#{_digest(identity(rest, varied))}")
    return ",".join(filter(None, [*parts, seed])) or "run"


def _safe(text: str) -> str:
    return re.sub(r"[^\w=.,+\-\[\]()@ ]+", "-", re.sub(r"['\"]", "", text)).strip(" .")


def _fixed_options(choices: Choices, varied: Sequence[str]) -> dict[str, str]:
    """The options that must agree between all runs of a sweep; null stands for a missing one."""
    free = [*varied, *EXECUTION_OPTIONS]
    fixed = {key: format_value(value) for key, value in choices.items() if not is_among(key, free)}
    return {key: value for key, value in fixed.items() if value != format_value(None)}


def _distinct_fixed_options(runs: Sequence[RunResult], varied: Sequence[str]) -> list[dict[str, str]]:
    found = [_fixed_options(run.choices, varied) for run in runs]
    return list({tuple(sorted(options.items())): options for options in found}.values())


def _check_fixed_options(
    choices: Choices, fixed: Sequence[Mapping[str, str]], existing: Sequence[RunResult], varied: Sequence[str]
) -> None:
    """Refuse a run that differs from existing runs in an option that the sweep does not vary."""
    if PRESETS in varied:
        return
    wanted = _fixed_options(choices, varied)
    for options in fixed:
        for key in {**options, **wanted}:
            was, now = options.get(key, format_value(None)), wanted.get(key, format_value(None))
            if was != now:
                raise ConfigError(
                    f"{key}={now}: the runs of {shorten(existing[0].directory.parent)} have {was}; take"
                    f" another name for the sweep, or both values: {key}={was},{now}"
                )


def _digest(text: str, letters: int = 8) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:letters]
