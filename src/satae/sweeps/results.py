"""Runs as they stand in their directories."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from satae.config import Config, ConfigError
from satae.config.flat import SEED, flat
from satae.config.saved_config import read_config_values
from satae.config.schema import with_absolute_paths
from satae.printable import first_line
from satae.runs import metrics_log, record
from satae.runs.layout import CONFIG_FILE, MAX_JSON_BYTES, METRICS_FILE, METRICS_LOG_FILE, RECORD_FILE
from satae.runs.layout import FAILED as FAILED
from satae.runs.layout import FINISHED as FINISHED
from satae.runs.layout import RUNNING as RUNNING
from satae.runs.metrics_log import nan_for_null
from satae.sweeps.measures import COLLAPSED


class Unreadable(NamedTuple):
    """A run of which nothing can be told."""

    directory: Path
    reason: str

    @property
    def name(self) -> str:
        """Of its directory."""
        return self.directory.name


class Result(NamedTuple):
    """What is known of a run."""

    directory: Path
    choices: dict[str, Any]  # its configuration: {"act": "relu", "alpha": 0.1, "noise": "gaussian", "noise.level": .3}
    record: dict[str, Any]  # run.json
    metrics: dict[str, float]  # of its end; none where it has not come to that, or goes further

    @property
    def name(self) -> str:
        """Of its directory."""
        return self.directory.name

    @property
    def status(self) -> str:
        """running (or killed while it did), finished, interrupted or failed."""
        return str(self.record["status"])

    @property
    def is_finished(self) -> bool:
        """Whether it came to its end."""
        return self.status == FINISHED

    @property
    def is_collapsed(self) -> bool:
        """Whether it says no more than the mean of the data, or a layer is dead."""
        return self.metrics.get(COLLAPSED, 0) > 0

    @property
    def seed(self) -> int:
        """Of its generators."""
        return int(self.choices.get(SEED, 0))

    def history(self) -> Iterator[dict[str, float]]:
        """The measures of each epoch, the first one first, with its number under ``epoch``."""
        yield from map(nan_for_null, metrics_log.read_epochs(self.directory / METRICS_LOG_FILE))


def directories(folder: Path) -> list[Path]:
    """Those of the runs directly below a folder, in the order of their names."""
    return [path.parent for path in sorted(folder.glob(f"*/{RECORD_FILE}"))]


def below(folder: Path) -> Iterator[Result]:
    """The runs directly below a folder, in the order of their names.

    Raises:
        ConfigError: one of them cannot be read.
    """
    yield from map(read, directories(folder))


def attempted(directory: Path) -> Result | Unreadable:
    """What is known of a run, or why nothing is."""
    try:
        return read(directory)
    except (OSError, ValueError, ArithmeticError, RecursionError) as error:
        return Unreadable(directory, first_line(error).replace(f"{directory}{os.sep}", "") or type(error).__name__)


def status(directory: Path) -> str | None:
    """How a run stands: running, finished, interrupted or failed; None where none has begun.

    Raises:
        ConfigError: it cannot be read.
    """
    return str(record.read_record(directory)["status"]) if (directory / RECORD_FILE).is_file() else None


def worst_exit_code(folders: Iterable[Path]) -> int:
    """Of runs that have begun: the largest of those that failed, else of all.

    Raises:
        ConfigError: one of them cannot be read.
    """
    found = [record.read_record(folder) for folder in folders if (folder / RECORD_FILE).is_file()]
    failed = [run for run in found if run["status"] == FAILED]
    return max((int(run.get("exit_code", 1)) for run in failed or found), default=0)


def began(runs: Iterable[Result]) -> float:
    """When the first of some runs began, in seconds; 0 where nobody knows."""
    times = [seconds(run.record.get("started", "")) for run in runs]
    return min((time for time in times if time is not None), default=0.0)


def read(directory: Path) -> Result:
    """What is known of a run.

    Raises:
        ConfigError: nothing, or nothing that can be read.
    """
    known = record.read_record(directory)
    choices = flat(read_config_values(directory / CONFIG_FILE))
    if type(choices.get(SEED, 0)) is not int:
        raise ConfigError(f"{directory / CONFIG_FILE}: {SEED} is no whole number")
    found = Result(directory, choices, known, {})
    # those of a run that was to go further and was cut off are of fewer epochs than its configuration says
    return found._replace(metrics=_metrics(directory / METRICS_FILE)) if found.is_finished else found


def chosen(config: Config) -> dict[str, Any]:
    """The choices of a configuration, as they stand in the directory of its run."""
    return flat(with_absolute_paths(config).to_dict())


def _metrics(path: Path) -> dict[str, float]:
    if not path.is_file():
        return {}
    try:
        if path.stat().st_size > MAX_JSON_BYTES:
            raise ValueError("it is too large")
        found = json.loads(path.read_text("utf-8"))
        if not isinstance(found, dict) or not all(
            value is None or type(value) in (int, float) for value in found.values()
        ):
            raise ValueError("it holds other things than measures")
        return {key: float(value) for key, value in nan_for_null(found).items()}
    except (OSError, ValueError, OverflowError, RecursionError) as error:
        raise ConfigError(f"{path}: cannot be read ({first_line(error)})") from None


def seconds(time: str) -> float | None:
    """A time of a record; None of what is no time, or none that a calendar of this machine has."""
    try:
        return datetime.fromisoformat(time).timestamp()
    except (ValueError, OverflowError, OSError):
        return None
