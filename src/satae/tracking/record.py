"""The run directory: what was run, on what, and what came of it."""

from __future__ import annotations

import functools
import json
import logging
import math
import platform
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from filelock import BaseFileLock, FileLock, Timeout
from omegaconf import OmegaConf

from satae import files
from satae.config import Config, ConfigError
from satae.config.messages import first_line
from satae.config.ranges import MOST_THREADS
from satae.config.schema import absolute
from satae.run_directory import CONFIG, HISTORY, LOCK, LOG, METRICS, RUN

PACKAGES: Final = ("satae", "torch", "hydra-core", "omegaconf", "tensorboard", "numpy", "scikit-learn")
OK: Final = 0
LARGEST: Final = 2**24  # bytes of a record
LONGEST: Final = 2**20  # bytes of a line of a history; one of a hundred layers has a hundredth of that
TYPES: Final[dict[str, type]] = {
    **{"status": str, "command": str, "folder": str, "overrides": list, "resumed": list},
    **{"wall_s": float, "exit_code": int},
}

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
            "status": "running",
            "command": command,
            "folder": str(Path.cwd()),
            "overrides": overrides,
            **({"rerun_of": str(rerun_of)} if rerun_of else {}),
            "seed": config.seed,
            "started": _now(),
            "versions": _versions(),
            "sources": _git_state(),
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
            "versions": _versions(),
            "sources": _git_state(),
            "before": {key: run[key] for key in ("threads", "device") if key in run},
        }
        resumed = [*run.get("resumed", []), going_on]
        record = cls(directory, {**run, "status": "running", "resumed": resumed}, lock, exit_code)
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
            how = {"status": "finished", "exit_code": OK} if error is None else _failure(error, self.exit_code(error))
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
        line = json.dumps({"epoch": number, **_as_json(metrics)}) + "\n"
        files.append(self.directory / HISTORY, line.encode())

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
        kept = [*islice(history(self.directory / HISTORY), epoch)]
        if [line["epoch"] for line in kept] != [*range(1, epoch + 1)]:
            raise ValueError(f"{self.directory / HISTORY}: has not the {epoch} epochs that are done; train again")
        files.replace(self.directory / HISTORY, "".join(json.dumps(line) + "\n" for line in kept).encode())
        _write_config(self.directory, config)
        last = kept[-1] if kept else {"epoch": 0}
        return {key: math.nan if value is None else value for key, value in last.items() if key != "epoch"}

    def finish(self, metrics: Mapping[str, float]) -> None:
        """Write the final metrics, with the wall time of all processes that had a part in them."""
        _write_json(self.directory / METRICS, _as_json({**metrics, "wall_s": self._wall()}))

    def _wall(self) -> float:
        return self._before + time.perf_counter() - self._started


def locked(directory: Path) -> BaseFileLock:
    """The lock of a run directory, which the system takes back from a process that dies."""
    lock = FileLock(directory / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise ConfigError(f"{directory}: another process is at work here; wait for it, or end it") from None
    return lock


def history(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of a history that are whole: the last one may be torn; a measure that was not finite is None."""
    if not path.is_file():
        return
    with path.open("rb") as file:
        while len(line := file.readline(LONGEST + 1)) <= LONGEST:
            try:
                found = json.loads(line.decode("utf-8", "replace"))
            except (ValueError, RecursionError):
                return
            if not isinstance(found, dict) or type(found.get("epoch")) is not int:
                return
            if not all(value is None or isinstance(value, int | float) for value in found.values()):
                return
            yield found


def close_unended(directory: Path, error: BaseException, exit_code: int) -> None:
    """Write down what ended a run whose process was ended before it could."""
    with suppress(ConfigError), locked(directory):  # who has the lock is at work on it
        run = read(directory)
        if run["status"] == "running":
            _write_json(directory / RUN, run | _failure(error, exit_code) | {"ended": _now()})
            files.append(directory / LOG, f"[{_now()}] the run ended here: {type(error).__name__}: {error}\n".encode())


def read(directory: Path) -> dict[str, Any]:
    """What is known of a run.

    Raises:
        ConfigError: nothing, or nothing that can be read.
    """
    path = directory / RUN
    try:
        if not path.is_file() or path.stat().st_size > LARGEST:
            raise ValueError("no file, or too large a one")
        run = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: cannot be read ({first_line(error)})") from None
    if not isinstance(run, dict) or not all(isinstance(run.get(key, kind()), kind) for key, kind in TYPES.items()):
        raise ConfigError(f"{path}: is not the record of a run")
    if not {"status", "command", "overrides"} <= {*run} or not all(isinstance(word, str) for word in run["overrides"]):
        raise ConfigError(f"{path}: is not the record of a run")
    return run


def _failure(error: BaseException, exit_code: int) -> dict[str, object]:
    status = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
    return {"status": status, "error": f"{type(error).__name__}: {error}", "exit_code": exit_code}


def _as_json(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The metrics as JSON allows them: null for numbers that are not finite."""
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in metrics.items()}


def _write_config(directory: Path, config: Config) -> None:
    files.replace(directory / CONFIG, OmegaConf.to_yaml(OmegaConf.structured(absolute(config))).encode())


def _write_json(path: Path, content: object) -> None:
    files.replace(path, (json.dumps(content, indent=2) + "\n").encode())


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


@functools.cache  # in a process all runs have the same sources, those that it has read
def _versions() -> dict[str, str]:
    return {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}


@functools.cache
def _git_state() -> dict[str, Any] | None:
    """Commit of the checkout that the package runs from, and whether files differ from it; None outside one."""
    git = ["git", "-C", str(Path(__file__).parent)]
    try:
        tracked = subprocess.run([*git, "ls-files", "--error-unmatch", __file__], capture_output=True, check=False)
        if tracked.returncode:
            return None
        commit = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout
        changes = subprocess.run([*git, "status", "--porcelain"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    return {"commit": commit.strip(), "changed": bool(changes.strip())}
