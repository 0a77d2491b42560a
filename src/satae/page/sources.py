"""The runs in the folders that were named, and no more of each than a report tells."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from satae.config import ConfigError
from satae.config.messages import count_words, format_value
from satae.printable import clean_text, first_line
from satae.runs.layout import CONFIG_FILE, METRICS_FILE, OUTPUTS_FOLDER, RECORD_FILE
from satae.sweeps import manifest, results
from satae.sweeps.results import RunResult, UnreadableRun
from satae.sweeps.run_names import sweep_argument

KEPT: Final = ("status", "exit_code", "command", "folder", "device", "threads", "jobs", "started", "ended", "wall_s")
MOST_ENTRIES: Final = 1_000  # choices of a run, and measures


class Source(NamedTuple):
    """What was named, read."""

    folders: tuple[Path, ...]  # as they were named
    runs: list[RunResult]
    unreadable: list[UnreadableRun]
    commands: list[str]  # that made the runs
    root: Path  # the folder that all are below
    varied: list[str]  # what those commands vary, in their order
    waiting: int  # runs of the sweeps that have not begun

    def name(self, run: RunResult | UnreadableRun) -> str:
        """Of a run's directory, as seen from the folder that all are below."""
        return clean_text(str(run.directory.relative_to(self.root)))


def gather(folders: Sequence[Path], known: Sequence[RunResult | UnreadableRun] = ()) -> Source:
    """Read the runs in some folders, each once.

    Args:
        folders: run directories, and folders of sweeps.
        known: runs that have been read.

    Raises:
        ConfigError: a folder holds no run.
    """
    places = dict.fromkeys(place.resolve() for folder in folders for place in directories(folder))
    there = {run.directory.resolve(): run for run in known}
    found = [_told(there.get(place) or results.try_read_run(place))._replace(directory=place) for place in places]
    runs = [run for run in found if isinstance(run, RunResult)]
    told = [manifest.read_manifest_or_empty(folder) for folder in dict.fromkeys(place.parent for place in places)]
    made = dict.fromkeys(clean_text(command) for known in told for command in known.commands)
    typed = made or dict.fromkeys(run.record["command"] for run in runs)
    varied = dict.fromkeys(key for known in told for key in known.varied)
    waiting = sum(len(not_begun(folder)) for folder in {folder.resolve() for folder in folders})
    unreadable = [run for run in found if isinstance(run, UnreadableRun)]
    root = Path(os.path.commonpath([place.parent for place in places]))
    return Source(tuple(folders), runs, unreadable, list(typed), root, list(varied), waiting)


def directories(folder: Path) -> list[Path]:
    """The run directories that a folder stands for: itself, or those in it.

    Raises:
        ConfigError: there are none.
    """
    if not folder.is_dir():
        named = Path(OUTPUTS_FOLDER, folder)
        remedy = f"did you mean {named}?" if named.is_dir() else "name a run directory or the folder of a sweep"
        raise ConfigError(f"{folder}: no such folder; {remedy}")
    if (folder / RECORD_FILE).is_file():
        return [folder]
    if found := results.run_directories(folder):
        return found
    if waiting := not_begun(folder):
        raise ConfigError(f"{folder}: none of its {count_words(len(waiting), 'run')} has begun; {going_on(folder)}")
    below = min((path.parent.parent for path in folder.glob(f"*/*/{RECORD_FILE}")), default=None)
    remedy = f"did you mean {below}?" if below else "name a run directory or the folder of a sweep"
    raise ConfigError(f"{folder}: holds no runs; {remedy}")


def not_begun(folder: Path) -> list[str]:
    """The runs that a sweep is to have and that have not begun; none of a single run."""
    begun = {place.name for place in results.run_directories(folder)}
    return [name for name in manifest.read_manifest_or_empty(folder).run_names if name not in begun]


def waiting_text(number: int, all_runs: int) -> str:
    """``1 of 8 runs has not begun``."""
    return f"{number:,} of {count_words(all_runs, 'run')} {'has' if number == 1 else 'have'} not begun"


def going_on(sweep: Path) -> str:
    """How to have a sweep make what is left of it."""
    return f"go on with: satae-train {shlex.quote(sweep_argument(sweep))}"


def _told(run: RunResult | UnreadableRun) -> RunResult | UnreadableRun:
    """A run without what no report tells."""
    if isinstance(run, UnreadableRun):
        return run._replace(reason=clean_text(run.reason))
    try:
        return RunResult(run.directory, _choices(run.choices), _record(run.record), _measures(run.metrics))
    except (ValueError, ArithmeticError, RecursionError) as error:
        return UnreadableRun(run.directory, clean_text(first_line(error) or type(error).__name__))


def _choices(found: Mapping[str, Any]) -> dict[str, Any]:
    if len(found) > MOST_ENTRIES:
        raise ConfigError(f"{CONFIG_FILE} holds what satae-train does not write")
    return {sys.intern(clean_text(key)): _plain(value) for key, value in found.items()}


def _plain(value: object) -> object:
    if isinstance(value, int | float):
        float(value)  # refuses what is larger than any number that can be drawn
        return value
    return value if value is None else sys.intern(clean_text(format_value(value)))


def _measures(found: Mapping[str, Any]) -> dict[str, float]:
    if len(found) > MOST_ENTRIES:
        raise ConfigError(f"{METRICS_FILE} holds what satae-train does not write")
    return {sys.intern(clean_text(key)): float(value) for key, value in found.items()}


def _record(found: Mapping[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {key: _plain(found[key]) for key in KEPT if key in found}
    sources = found.get("sources")
    commit = sources.get("commit") if isinstance(sources, Mapping) else None
    if commit:
        kept["sources"] = clean_text(f"{commit}{' with changes' if sources.get('changed') else ''}")  # type: ignore[union-attr]
    versions = found.get("versions")
    if isinstance(versions, Mapping):
        kept["versions"] = sys.intern(clean_text(", ".join(f"{name} {number}" for name, number in versions.items())))
    return {**kept, "error": clean_text(found["error"])} if "error" in found else kept
