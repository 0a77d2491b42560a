"""``sweep.json``: the command lines of a sweep, the options that they vary, and the names of its runs.

A run is found by its configuration, whatever its name.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

from satae import atomic_write
from satae.config import ConfigError
from satae.config.saved_config import read_json
from satae.config.schema import EXECUTION_OPTIONS, PRESETS, SEED, differences, is_among, key_of
from satae.messages import brief, first_line, format_value, is_utf8
from satae.runs.layout import MANIFEST_FILE, MAX_JSON_BYTES, shorten
from satae.sweeps.results import RunResult

RunIndex = Mapping[str, Mapping[str, str]]  # names of runs by a digest of their configuration, then by seed
Choices = Mapping[str, Any]

MAX_NAME_BYTES: Final = 150  # without the seed; file systems allow 255
NO_RUNS: Final[RunIndex] = {}


class Manifest(NamedTuple):
    """What was asked of a sweep."""

    commands: list[str]  # command lines as the user typed them
    words: list[list[str]]  # the overrides of each, without Hydra's own
    varied: list[str]  # the options with several values, the seed last
    runs: RunIndex = NO_RUNS  # all runs that were asked for; empty in sweeps of early versions

    @property
    def run_names(self) -> list[str]:
        """The names of all runs that were asked for."""
        return [*dict.fromkeys(name for seeds in self.runs.values() for name in seeds.values())]

    @property
    def plugins(self) -> list[str]:
        """The names of the plugins in the command lines, which nothing imports."""
        names = dict[str, None]()
        for line in self.commands:
            with suppress(ValueError):  # not a command line
                typed = [word.removeprefix("plugins=") for word in shlex.split(line) if word.startswith("plugins=")]
                names |= dict.fromkeys(name for word in typed for name in word.split(","))
        return [*names]

    def with_varied(self, varied: list[str]) -> Manifest:
        """This manifest with more varied options; the seed stays last."""
        keys = dict.fromkeys([*self.varied, *varied])
        return self._replace(varied=sorted(keys, key=lambda key: key == SEED))

    def with_runs(self, runs: RunIndex) -> Manifest:
        """This manifest with more runs; a run that it already has takes its new name."""
        return self._replace(runs={**self.runs, **{key: {**self.runs.get(key, {}), **runs[key]} for key in runs}})

    def with_command(self, command: str, words: list[str], varied: list[str]) -> Manifest:
        """This manifest with one more command line, unless it already has one with the same overrides."""
        known = self.with_varied(varied)
        if words in self.words:
            return known
        return known._replace(commands=[*self.commands, command], words=[*self.words, words])


EMPTY_MANIFEST: Final = Manifest([], [], [])


def read_manifest(sweep: Path) -> Manifest:
    """Read the manifest of a sweep; an empty one if the file is missing.

    Raises:
        ConfigError: the file cannot be read, or is not a manifest.
    """
    path = sweep / MANIFEST_FILE
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return EMPTY_MANIFEST
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from None
    found = read_json(path, MAX_JSON_BYTES)
    try:
        manifest = Manifest(found["commands"], found["words"], found["varied"], found.get("runs", {}))
        lists = [manifest.commands, manifest.varied, *manifest.words]
        are_lists = all(isinstance(one, list) and all(isinstance(word, str) for word in one) for one in lists)
        # a name must be that of a folder directly inside the sweep
        names = manifest.run_names
        if not are_lists or not all(re.fullmatch(r"[^./\0][^/\0]*", name) and is_utf8(name) for name in names):
            raise ValueError("not the manifest of a sweep")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"{path}: cannot be read ({type(error).__name__}: {first_line(error)})") from None
    for word in [word for words in manifest.words for word in words]:
        if word.lstrip("+~").startswith("hydra") or word.startswith("-"):  # could make Hydra import or write anything
            raise ConfigError(f"{path}: {brief(word)}: satae-train does not write that")
    return manifest


def read_manifest_or_empty(sweep: Path) -> Manifest:
    """Read the manifest of a sweep; an empty one if it cannot be read."""
    try:
        return read_manifest(sweep)
    except ConfigError:
        return EMPTY_MANIFEST


def write_manifest(sweep: Path, manifest: Manifest) -> None:
    """Write the manifest of a sweep.

    Raises:
        ConfigError: it is larger than what can be read back; nothing is written.
        OSError: it cannot be written.
    """
    atomic_write.replace(sweep / MANIFEST_FILE, encode_manifest(sweep, manifest))


def encode_manifest(sweep: Path, manifest: Manifest) -> bytes:
    """The content of the manifest file.

    Raises:
        ConfigError: it is larger than what can be read back.
    """
    content = (json.dumps(manifest._asdict(), indent=2) + "\n").encode()
    if len(content) > MAX_JSON_BYTES:
        limit = f"its commands and runs need more than {MAX_JSON_BYTES:,} bytes"
        raise ConfigError(f"{sweep / MANIFEST_FILE}: {limit}; start another sweep")
    return content


# names of runs


class RequestedRun(NamedTuple):
    """A run that the command line asks for."""

    words: list[str]  # its overrides
    choices: Choices  # its configuration


def assign_run_names(
    requested: Sequence[RequestedRun],
    existing: Sequence[RunResult],
    varied: Sequence[str],
    *,
    typed: Sequence[str] = (),
    earlier: Sequence[str] = (),
) -> list[str]:
    """The name of each requested run: that of the existing run with its configuration, or a new one.

    Args:
        requested: runs that the command line asks for.
        existing: runs that the sweep already has.
        varied: the options that the sweep varies, in the order in which they were typed.
        typed: the words of this command line, for a refusal.
        earlier: the words of the sweep's last command line, for a refusal.

    Raises:
        ConfigError: a run is requested twice, or differs from an existing one in an option that is not varied.
    """
    name_by_identity = {identity(run.choices, varied): run.name for run in existing}
    taken = set(name_by_identity.values())
    fixed = [_fixed_options(run.choices, varied) for run in existing]
    distinct = list({tuple(sorted(options.items())): options for options in fixed}.values())
    seen = set[str]()
    names = []
    for run in requested:
        key = identity(run.choices, varied)
        if key in seen:
            raise ConfigError(f"{run_name(run.words, varied)}: is asked for twice; leave one of them out")
        seen.add(key)
        if key not in name_by_identity:
            _check_fixed_options(run.choices, distinct, existing, varied, typed, earlier)
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


def _check_fixed_options(
    choices: Choices,
    fixed: Sequence[Mapping[str, str]],
    existing: Sequence[RunResult],
    varied: Sequence[str],
    typed: Sequence[str],
    earlier: Sequence[str],
) -> None:
    """Refuse a run that differs from existing runs in options that the sweep does not vary; all are named."""
    if PRESETS in varied:
        return
    wanted = _fixed_options(choices, varied)
    for options in fixed:
        if found := differences(options, wanted):
            sweep, keys = existing[0].directory.parent, {key_of(word) for word in typed}
            wrong = " ".join(f"{key}={now}" for key, (_, now) in found.items())
            had = " ".join(f"{key}={was}" for key, (was, _) in found.items())
            both = {key: f"{key}={was},{now}" for key, (was, now) in found.items()}
            remedy = "repeat the same options, choose another sweep name, or give both values: " + " ".join(
                both.values()
            )
            if earlier and typed and not all({key, key.partition(".")[0]} & keys for key in found):
                own = [both.get(key_of(word), word) for word in typed]
                remedy = f"type the whole line: {_whole_line(sweep, earlier, own)}"
            raise ConfigError(f"{wrong}: the runs of {shorten(sweep)} have {had}; {remedy}")


def _whole_line(sweep: Path, earlier: Sequence[str], typed: Sequence[str]) -> str:
    """An earlier command line of a sweep with what is typed now in the place of its own values, or after them."""
    own = {key_of(word): word for word in typed}
    kept = [own.pop(key_of(word), word) for word in earlier]
    return shlex.join(["satae-train", sweep_argument(sweep), *kept, *own.values()])


def _digest(text: str, letters: int = 8) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:letters]
