"""The runs that ``run=A,B`` names."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from satae.errors import ConfigError
from satae.runs import own_files
from satae.runs.layout import CONFIG_FILE, OUTPUTS_FOLDER, shorten
from satae.sweeps.results import left_out_folders, nested_folders, run_directories

SAMPLE_NAME: Final = "outputs/2026-01-31/12-00-00-000000"


class NamedRuns(NamedTuple):
    """The runs that ``run=A,B`` names."""

    folders: list[Path]  # of runs and of sweeps, as named
    runs: list[Path]  # run directories, each once
    left_out: str  # a line on the folders that hold further runs; empty if all runs were taken


def read_named_runs(words: Sequence[str]) -> NamedRuns:
    """Find the runs that words such as ``run=A,B`` name; a sweep stands for all of its runs.

    Args:
        words: each begins with ``run``.

    Raises:
        ConfigError: a folder or a run does not exist.
    """
    if not words:
        raise ConfigError(f"run is missing; name a run directory, such as {SAMPLE_NAME}")
    folders, runs = dict[Path, None](), dict[Path, None]()
    for word in words:
        key, equals, value = word.partition("=")
        if key != "run" or not equals or "" in value.split(","):
            raise ConfigError(f"{word}: write run= and a run directory, such as {SAMPLE_NAME}")
        for folder in _named_folders(value):
            folders[folder] = None
            runs |= dict.fromkeys(_runs_of(folder, word))
    for run in runs:
        if run.is_symlink() and run not in folders:
            raise ConfigError(f"{run}: is a link in a sweep, and its end would change; name its end itself in run=")
        own_files.check_evaluation(run)
    others = left_out_folders([*folders])
    return NamedRuns([*folders], [*runs], f"{others}; name them in run= too" if others else "")


def _named_folders(value: str) -> list[Path]:
    """The folders of a list with commas; a name may hold commas itself, as those of a sweep's runs do."""
    parts, found = value.split(","), list[Path]()
    while parts:
        ends = range(len(parts), 0, -1)
        names = [Path(os.path.abspath(os.path.expanduser(",".join(parts[:end])))) for end in ends]
        end, folder = next((pair for pair in zip(ends, names, strict=True) if os.path.isdir(pair[1])), (1, names[-1]))
        found.append(folder)
        parts = parts[end:]
    return found


def _runs_of(folder: Path, word: str) -> list[Path]:
    if not os.path.isdir(folder):
        raise ConfigError(f"{word}: no folder {folder.name}; {_suggest_folder(folder)}")
    if (folder / CONFIG_FILE).is_file():
        return [folder]
    if not (runs := run_directories(folder)):
        others = ", ".join(nested_folders(folder).values())
        remedy = f"it holds {others}; name one" if others else "name run directories, or a sweep"
        raise ConfigError(f"{word}: no run in {folder.name} (no {CONFIG_FILE}); {remedy}")
    return runs


def _suggest_folder(folder: Path) -> str:
    """What to type instead of a folder that does not exist."""
    named = Path(OUTPUTS_FOLDER, folder.name)
    if os.path.isdir(named):
        return f"did you mean run={named}?"
    found = [Path(path) for path in sorted(glob.glob(str(folder)))] if {*"*?["} & {*folder.name} else []
    if meant := [str(shorten(path)) for path in found if path.is_dir()]:
        return f"name them with commas{', such as' if len(meant) > 2 else ':'} run={','.join(meant[:2])}"
    return "name run directories, or a sweep"
