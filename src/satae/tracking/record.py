"""The run directory: what was run, on what, and what came of it."""

from __future__ import annotations

import json
import math
import platform
import shlex
import subprocess
import sys
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
    run.json         command, folder, versions, state of the sources, data, threads, device, times, status
    metrics.jsonl    one line an epoch
    metrics.json     the last epoch's measures, the speed and the wall time
    """

    def __init__(self, directory: Path, config: Config, overrides: list[str]) -> None:
        self.directory = directory
        self.command = shlex.join(["satae-train", *sys.argv[1:]])
        self._started = time.perf_counter()
        self._run: dict[str, Any] = {
            "status": "running",
            "command": self.command,
            "folder": str(Path.cwd()),
            "overrides": overrides,
            "seed": config.seed,
            "started": _now(),
            "versions": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
            "sources": _git_state(),
        }
        directory.mkdir(parents=True, exist_ok=True)
        (directory / RUN).touch(exist_ok=False)  # of two runs that name one directory, the second fails here
        (directory / CONFIG).write_text(OmegaConf.to_yaml(OmegaConf.structured(config)), encoding="utf-8")

    def __enter__(self) -> Self:
        self.note()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        status = "finished" if kind is None else "interrupted" if kind is KeyboardInterrupt else "failed"
        self.note(status=status, ended=_now(), **({"error": f"{kind.__name__}: {error}"} if kind else {}))

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


def plain(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The metrics as JSON allows them: null for numbers that are not finite."""
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in metrics.items()}


def _write_json(path: Path, content: object) -> None:
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    partial.replace(path)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


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
