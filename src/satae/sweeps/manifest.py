"""``sweep.json``: the command lines of a sweep, the options that they vary, and the runs that they ask for."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from satae import atomic_write
from satae.config import ConfigError
from satae.config.schema import SEED
from satae.printable import brief, first_line
from satae.runs.layout import MANIFEST_FILE, MAX_JSON_BYTES
from satae.runs.record import read_json_file

RunIndex = Mapping[str, Mapping[str, str]]  # names of runs by a digest of their configuration, then by seed

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
    if not path.is_file():
        return EMPTY_MANIFEST
    found = read_json_file(path)
    try:
        manifest = Manifest(found["commands"], found["words"], found["varied"], found.get("runs", {}))
        lists = [manifest.commands, manifest.varied, *manifest.words]
        if not all(map(_is_list_of_words, lists)) or not all(map(_is_run_name, manifest.run_names)):
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


def _is_run_name(name: object) -> bool:
    """Whether this is the name of a folder directly inside the sweep."""
    return isinstance(name, str) and bool(re.fullmatch(r"[^./\0][^/\0]*", name))


def _is_list_of_words(found: object) -> bool:
    return isinstance(found, list) and all(isinstance(word, str) for word in found)
