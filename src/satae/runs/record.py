"""The files of a run: ``run.json``, ``config.yaml``, ``metrics.jsonl`` and ``metrics.json``, read back safely."""

from __future__ import annotations

import json
import logging
import math
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import cache
from itertools import count, islice
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from filelock import BaseFileLock
from omegaconf import OmegaConf

from satae import atomic_write
from satae.config import Config, ConfigError
from satae.config.option_types import MAX_THREADS
from satae.config.plugins import PLUGINS, changed_plugins, plugin_entries
from satae.config.saved_config import read_config_values, read_json
from satae.config.schema import EXECUTION_OPTIONS, all_path_options, flatten, is_among, with_absolute_paths
from satae.errors import exit_code
from satae.messages import count_words, first_line, quote_word
from satae.runs.layout import (
    CONFIG_FILE,
    FAILED,
    FINISHED,
    INTERRUPTED,
    LOG_FILE,
    MAX_JSON_BYTES,
    METRICS_FILE,
    METRICS_LOG_FILE,
    RECORD_FILE,
    RUNNING,
    show_path,
)
from satae.runs.locks import lock_directory
from satae.runs.provenance import git_state, package_versions, program_version

RECORD_TYPES: Final[dict[str, type]] = {
    "status": str,
    "command": str,
    "folder": str,
    "overrides": list,
    "resumed": list,
    "first_paths": dict,
    "started": str,
    "wall_s": float,
    "exit_code": int,
}
REQUIRED_KEYS: Final = {"status", "command", "overrides"}
MAX_EPOCH: Final = 2**63 - 1  # the largest step that TensorBoard can store
MAX_COUNTED_BYTES: Final = 2**26  # after a line of metrics.jsonl that cannot be read, whose lines are counted
MAX_LINE_BYTES: Final = 2**20  # longest line of metrics.jsonl: a network of a hundred layers needs a hundredth of that

log = logging.getLogger(__name__)


class RunRecord:
    """Writes the files of a run while it trains; no other process can write to its directory meanwhile.

    config.yaml      every option, as plain data
    run.json         command, folder, versions, state and digest of the sources, plugins, data, threads, device, times,
                     status, exit code;
                     for each time that the run was resumed: command, versions, sources, plugins and which of them have
                     changed, earlier threads and device
    metrics.jsonl    one line an epoch
    metrics.json     metrics of the last epoch, the speed and the wall time
    """

    def __init__(self, directory: Path, content: dict[str, Any], lock: BaseFileLock) -> None:
        """Use :meth:`start` or :meth:`resume`."""
        self.directory = directory
        self._content, self._lock = content, lock
        self._started, self._earlier_seconds = time.perf_counter(), float(content.get("wall_s", 0.0))

    @classmethod
    def start(
        cls,
        directory: Path,
        config: Config,
        command: str,
        overrides: list[str],
        *,
        rerun_of: Path | None = None,
        first_paths: Mapping[str, str] | None = None,
    ) -> Self:
        """Create the directory and the record of a new run.

        Args:
            directory: directory of the run.
            config: its configuration.
            command: the command line as the user typed it.
            overrides: the overrides of this run; a command line can start several.
            rerun_of: directory of the run whose configuration is reused.
            first_paths: the files that earlier runs of the sweep read, by option, if the same data were moved.

        Raises:
            ConfigError: the directory already holds a run, or another process works there.
            OSError: something cannot be written; the lock is released.
        """
        content = {
            "status": RUNNING,
            "command": command,
            "folder": str(Path.cwd()),
            "overrides": overrides,
            **({"rerun_of": str(rerun_of)} if rerun_of else {}),
            **({"first_paths": dict(first_paths)} if first_paths else {}),
            "seed": config.seed,
            "started": _now(),
            "versions": package_versions(),
            "sources": git_state(),
            "program": program_version(),
            **({PLUGINS: plugins} if (plugins := plugin_entries()) else {}),
        }
        directory.mkdir(parents=True, exist_ok=True)
        lock = lock_directory(directory)
        with _released_after_errors(lock):
            if (directory / RECORD_FILE).exists() or (directory / METRICS_LOG_FILE).is_file():
                raise ConfigError(f"{directory}: holds a run already; name another folder, or delete that one")
            _write_config(directory, config)
            try:
                _write_json(directory / RECORD_FILE, content)
            except OSError:  # without a record the configuration would be taken for a file of somebody else
                (directory / CONFIG_FILE).unlink(missing_ok=True)
                raise
            atomic_write.sync_folder(directory, above=2)  # outputs/<date>/<time>
        return cls(directory, content, lock)

    @classmethod
    def resume(cls, directory: Path, command: str) -> Self:
        """Open the record of a run that was interrupted, or that is trained for more epochs.

        Args:
            directory: directory of the run.
            command: the command line that resumes it.

        Raises:
            ConfigError: another process works there, or the record cannot be read.
            OSError: the lock file cannot be written.
        """
        lock = lock_directory(directory)
        with _released_after_errors(lock):
            earlier = read_record(directory)
            resumed = {
                "command": command,
                "at": _now(),
                "versions": package_versions(),
                "sources": git_state(),
                "program": program_version(),
                **_plugins_now(directory),
                "before": {key: earlier[key] for key in ("threads", "device") if key in earlier},
            }
            of_the_end = ("ended", "error", "exit_code", "stopped_early")
            content = {key: value for key, value in earlier.items() if key not in of_the_end}
            content |= {"status": RUNNING, "resumed": [*earlier.get("resumed", []), resumed]}
        return cls(directory, content, lock)

    @property
    def is_resumed(self) -> bool:
        """Whether the run continues an earlier one."""
        return "resumed" in self._content

    @property
    def threads(self) -> int | None:
        """The number of threads of torch that a resumed run started with: another number changes the rounding."""
        threads = self._content.get("threads")
        return threads if self.is_resumed and type(threads) is int and 0 < threads <= MAX_THREADS else None

    @property
    def command(self) -> str:
        """The command line that started the run."""
        return str(self._content["command"])

    @property
    def overrides(self) -> str:
        """The overrides of this run, as a user types them."""
        return " ".join(self._content["overrides"])

    def __enter__(self) -> Self:
        """Write the record; if that fails, an earlier one is unchanged, and the lock is released."""
        with _released_after_errors(self._lock):
            self.add()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        try:
            end = {"status": FINISHED, "exit_code": 0} if error is None else _failure(error)
            self.add(**end, ended=_now(), wall_s=self._wall_seconds())
        except OSError:
            if error is None:
                raise
            log.exception("the end of the run could not be written")
        finally:
            self._lock.release()

    def add(self, **entries: object) -> None:
        """Add entries to ``run.json``."""
        self._content |= entries
        _write_json(self.directory / RECORD_FILE, self._content)

    def add_epoch(self, number: int, metrics: Mapping[str, float]) -> None:
        """Append the metrics of an epoch to ``metrics.jsonl``."""
        atomic_write.append(self.directory / METRICS_LOG_FILE, _encode_line({"epoch": number, **metrics}))

    def sync(self) -> None:
        """Force ``metrics.jsonl`` to the disk."""
        atomic_write.sync(self.directory / METRICS_LOG_FILE)

    def rewind(self, epoch: int, config: Config) -> dict[str, float]:
        """Remove what was written about later epochs, which will be trained again; returns the metrics of ``epoch``.

        Args:
            epoch: last finished epoch of the checkpoint from which the run resumes.
            config: configuration of the resumed run, which replaces the stored one.

        Raises:
            ConfigError: the metrics of an earlier epoch are missing.
        """
        kept = read_first_epochs(self.directory, epoch)
        atomic_write.replace(self.directory / METRICS_LOG_FILE, b"".join(map(_encode_line, kept)))
        self._record_moved_files(config)
        _write_config(self.directory, config)
        return {key: value for key, value in kept[-1].items() if key != "epoch"} if kept else {}

    def _record_moved_files(self, config: Config) -> None:
        """Record where the data were, if the run resumes with other names of files."""
        before = flatten(read_config_values(self.directory / CONFIG_FILE))
        now = flatten(with_absolute_paths(config).to_dict())
        moved = {key: before[key] for key in all_path_options() if key in now and before.get(key, now[key]) != now[key]}
        moved = {key: path for key, path in moved.items() if not is_among(key, EXECUTION_OPTIONS)}
        if moved:
            self._content["resumed"][-1]["before"] |= moved
            self.add(first_paths={**moved, **self._content.get("first_paths", {})})

    def write_final_metrics(self, metrics: Mapping[str, float]) -> None:
        """Write ``metrics.json``, with the wall time of all processes that trained this run."""
        final = _null_for_nan({**metrics, "wall_s": self._wall_seconds()})
        _write_json(self.directory / METRICS_FILE, final)

    def _wall_seconds(self) -> float:
        return self._earlier_seconds + time.perf_counter() - self._started


@contextmanager
def _released_after_errors(lock: BaseFileLock) -> Iterator[None]:
    try:
        yield
    except BaseException:
        lock.release()
        raise


def close_unfinished(directory: Path, error: BaseException) -> None:
    """Record what ended a run whose own process could not, because it was killed."""
    with suppress(ConfigError), lock_directory(directory):  # a process that holds the lock still works on the run
        run = read_record(directory)
        if run["status"] == RUNNING:
            _write_json(directory / RECORD_FILE, run | _failure(error) | {"ended": _now()})
            line = f"[{_now()}] the run ended here: {type(error).__name__}: {error}\n"
            atomic_write.append(directory / LOG_FILE, line.encode())


def read_record(directory: Path) -> dict[str, Any]:
    """Read ``run.json``.

    Raises:
        ConfigError: it is missing, cannot be read, or is not the record of a run.
    """
    run = read_json(directory / RECORD_FILE, MAX_JSON_BYTES, finite=True)
    if (
        not isinstance(run, dict)
        or not run.keys() >= REQUIRED_KEYS
        or not all(isinstance(run.get(key, kind()), kind) for key, kind in RECORD_TYPES.items())
        or not all(isinstance(word, str) for word in run["overrides"])
    ):
        raise ConfigError(f"{directory / RECORD_FILE}: is not the record of a run")
    return run


def read_final_metrics(directory: Path) -> dict[str, float]:
    """Read ``metrics.json``; nan if a metric was not finite, empty if the file is missing.

    Raises:
        ConfigError: it cannot be read, or holds anything but numbers.
    """
    path = directory / METRICS_FILE
    if not path.is_file():
        return {}
    found = read_json(path, MAX_JSON_BYTES)
    try:
        kinds = {type(value) for value in found.values()} if isinstance(found, dict) else {object}
        if not kinds <= {int, float, type(None)}:
            raise ValueError("it holds something other than numbers")
        return {key: float(value) for key, value in _nan_for_null(found).items()}
    except (ValueError, OverflowError) as error:
        raise ConfigError(f"{path}: cannot be read ({first_line(error)})") from None


def read_epochs(directory: Path) -> Iterator[dict[str, float]]:
    """Read ``metrics.jsonl``: yield the metrics of each epoch, with its number under ``epoch``; nan if not finite.

    Reading stops at the first line that is torn, too long, or holds anything but numbers. A warning says so, once in a
    process, unless only the last line is torn: a run that is killed leaves it, or writes it at this moment.
    """
    path = directory / METRICS_LOG_FILE
    if not path.is_file():
        return
    with path.open("rb") as file:
        for number in count(1):
            line = file.readline(MAX_LINE_BYTES + 1)
            found: Any = None
            if len(line) <= MAX_LINE_BYTES:
                with suppress(ValueError, RecursionError):
                    found = json.loads(line.decode("utf-8", "replace"))
            if not _is_epoch(found):
                if line.endswith(b"\n") or len(line) > MAX_LINE_BYTES:
                    rest = line + file.read(MAX_COUNTED_BYTES)
                    unread = rest.count(b"\n") + (not rest.endswith(b"\n"))
                    _warn_of_unread_lines(path, number, unread, bool(file.read(1)))
                return
            yield _nan_for_null(found)


def read_first_epochs(directory: Path, number: int) -> list[dict[str, float]]:
    """Read the metrics of the first epochs of a run, without which it cannot resume after them.

    Raises:
        ConfigError: they are not all there, or cannot be read.
    """
    path, remedy = directory / METRICS_LOG_FILE, f"start over with rerun={quote_word(show_path(directory))}"
    try:
        found = [*islice(read_epochs(directory), number)]
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); {remedy}") from None
    if [line["epoch"] for line in found] != [*range(1, number + 1)]:
        lines = f"the lines of the first {count_words(number, 'epoch')} are not all there"
        raise ConfigError(f"{path}: {lines if path.exists() else 'is missing'}; {remedy}")
    return found


@cache
def _warn_of_unread_lines(path: Path, first: int, unread: int, is_more: bool) -> None:
    more = "or more " if is_more else ""
    log.warning(
        "%s: line %d is not the metrics of an epoch; %s %sfrom there on %s not read",
        *(show_path(path), first, count_words(unread, "line"), more, "is" if unread == 1 and not is_more else "are"),
    )


def _is_epoch(found: object) -> bool:
    """Whether a parsed line has the number of an epoch, and numbers that a float can hold."""
    if not isinstance(found, dict) or type(found.get("epoch")) is not int or abs(found["epoch"]) > MAX_EPOCH:
        return False
    # a whole number in a file may have any number of digits
    return all(
        value is None or isinstance(value, float) or (isinstance(value, int) and abs(value) <= sys.float_info.max)
        for value in found.values()
    )


def _null_for_nan(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The metrics as JSON allows them: None for every number that is not finite."""
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in metrics.items()}


def _nan_for_null(found: Mapping[str, Any]) -> dict[str, Any]:
    """The metrics read back from JSON: nan for every None."""
    return {key: math.nan if value is None else value for key, value in found.items()}


def _encode_line(metrics: Mapping[str, float]) -> bytes:
    return f"{json.dumps(_null_for_nan(metrics))}\n".encode()


def _failure(error: BaseException) -> dict[str, object]:
    status = INTERRUPTED if isinstance(error, KeyboardInterrupt) else FAILED
    return {"status": status, "error": f"{type(error).__name__}: {error}", "exit_code": exit_code(error)}


def _plugins_now(directory: Path) -> dict[str, Any]:
    """The plugins with which a run resumes, and the names of those that have changed since it was made."""
    if not (now := plugin_entries()):
        return {}
    changed = changed_plugins(read_config_values(directory / CONFIG_FILE).get(PLUGINS, []))
    return {PLUGINS: now, **({"changed_plugins": changed} if changed else {})}


def _write_config(directory: Path, config: Config) -> None:
    content = OmegaConf.to_yaml(OmegaConf.create(with_absolute_paths(config).to_dict()))
    atomic_write.replace(directory / CONFIG_FILE, content.encode())


def _write_json(path: Path, content: object) -> None:
    atomic_write.replace(path, (json.dumps(content, indent=2) + "\n").encode())


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
