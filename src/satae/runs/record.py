"""The run directory: what was run, on what, and what came of it."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from filelock import BaseFileLock
from omegaconf import OmegaConf

from satae import atomic_write as files
from satae.config import Config, ConfigError
from satae.config.ranges import MOST_THREADS
from satae.config.schema import absolute
from satae.runs import history
from satae.runs.layout import CONFIG, FAILED, FINISHED, HISTORY, INTERRUPTED, LOG, METRICS, RUN, RUNNING
from satae.runs.lock import locked
from satae.runs.provenance import git_state, versions
from satae.runs.reading import read

OK: Final = 0

ExitCode = Callable[[BaseException], int]

log = logging.getLogger(__name__)


class Record:
    """Writes a run directory, which no other process can meanwhile.

    config.yaml      every choice, as plain data
    run.json         command, folder, versions, state of the sources, data, threads, device, times, status, exit code;
                     each time that it went on: command, versions and sources, and threads and device of before
    metrics.jsonl    one line an epoch
    metrics.json     the last epoch's measures, the speed and the wall time
    """

    def __init__(self, directory: Path, run: dict[str, Any], lock: BaseFileLock, exit_code: ExitCode) -> None:
        """See :meth:`begin` and :meth:`resume`."""
        self.directory, self.exit_code = directory, exit_code
        self._run, self._lock = run, lock
        self._started, self._before = time.perf_counter(), float(run.get("wall_s", 0.0))

    @classmethod
    def begin(
        cls,
        directory: Path,
        config: Config,
        command: str,
        overrides: list[str],
        exit_code: ExitCode,
        *,
        rerun_of: Path | None = None,
    ) -> Self:
        """A new run.

        Args:
            directory: of the run.
            config: what is run.
            command: as it was typed.
            overrides: of this run, where the command makes several.
            exit_code: of an error that ends the run.
            rerun_of: the directory of the run whose configuration it has.

        Raises:
            ConfigError: a run is there already, or another process is at work there.
        """
        run = {
            "status": RUNNING,
            "command": command,
            "folder": str(Path.cwd()),
            "overrides": overrides,
            **({"rerun_of": str(rerun_of)} if rerun_of else {}),
            "seed": config.seed,
            "started": _now(),
            "versions": versions(),
            "sources": git_state(),
        }
        directory.mkdir(parents=True, exist_ok=True)
        lock = locked(directory)
        if (directory / RUN).exists() or (directory / HISTORY).is_file():
            raise ConfigError(f"{directory}: holds a run already; name another folder, or delete that one")
        _write_config(directory, config)
        _write_json(directory / RUN, run)
        files.sync_folder(directory, above=2)  # outputs/<date>/<time>
        return cls(directory, run, lock, exit_code)

    @classmethod
    def resume(cls, directory: Path, command: str, exit_code: ExitCode) -> Self:
        """One that was cut off, or is to go further.

        Args:
            directory: of the run.
            command: that goes on with it.
            exit_code: of an error that ends the run.

        Raises:
            ConfigError: another process is at work there.
        """
        lock = locked(directory)
        run = read(directory)
        going_on = {
            "command": command,
            "at": _now(),
            "versions": versions(),
            "sources": git_state(),
            "before": {key: run[key] for key in ("threads", "device") if key in run},
        }
        resumed = [*run.get("resumed", []), going_on]
        record = cls(directory, {**run, "status": RUNNING, "resumed": resumed}, lock, exit_code)
        for key in ("ended", "error", "exit_code"):
            record._run.pop(key, None)
        return record

    @property
    def resumed(self) -> bool:
        """Whether it goes on with what was begun before."""
        return "resumed" in self._run

    @property
    def threads(self) -> int | None:
        """Of torch, when it began: with another number its sums are others."""
        threads = self._run.get("threads")
        return threads if self.resumed and type(threads) is int and 0 < threads <= MOST_THREADS else None

    @property
    def command(self) -> str:
        """That began it."""
        return str(self._run["command"])

    @property
    def overrides(self) -> str:
        """Its own, as one types them."""
        return " ".join(self._run["overrides"])

    def __enter__(self) -> Self:
        self.note()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        try:
            how = {"status": FINISHED, "exit_code": OK} if error is None else _failure(error, self.exit_code(error))
            self.note(**how, ended=_now(), wall_s=self._wall())
        except OSError:
            if error is None:
                raise
            log.exception("how the run ended could not be written")
        finally:
            self._lock.release()

    def note(self, **facts: object) -> None:
        """Add facts about the run."""
        self._run |= facts
        _write_json(self.directory / RUN, self._run)

    def epoch(self, number: int, metrics: Mapping[str, float]) -> None:
        """Add a line to the history."""
        history.add(self.directory / HISTORY, number, metrics)

    def sync(self) -> None:
        """Have the history reach the disk."""
        files.sync(self.directory / HISTORY)

    def go_on_after(self, epoch: int, config: Config) -> dict[str, float]:
        """Take back what was written of later epochs, which are to be trained again; the metrics of the epoch.

        Args:
            epoch: that the checkpoint is of.
            config: with what is changed in it.

        Raises:
            ValueError: earlier ones are missing.
        """
        metrics = history.cut(self.directory / HISTORY, epoch)
        _write_config(self.directory, config)
        return metrics

    def finish(self, metrics: Mapping[str, float]) -> None:
        """Write the final metrics, with the wall time of all processes that had a part in them."""
        _write_json(self.directory / METRICS, history.as_json({**metrics, "wall_s": self._wall()}))

    def _wall(self) -> float:
        return self._before + time.perf_counter() - self._started


def close_unended(directory: Path, error: BaseException, exit_code: int) -> None:
    """Write down what ended a run whose process was ended before it could."""
    with suppress(ConfigError), locked(directory):  # who has the lock is at work on it
        run = read(directory)
        if run["status"] == RUNNING:
            _write_json(directory / RUN, run | _failure(error, exit_code) | {"ended": _now()})
            files.append(directory / LOG, f"[{_now()}] the run ended here: {type(error).__name__}: {error}\n".encode())


def _failure(error: BaseException, exit_code: int) -> dict[str, object]:
    status = INTERRUPTED if isinstance(error, KeyboardInterrupt) else FAILED
    return {"status": status, "error": f"{type(error).__name__}: {error}", "exit_code": exit_code}


def _write_config(directory: Path, config: Config) -> None:
    files.replace(directory / CONFIG, OmegaConf.to_yaml(OmegaConf.structured(absolute(config))).encode())


def _write_json(path: Path, content: object) -> None:
    files.replace(path, (json.dumps(content, indent=2) + "\n").encode())


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
