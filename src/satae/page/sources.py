"""Which runs a report is about: the runs in the folders that the user names, reduced to what a report shows."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from satae.config import ConfigError
from satae.messages import clean_text, count_words, first_line, format_value, quote_word
from satae.runs.layout import CONFIG_FILE, METRICS_FILE, OUTPUTS_FOLDER, RECORD_FILE, show_path
from satae.sweeps.manifest import read_manifest_or_empty, sweep_argument
from satae.sweeps.results import RunResult, UnreadableRun, left_out_folders, run_directories, try_read_run

RECORD_KEYS: Final = (
    "status",
    "exit_code",
    "stopped_early",
    "command",
    "folder",
    "device",
    "threads",
    "jobs",
    "started",
    "ended",
    "wall_s",
)
EARLY: Final = "stopped early"  # a finished run whose patience ended it
STILL_RUNNING: Final = "still running, or killed"  # a run whose record says that it runs
MAX_ASSUMPTIONS: Final = 50  # of a run
MAX_RESUMES: Final = 100  # of a run
MAX_KEYS: Final = 1_000  # options of a run, and metrics of a run


class RunCollection(NamedTuple):
    """The runs of a report."""

    folders: tuple[Path, ...]  # as the user named them
    runs: list[RunResult]
    unreadable: list[UnreadableRun]
    commands: list[str]  # made the runs
    root: Path  # the common folder of all runs
    varied: list[str]  # options that the commands vary, in their order
    waiting: int  # runs of the sweeps that have not started
    left_out: str  # a line on folders with further runs; empty without such folders

    def name(self, run: RunResult | UnreadableRun) -> str:
        """The directory of a run, relative to the root."""
        return clean_text(str(run.directory.relative_to(self.root)))


def collect_runs(folders: Sequence[Path], known: Sequence[RunResult | UnreadableRun] = ()) -> RunCollection:
    """Read the runs in some folders, each once.

    Args:
        folders: run directories, and folders of sweeps.
        known: runs that are already read.

    Raises:
        ConfigError: a folder holds no run.
    """
    directories = dict.fromkeys(place.resolve() for folder in folders for place in find_runs(folder))
    read = {run.directory.resolve(): run for run in known}
    found = [_reduce(read.get(place) or try_read_run(place))._replace(directory=place) for place in directories]
    runs = [run for run in found if isinstance(run, RunResult)]
    manifests = [read_manifest_or_empty(folder) for folder in dict.fromkeys(place.parent for place in directories)]
    commands = dict.fromkeys(clean_text(command) for manifest in manifests for command in manifest.commands)
    return RunCollection(
        folders=tuple(folders),
        runs=runs,
        unreadable=[run for run in found if isinstance(run, UnreadableRun)],
        commands=list(commands or dict.fromkeys(run.record["command"] for run in runs)),
        root=Path(os.path.commonpath([place.parent for place in directories])),
        varied=list(dict.fromkeys(key for manifest in manifests for key in manifest.varied)),
        waiting=sum(len(waiting_runs(folder)) for folder in {folder.resolve() for folder in folders}),
        left_out=left_out_text(folders),
    )


def left_out_text(folders: Sequence[Path]) -> str:
    """Name the folders with runs inside the named ones, which the report leaves out; empty without such folders."""
    others = left_out_folders(folders)
    return f"{others}; name them too" if others else ""


def find_runs(folder: Path) -> list[Path]:
    """The run directories that a folder stands for: itself, or the runs directly inside it.

    Raises:
        ConfigError: the folder is missing or holds no run.
    """
    if not folder.is_dir():
        named = Path(OUTPUTS_FOLDER, folder)
        remedy = f"did you mean {named}?" if named.is_dir() else "name a run directory or the folder of a sweep"
        raise ConfigError(f"{folder}: no such folder; {remedy}")
    if (folder / RECORD_FILE).is_file():
        return [folder]
    if found := run_directories(folder):
        return found
    if waiting := waiting_runs(folder):
        count = count_words(len(waiting), "run")
        raise ConfigError(f"{folder}: none of its {count} has started; {resume_hint(folder)}")
    below = min((path.parent.parent for path in folder.glob(f"*/*/{RECORD_FILE}")), default=None)
    remedy = f"did you mean {below}?" if below else "name a run directory or the folder of a sweep"
    raise ConfigError(f"{folder}: holds no runs; {remedy}")


def waiting_runs(folder: Path) -> list[str]:
    """The names of the runs of a sweep that have not started; empty for a single run."""
    started = {place.name for place in run_directories(folder)}
    return [name for name in read_manifest_or_empty(folder).run_names if name not in started]


def waiting_text(waiting: int, all_runs: int) -> str:
    """``1 of 8 runs has not started``."""
    return f"{waiting:,} of {count_words(all_runs, 'run')} {'has' if waiting == 1 else 'have'} not started"


def waiting_lines(folders: Sequence[Path]) -> list[str]:
    """A line for each sweep that has runs that have not started, with the command that starts them."""
    lines = list[str]()
    for folder in dict.fromkeys(folders):
        if waiting := len(waiting_runs(folder)):
            text = waiting_text(waiting, waiting + len(find_runs(folder)))
            lines.append(f"{show_path(folder)}: {text}; {resume_hint(folder)}")
    return lines


def resume_hint(sweep: Path) -> str:
    """The command that starts the missing runs of a sweep."""
    return f"resume with: satae-train {quote_word(sweep_argument(sweep))}"


def _reduce(run: RunResult | UnreadableRun) -> RunResult | UnreadableRun:
    """Keep what a report shows, as text that is safe to show: a stranger may have written the files of the run."""
    if isinstance(run, UnreadableRun):
        return run._replace(reason=clean_text(run.reason))
    try:
        for file, entries in ((CONFIG_FILE, run.choices), (METRICS_FILE, run.metrics)):
            if len(entries) > MAX_KEYS:
                raise ValueError(f"{file} holds what satae-train does not write")
        choices = {sys.intern(clean_text(key)): _reduce_value(value) for key, value in run.choices.items()}
        metrics = {sys.intern(clean_text(key)): float(value) for key, value in run.metrics.items()}
        return RunResult(run.directory, choices, _reduce_record(run.record), metrics)
    except (ValueError, ArithmeticError, RecursionError) as error:
        return UnreadableRun(run.directory, clean_text(first_line(error) or type(error).__name__))


def _reduce_value(value: object) -> object:
    if isinstance(value, int | float):
        float(value)  # raises OverflowError for a whole number that cannot be drawn
        return value
    return value if value is None else sys.intern(clean_text(format_value(value)))


def _reduce_record(record: Mapping[str, Any]) -> dict[str, Any]:
    reduced: dict[str, Any] = {key: _reduce_value(record[key]) for key in RECORD_KEYS if key in record}
    sources, versions = record.get("sources"), record.get("versions")
    if isinstance(sources, Mapping) and (commit := sources.get("commit")):
        reduced["sources"] = clean_text(f"{commit}{' with changes' if sources.get('changed') else ''}")
    if isinstance(versions, Mapping):
        reduced["versions"] = sys.intern(clean_text(", ".join(f"{name} {number}" for name, number in versions.items())))
    if "error" in record:
        reduced["error"] = clean_text(record["error"])
    if isinstance(resumes := record.get("resumed"), list):
        reduced["resumed"] = [*map(_reduce_resume, resumes[-MAX_RESUMES:])]
    for key in ("assumptions", "warnings"):
        if isinstance(notes := record.get(key), list):
            reduced[key] = [clean_text(note) for note in notes[:MAX_ASSUMPTIONS]]
    return reduced


def _reduce_resume(resume: object) -> dict[str, str]:
    """When a run was resumed, with which command, and with which device and threads it had run before."""
    entry = resume if isinstance(resume, Mapping) else {}
    before = earlier if isinstance(earlier := entry.get("before"), Mapping) else {}
    found = {"at": entry.get("at"), "command": entry.get("command")}
    found |= {name: before.get(name) for name in ("device", "threads")}
    return {name: clean_text(format_value(value)) for name, value in found.items() if value is not None}
