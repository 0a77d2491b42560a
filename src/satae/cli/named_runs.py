"""The runs that a command line names: ``run=A,B``; of a sweep, its runs."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from satae.config import ConfigError
from satae.config.messages import counted
from satae.runs.layout import CONFIG_FILE, MANIFEST_FILE, OUTPUTS_FOLDER, RECORD_FILE, shorten
from satae.sweeps.results import directories

NAMED: Final = "run"
SUCH: Final = "outputs/2026-01-31/12-00-00-000000"
STARS: Final = "*?["


class Named(NamedTuple):
    """What is named."""

    folders: list[Path]  # of runs and of sweeps
    runs: list[Path]  # run directories, each once
    left_out: str  # a line on the folders beside runs that hold others; nothing where there are none


def named_runs(words: Sequence[str]) -> Named:
    """Look for what words such as ``run=A,B`` name.

    Args:
        words: each begins with ``run``.

    Raises:
        ConfigError: there is no run.
    """
    if not words:
        raise ConfigError(f"run is missing; name a run directory, such as {SUCH}")
    folders, runs = dict[Path, None](), dict[Path, None]()
    for word in words:
        key, equals, value = word.partition("=")
        if key != NAMED or not equals or "" in value.split(","):
            raise ConfigError(f"{word}: write run= and a run directory, such as {SUCH}")
        for folder in _folders(value):
            folders[folder] = None
            runs |= dict.fromkeys(_runs(folder, word))
    others = [others for folder in folders if folder not in runs and (others := ", ".join(_with_runs(folder)))]
    told = f"left out: {'; '.join(others)}; name them in {NAMED}= too" if others else ""
    return Named([*folders], [*runs], told)


def check_named(word: str) -> None:
    """Refuse a folder without ``run=`` before it.

    Raises:
        ConfigError: the word is one.
    """
    if "=" not in word and word != NAMED and (os.sep in word or _is_there(Path(word))):
        raise ConfigError(f"{word}: did you mean {NAMED}={word}?")


def _folders(value: str) -> list[Path]:
    """The folders in a list with commas; a name may have commas itself, as those of a sweep do."""
    parts, found = value.split(","), list[Path]()
    while parts:
        ends = range(len(parts), 0, -1)
        names = [Path(os.path.abspath(os.path.expanduser(",".join(parts[:end])))) for end in ends]
        end, folder = next((pair for pair in zip(ends, names, strict=True) if _is_there(pair[1])), (1, names[-1]))
        found.append(folder)
        parts = parts[end:]
    return found


def _runs(folder: Path, word: str) -> list[Path]:
    if not _is_there(folder):
        raise ConfigError(f"{word}: there is no folder {folder.name}; {_remedy(folder)}")
    if (folder / CONFIG_FILE).is_file():
        return [folder]
    if not (runs := directories(folder)):
        others = ", ".join(_with_runs(folder))
        remedy = f"there are {others}; name one" if others else "name run directories, or a sweep"
        raise ConfigError(f"{word}: no run in {folder.name} (no {CONFIG_FILE}); {remedy}")
    return runs


def _with_runs(folder: Path) -> Iterator[str]:
    """The folders directly below one that are no runs and have some."""
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not (path / RECORD_FILE).is_file() and (runs := directories(path)):
            kind = "a sweep of " if (path / MANIFEST_FILE).is_file() else ""
            yield f"{path.name} ({kind}{counted(len(runs), 'run')})"


def _remedy(folder: Path) -> str:
    """What to type in the place of a folder that is not there."""
    named = Path(OUTPUTS_FOLDER, folder.name)
    if _is_there(named):
        return f"did you mean {NAMED}={named}?"
    found = [Path(path) for path in sorted(glob.glob(str(folder)))] if {*STARS} & {*folder.name} else []
    if meant := [str(shorten(path)) for path in found if path.is_dir()]:
        return f"name them with commas{', such as' if len(meant) > 2 else ':'} {NAMED}={','.join(meant[:2])}"
    return "name run directories, or a sweep"


def _is_there(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # a name that no folder can have
        return False
