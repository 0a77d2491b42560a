"""``sweep.json``: the command lines that made a sweep, what they vary, and the runs that they ask for."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Final, NamedTuple

from satae import atomic_write as files
from satae.config import ConfigError
from satae.config.flat import SEED
from satae.printable import brief, first_line
from satae.runs.layout import MANIFEST_FILE, MAX_JSON_BYTES

Runs = dict[str, dict[str, str]]  # the folder of each, by a digest of its configuration and by its seed

NO_RUNS: Final = Runs()


class Notes(NamedTuple):
    """What was asked of a sweep."""

    commands: list[str]  # as they were typed
    words: list[list[str]]  # the overrides of each, without Hydra's own
    varied: list[str]  # the keys that were given several values, the seed last
    runs: Runs = NO_RUNS  # all that were asked for; of sweeps of before, none are known

    @property
    def asked(self) -> list[str]:
        """The folders of the runs that were asked for."""
        return [*dict.fromkeys(folder for seeds in self.runs.values() for folder in seeds.values())]

    def with_varied(self, varied: list[str]) -> Notes:
        """The same of a sweep that varies some keys, too."""
        keys = dict.fromkeys([*self.varied, *varied])
        return self._replace(varied=sorted(keys, key=lambda key: key == SEED))  # which keeps the order otherwise

    def with_runs(self, runs: Runs) -> Notes:
        """The same of a sweep that has some runs, too."""
        return self._replace(runs=self.runs | {key: self.runs.get(key, {}) | seeds for key, seeds in runs.items()})

    def add(self, command: str, words: list[str], varied: list[str]) -> Notes:
        """The same with another command line."""
        known = self.with_varied(varied)
        if words in self.words:
            return known
        return known._replace(commands=[*self.commands, command], words=[*self.words, words])


NONE: Final = Notes([], [], [])


def read(sweep: Path) -> Notes:
    """The notes of a sweep; none where there is no file.

    Raises:
        ConfigError: it cannot be read, or is none.
    """
    path = sweep / MANIFEST_FILE
    if not path.is_file():
        return NONE
    try:
        if path.stat().st_size > MAX_JSON_BYTES:
            raise ValueError("too large")
        found = json.loads(path.read_text("utf-8"))
        notes = Notes(found["commands"], found["words"], found["varied"], found.get("runs", {}))
        if not all(map(_is_words, [notes.commands, notes.varied, *notes.words])) or not all(map(_is_name, notes.asked)):
            raise ValueError("not the notes of a sweep")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ConfigError(f"{path}: cannot be read ({type(error).__name__}: {first_line(error)})") from None
    for word in [word for words in notes.words for word in words]:
        if word.lstrip("+~").startswith("hydra") or word.startswith("-"):
            raise ConfigError(f"{path}: {brief(word)}: satae-train does not write that")
    return notes


def known(sweep: Path) -> Notes:
    """The notes of a sweep; none where they cannot be read."""
    try:
        return read(sweep)
    except ConfigError:
        return NONE


def write(sweep: Path, notes: Notes) -> None:
    """Write the notes of a sweep.

    Raises:
        ConfigError: they are more than can be read back; nothing is written.
        OSError: they cannot be written.
    """
    files.replace(sweep / MANIFEST_FILE, encoded(sweep, notes))


def encoded(sweep: Path, notes: Notes) -> bytes:
    """The notes of a sweep as their file holds them.

    Raises:
        ConfigError: they are more than can be read back.
    """
    content = (json.dumps(notes._asdict(), indent=2) + "\n").encode()
    if len(content) > MAX_JSON_BYTES:
        limit = f"{MAX_JSON_BYTES:,} bytes"
        told = f"its commands and runs are more than the {limit} that are kept of them; begin another sweep"
        raise ConfigError(f"{sweep / MANIFEST_FILE}: {told}")
    return content


def _is_name(found: object) -> bool:
    """Whether the folder of a run can be called so: no other place."""
    return isinstance(found, str) and bool(re.fullmatch(r"[^./\0][^/\0]*", found))


def _is_words(found: object) -> bool:
    return isinstance(found, list) and all(isinstance(word, str) for word in found)
