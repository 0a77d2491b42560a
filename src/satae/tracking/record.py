"""The run directory: what was run, on what, and what came of it."""

from __future__ import annotations

import functools
import json
import math
import platform
import shlex
import subprocess
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from omegaconf import OmegaConf

from satae.config import Config

PACKAGES: Final = ("satae", "torch", "hydra-core", "omegaconf", "tensorboard", "numpy", "scikit-learn")
CONFIG, RUN, HISTORY, METRICS = "config.yaml", "run.json", "metrics.jsonl", "metrics.json"


class Record:
    """Writes a run directory.

    config.yaml      every choice, as plain data
    run.json         command, folder, versions, state of the sources, data, threads, device, times, status, exit code
    metrics.jsonl    one line an epoch
    metrics.json     the last epoch's measures, the speed and the wall time
    """

    def __init__(
        self,
        directory: Path,
        config: Config,
        command: str,
        overrides: list[str],
        exit_codes: Mapping[type[BaseException], int],
    ) -> None:
        """Begin it, which no two runs can in one directory.

        Args:
            directory: of the run.
            config: what is run.
            command: as it can be typed again.
            overrides: of this run, where the command makes several.
            exit_codes: of the errors that may end the run; 1 for all others.
        """
        self.directory, self.command, self.overrides = directory, command, overrides
        self._exit_codes = exit_codes
        self._started = time.perf_counter()
        self._run: dict[str, Any] = {
            "status": "running",
            "command": command,
            "folder": str(Path.cwd()),
            "overrides": overrides,
            "seed": config.seed,
            "started": _now(),
            "versions": _versions(),
            "sources": _git_state(),
        }
        directory.mkdir(parents=True, exist_ok=True)
        with (directory / RUN).open("x", encoding="utf-8") as file:  # of two runs with one directory the second fails
            json.dump(self._run, file)
        (directory / CONFIG).write_text(OmegaConf.to_yaml(OmegaConf.structured(config)), encoding="utf-8")

    @property
    def name(self) -> str:
        """What tells the run from the others of its sweep: the overrides that were not typed as they are."""
        typed = shlex.split(self.command)
        return " ".join(override for override in self.overrides if override not in typed)

    def __enter__(self) -> Self:
        self.note()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if kind is None:
            self.note(status="finished", exit_code=0, ended=_now())
        else:
            self.note(**_failure(kind, error), exit_code=self._exit_codes.get(kind, 1))  # of these kinds exactly

    def note(self, **facts: object) -> None:
        """Add facts about the run."""
        self._run |= facts
        _write_json(self.directory / RUN, self._run)

    def epoch(self, number: int, metrics: Mapping[str, float]) -> None:
        """Add a line to the history."""
        with (self.directory / HISTORY).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"epoch": number, **plain(metrics)}) + "\n")

    def finish(self, metrics: Mapping[str, float]) -> None:
        """Write the final metrics, with the wall time."""
        _write_json(self.directory / METRICS, plain({**metrics, "wall_s": time.perf_counter() - self._started}))


def close_unended(directory: Path, error: BaseException, exit_code: int) -> None:
    """Write down what ended a run whose process was ended before it could."""
    run = read(directory)
    if run["status"] == "running":
        _write_json(directory / RUN, run | _failure(type(error), error) | {"exit_code": exit_code})


def read(directory: Path) -> dict[str, Any]:
    """What is known of a run."""
    run: dict[str, Any] = json.loads((directory / RUN).read_text("utf-8"))
    return run


def _failure(kind: type[BaseException], error: BaseException | None) -> dict[str, str]:
    status = "interrupted" if kind is KeyboardInterrupt else "failed"
    return {"status": status, "ended": _now(), "error": f"{kind.__name__}: {error}"}


def plain(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The metrics as JSON allows them: null for numbers that are not finite."""
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in metrics.items()}


def _write_json(path: Path, content: object) -> None:
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    partial.replace(path)


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
