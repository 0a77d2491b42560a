"""Runs as they stand in their directories."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, NamedTuple

from satae.config import Config, ConfigError
from satae.config.flat import flat
from satae.config.schema import absolute
from satae.config.stored import read_plain
from satae.run_directory import CONFIG, HISTORY, METRICS, RUN
from satae.run_directory import FAILED as FAILED
from satae.run_directory import FINISHED as FINISHED
from satae.run_directory import RUNNING as RUNNING
from satae.shown import first_line
from satae.tracking import reading
from satae.tracking.reading import numbers

LARGEST: Final = 2**24  # bytes of the metrics of a run


class Result(NamedTuple):
    """What is known of a run."""

    directory: Path
    choices: dict[str, Any]  # its configuration: {"act": "relu", "alpha": 0.1, "noise": "gaussian", "noise.level": .3}
    record: dict[str, Any]  # run.json
    metrics: dict[str, float]  # of its end, where it has come to that

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
    def seed(self) -> int:
        """Of its generators."""
        return int(self.choices.get("seed", 0))

    def history(self) -> list[dict[str, float]]:
        """The measures of each epoch, the first one first, with its number under ``epoch``."""
        return [numbers(line) for line in reading.history(self.directory / HISTORY)]


def below(folder: Path) -> Iterator[Result]:
    """The runs directly below a folder, in the order of their names.

    Raises:
        ConfigError: one of them cannot be read.
    """
    for path in sorted(folder.glob(f"*/{RUN}")):
        yield read(path.parent)


def status(directory: Path) -> str | None:
    """How a run stands: running, finished, interrupted or failed; None where none has begun.

    Raises:
        ConfigError: it cannot be read.
    """
    return str(reading.read(directory)["status"]) if (directory / RUN).is_file() else None


def worst_exit_code(folders: Iterable[Path]) -> int:
    """Of runs that have begun: the largest of those that failed, else of all.

    Raises:
        ConfigError: one of them cannot be read.
    """
    found = [reading.read(folder) for folder in folders if (folder / RUN).is_file()]
    failed = [run for run in found if run["status"] == FAILED]
    return max((int(run.get("exit_code", 1)) for run in failed or found), default=0)


def read(directory: Path) -> Result:
    """What is known of a run.

    Raises:
        ConfigError: nothing, or nothing that can be read.
    """
    known = reading.read(directory)
    return Result(directory, flat(read_plain(directory / CONFIG)), known, _metrics(directory / METRICS))


def chosen(config: Config) -> dict[str, Any]:
    """The choices of a configuration, as they stand in the directory of its run."""
    return flat(asdict(absolute(config)))


def _metrics(path: Path) -> dict[str, float]:
    if not path.is_file():
        return {}
    try:
        if path.stat().st_size > LARGEST:
            raise ValueError("it is too large")
        found = json.loads(path.read_text("utf-8"))
        if not isinstance(found, dict) or not all(
            value is None or type(value) in (int, float) for value in found.values()
        ):
            raise ValueError("it holds other things than measures")
        return numbers(found)
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: cannot be read ({first_line(error)})") from None
