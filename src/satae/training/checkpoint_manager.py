"""Finds the checkpoints of a run, decides when to save one, keeps the newest few, and keeps the best weights."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from satae.atomic_write import PARTIAL_SUFFIX
from satae.printable import brief
from satae.training import CHECKPOINTS, OLD_CHECKPOINT, checkpoint
from satae.training.checkpoint import FORMAT, DamagedCheckpoint, State

SUFFIX: Final = ".safetensors"
TIME_SHARE: Final = 0.02  # of the time of a run: timed checkpoints take at most this

log = logging.getLogger(__name__)


def checkpoint_path(run: Path, step: int) -> Path:
    """The file of the checkpoint of one step of a run."""
    return run / CHECKPOINTS / f"step-{step:09}{SUFFIX}"


def best_path(run: Path) -> Path:
    """The file of the best weights of a run."""
    return run / CHECKPOINTS / f"best{SUFFIX}"


def list_checkpoints(run: Path) -> list[tuple[int, Path]]:
    """The step and the file of each checkpoint of a run, newest first."""
    found = []
    for path in (run / CHECKPOINTS).glob(f"step-*{SUFFIX}"):
        digits = path.name.removeprefix("step-").removesuffix(SUFFIX)
        if digits.isascii() and digits.isdecimal() and len(digits) < 20:
            found.append((int(digits), path))
    return sorted(found, reverse=True)


def latest_checkpoint(run: Path, warn: Callable[[str], object] = log.warning) -> State | None:
    """The newest checkpoint of a run that is not damaged; None if the run has none yet.

    Args:
        run: its directory.
        warn: called with one line for each damaged checkpoint.

    Raises:
        OSError: the system refuses to read the newest one, which may be whole.
        ValueError: the newest has another format, or another step than its name says; or all are damaged.
    """
    damaged = []
    for step, path in list_checkpoints(run):
        try:
            state = checkpoint.load(path)
        except FileNotFoundError:  # removed meanwhile
            continue
        except DamagedCheckpoint as error:
            damaged.append(str(error))
            continue
        if state.facts.get("step") != step:
            raise ValueError(f"{path}: says that it is of step {brief(state.facts.get('step'))}")
        for reason in damaged:
            warn(f"{reason}; resuming from {path.name}")
        return state
    if damaged:
        raise ValueError(damaged[0])
    if (run / OLD_CHECKPOINT).is_file():
        raise ValueError(
            f"{run / OLD_CHECKPOINT}: a checkpoint of format 1; this version of satae reads format {FORMAT}"
        )
    return None


class CheckpointManager:
    """Saves checkpoints on schedule, deletes old ones, and keeps the weights with the lowest validation loss.

    The best weights are written together with the next checkpoint, so the two always come from the same training.
    """

    def __init__(
        self,
        run: Path,
        *,
        every_minutes: float | None,
        every_epochs: int | None,
        every_steps: int | None,
        keep: int,
        best: float | None = None,
    ) -> None:
        """Set the schedule, and remove files that a killed process left half written.

        Args:
            run: the directory of the run.
            every_minutes: minutes between checkpoints; more if they would take longer than ``TIME_SHARE`` of the run.
            every_epochs: epochs between checkpoints.
            every_steps: steps between checkpoints.
            keep: number of checkpoints that stay.
            best: the lowest loss so far, of a run that resumes.
        """
        self.run, self.keep, self.best = run, keep, best
        self.every_minutes, self.every_epochs, self.every_steps = every_minutes, every_epochs, every_steps
        self._due_at = self._next_due(cost=0.0)
        self._unwritten_best: State | None = None
        for partial_file in (run / CHECKPOINTS).glob(f".*{PARTIAL_SUFFIX}"):
            partial_file.unlink()

    def should_save(self, step: int, finished_epoch: int | None = None) -> bool:
        """Whether a checkpoint is due after ``step``: by steps, by epochs if one has just finished, or by time."""
        by_step = bool(self.every_steps and step % self.every_steps == 0)
        by_epoch = bool(self.every_epochs and finished_epoch is not None and finished_epoch % self.every_epochs == 0)
        return by_step or by_epoch or time.perf_counter() >= self._due_at

    def offer_best(self, loss: float, weights: Callable[[], State]) -> None:
        """Remember a copy of the weights if ``loss`` is the lowest so far."""
        if self.best is None or loss < self.best:
            self.best, self._unwritten_best = loss, weights().copy_tensors()

    def save(self, step: int, state: State) -> None:
        """Write the best weights (if new) and a checkpoint, then delete the checkpoints beyond ``keep``.

        Raises:
            OSError: a file cannot be written; existing checkpoints are untouched.
        """
        started = time.perf_counter()
        if self._unwritten_best is not None:
            checkpoint.save(best_path(self.run), self._unwritten_best)
            self._unwritten_best = None
        checkpoint.save(checkpoint_path(self.run, step), state.with_facts(best=self.best))
        found = list_checkpoints(self.run)
        later = [path for at, path in found if at > step]  # skipped as damaged when the run resumed
        damaged = [path for path in later if checkpoint.is_damaged(path)]
        for path in damaged + [path for _, path in found[len(later) + self.keep :]]:
            path.unlink()
        self._due_at = self._next_due(cost=time.perf_counter() - started)

    def _next_due(self, cost: float) -> float:
        """The time of the next timed checkpoint, if the last one took ``cost`` seconds."""
        minutes = float("inf") if self.every_minutes is None else self.every_minutes
        return time.perf_counter() + max(60 * minutes, cost / TIME_SHARE)
