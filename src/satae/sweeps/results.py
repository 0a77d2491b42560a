"""Reads what the runs of a sweep chose and achieved, from the files in their directories."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from satae.config import Config, ConfigError
from satae.config.saved_config import read_config_values
from satae.config.schema import SEED, flatten, is_among, with_absolute_paths
from satae.messages import count_words, first_line, one_line
from satae.runs.layout import CONFIG_FILE, FAILED, FINISHED, MANIFEST_FILE, RECORD_FILE
from satae.runs.record import read_epochs, read_final_metrics, read_record
from satae.training.metric_titles import COLLAPSED


class UnreadableRun(NamedTuple):
    """A run whose files cannot be read."""

    directory: Path
    reason: str

    @property
    def name(self) -> str:
        """The name of its directory."""
        return self.directory.name


class RunResult(NamedTuple):
    """The configuration, the record and the final metrics of a run."""

    directory: Path
    choices: dict[str, Any]  # its configuration: {"act": "relu", "alpha": 0.1, "noise": "gaussian", "noise.level": 0.3}
    record: dict[str, Any]  # run.json
    metrics: dict[str, float]  # empty unless the run is finished

    @property
    def name(self) -> str:
        """The name of its directory."""
        return self.directory.name

    @property
    def status(self) -> str:
        """``running`` (or killed while it ran), ``finished``, ``interrupted`` or ``failed``."""
        return str(self.record["status"])

    @property
    def is_finished(self) -> bool:
        """Whether it trained all its epochs, or stopped early."""
        return self.status == FINISHED

    @property
    def is_early(self) -> bool:
        """Whether it stopped early because the validation loss did not fall any more."""
        return self.is_finished and "stopped_early" in self.record

    @property
    def is_collapsed(self) -> bool:
        """Whether its reconstruction says no more than the mean of the data, or a layer is dead."""
        return self.metrics.get(COLLAPSED, 0) > 0

    @property
    def seed(self) -> int:
        """The seed of its random generators."""
        return int(self.choices.get(SEED, 0))

    @property
    def failure(self) -> str:
        """Why it failed or was interrupted, as its record says; a loss that was not finite needs no class name."""
        return re.sub(r"^NonFinite\w*: ", "", str(self.record.get("error") or ""))

    def epochs(self) -> Iterator[dict[str, float]]:
        """Read the metrics of each epoch, with its number under ``epoch``."""
        return read_epochs(self.directory)


def run_directories(folder: Path) -> list[Path]:
    """The directories of the runs directly below a folder, ordered by name."""
    return [path.parent for path in sorted(folder.glob(f"*/{RECORD_FILE}"))]


def nested_folders(folder: Path) -> dict[Path, str]:
    """The folders directly below one that are not runs and hold some, each with its name and the number of its runs."""
    found = dict[Path, str]()
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not (path / RECORD_FILE).is_file() and (runs := run_directories(path)):
            kind = "a sweep of " if (path / MANIFEST_FILE).is_file() else ""
            found[path] = f"{one_line(path.name)} ({kind}{count_words(len(runs), 'run')})"
    return found


def left_out_folders(named: Sequence[Path]) -> str:
    """Name the folders that hold runs, lie directly below a named folder and are not named: ``left out: ...``, or "".

    A folder stands for the runs directly inside it; a run directory stands for itself.
    """
    known = {folder.resolve() for folder in named}
    nested = [nested_folders(folder) for folder in named if not (folder / RECORD_FILE).is_file()]
    others = [text for found in nested for path, text in found.items() if path.resolve() not in known]
    return f"left out: {', '.join(dict.fromkeys(others))}" if others else ""


def read_runs(folder: Path) -> list[RunResult]:
    """Read all runs directly below a folder, ordered by name.

    Raises:
        ConfigError: one of them cannot be read.
    """
    return [read_run(directory) for directory in run_directories(folder)]


def read_run(directory: Path) -> RunResult:
    """Read the files of a run.

    Raises:
        ConfigError: they are missing or cannot be read.
    """
    record = read_record(directory)
    choices = flatten(read_config_values(directory / CONFIG_FILE))
    # the same data in another place do not make it another run
    choices |= {
        key: path for key, path in record.get("first_paths", {}).items() if is_among(key, ["data"]) and key in choices
    }
    if type(choices.get(SEED, 0)) is not int:
        raise ConfigError(f"{directory / CONFIG_FILE}: {SEED} is not a whole number")
    # if a finished run was extended and then interrupted, its metrics.json still belongs to the fewer epochs
    metrics = read_final_metrics(directory) if record["status"] == FINISHED else {}
    return RunResult(directory, choices, record, metrics)


def try_read_run(directory: Path) -> RunResult | UnreadableRun:
    """Read the files of a run, or return the reason why they cannot be read."""
    try:
        return read_run(directory)
    except (OSError, ValueError, ArithmeticError, RecursionError) as error:
        reason = first_line(error).replace(f"{directory}{os.sep}", "") or type(error).__name__
        return UnreadableRun(directory, reason)


def read_status(directory: Path) -> str | None:
    """The status of a run: running, finished, interrupted or failed; None if no run started there.

    Raises:
        ConfigError: the record cannot be read.
    """
    return str(read_record(directory)["status"]) if (directory / RECORD_FILE).is_file() else None


def worst_exit_code(directories: Iterable[Path]) -> int:
    """The largest exit code of the failed runs; if none failed, that of all runs that started.

    Raises:
        ConfigError: a record cannot be read.
    """
    records = [read_record(directory) for directory in directories if (directory / RECORD_FILE).is_file()]
    failed = [record for record in records if record["status"] == FAILED]
    return max((int(record.get("exit_code", 1)) for record in failed or records), default=0)


def flat_choices(config: Config) -> dict[str, Any]:
    """The choices of a configuration, as :class:`RunResult` has them after the run started."""
    return flatten(with_absolute_paths(config).to_dict())


def earliest_start(runs: Iterable[RunResult]) -> float:
    """When the first of some runs started, in seconds since 1970; 0 if no record says it."""
    times = [parse_time(run.record.get("started", "")) for run in runs]
    return min((time for time in times if time is not None), default=0.0)


def parse_time(text: str) -> float | None:
    """A time of a record in seconds since 1970; None if the text is not a time that this system can hold."""
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError):
        return None
