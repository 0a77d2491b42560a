"""``sweep.json``: the command lines that made a sweep, and what they vary."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final, NamedTuple

from satae import files
from satae.config import ConfigError
from satae.config.flat import SEED
from satae.run_directory import SWEEP_NOTES
from satae.shown import brief, first_line

LARGEST: Final = 2**20  # bytes


class Notes(NamedTuple):
    """What was asked of a sweep."""

    commands: list[str]  # as they were typed
    words: list[list[str]]  # the overrides of each, without Hydra's own
    varied: list[str]  # the keys that were given several values, the seed last

    def with_varied(self, varied: list[str]) -> Notes:
        """The same of a sweep that varies some keys, too."""
        keys = dict.fromkeys([*self.varied, *varied])
        return self._replace(varied=sorted(keys, key=lambda key: key == SEED))  # which keeps the order otherwise

    def add(self, command: str, words: list[str], varied: list[str]) -> Notes:
        """The same with another command line."""
        known = self.with_varied(varied)
        if words in self.words:
            return known
        return known._replace(commands=[*self.commands, command], words=[*self.words, words])


def read(sweep: Path) -> Notes:
    """The notes of a sweep; none where there is no file.

    Raises:
        ConfigError: it cannot be read, or is none.
    """
    path = sweep / SWEEP_NOTES
    if not path.is_file():
        return Notes([], [], [])
    try:
        if path.stat().st_size > LARGEST:
            raise ValueError("too large")
        found = json.loads(path.read_text("utf-8"))
        notes = Notes(found["commands"], found["words"], found["varied"])
        if not all(map(_is_words, [notes.commands, notes.varied, *notes.words])):
            raise ValueError("not the notes of a sweep")
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ConfigError(f"{path}: cannot be read ({type(error).__name__}: {first_line(error)})") from None
    for word in [word for words in notes.words for word in words]:
        if word.lstrip("+~").startswith("hydra") or word.startswith("-"):
            raise ConfigError(f"{path}: {brief(word)}: satae-train does not write that")
    return notes


def write(sweep: Path, notes: Notes) -> None:
    """Write the notes of a sweep.

    Raises:
        ConfigError: they are more than can be read back; nothing is written.
        OSError: they cannot be written.
    """
    files.replace(sweep / SWEEP_NOTES, encoded(sweep, notes))


def encoded(sweep: Path, notes: Notes) -> bytes:
    """The notes of a sweep as their file holds them.

    Raises:
        ConfigError: they are more than can be read back.
    """
    content = (json.dumps(notes._asdict(), indent=2) + "\n").encode()
    if len(content) > LARGEST:
        told = f"its commands are more than the {LARGEST:,} bytes that are kept of them; begin another sweep"
        raise ConfigError(f"{sweep / SWEEP_NOTES}: {told}")
    return content


def _is_words(found: object) -> bool:
    return isinstance(found, list) and all(isinstance(word, str) for word in found)
