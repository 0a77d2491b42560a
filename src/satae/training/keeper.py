"""When checkpoints are written, and which are kept."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from satae.atomic_write import PARTIAL_SUFFIX
from satae.runs.layout import CHECKPOINTS
from satae.training import checkpoint, checkpoint_folder
from satae.training.checkpoint import State

SHARE: Final = 0.02  # of the time of a run, at most, goes into checkpoints by time


class Keeper:
    """Keeps the last few checkpoints of a run, and the best weights.

    The best are those of the epoch with the lowest loss; they are written with the next checkpoint, so that both are
    always of one course of training.
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
        """Begin.

        Args:
            run: its directory.
            every_minutes: after so many, or later where checkpoints would take more than ``SHARE`` of the time.
            every_epochs: at the end of every so many.
            every_steps: after every so many.
            keep: how many of them.
            best: the lowest loss so far.
        """
        self.run, self.keep, self.best = run, keep, best
        self.every_minutes, self.every_epochs, self.every_steps = every_minutes, every_epochs, every_steps
        self._next = self._later(0.0)
        for torn in (run / CHECKPOINTS).glob(f".*{PARTIAL_SUFFIX}"):  # of a process that was killed
            torn.unlink()
        self._unwritten: State | None = None

    def due(self, step: int, epoch: int | None = None) -> bool:
        """Whether one is due after a step, with which an epoch has ended if its number is given."""
        by_step = bool(self.every_steps and step % self.every_steps == 0)
        by_epoch = bool(self.every_epochs and epoch is not None and epoch % self.every_epochs == 0)
        return by_step or by_epoch or time.perf_counter() >= self._next

    def consider(self, loss: float, weights: Callable[[], State]) -> None:
        """Take a copy of the weights of an epoch for the best, if they are."""
        if self.best is None or loss < self.best:
            self.best, self._unwritten = loss, weights().copied()

    def write(self, step: int, state: State) -> None:
        """Write a checkpoint, with the lowest loss so far, and the best weights before it; part with the oldest.

        Raises:
            OSError: it cannot be written; those that were there are left.
        """
        begun = time.perf_counter()
        if self._unwritten is not None:
            checkpoint.save(checkpoint_folder.best(self.run), self._unwritten)
            self._unwritten = None
        checkpoint.save(checkpoint_folder.place(self.run, step), state.with_facts(best=self.best))
        there = checkpoint_folder.newest_first(self.run)
        later = [path for at, path in there if at > step]  # passed over when the run went on
        damaged = [path for path in later if checkpoint.is_damaged(path)]
        for path in damaged + [path for _, path in there[len(later) + self.keep :]]:
            path.unlink()
        self._next = self._later(time.perf_counter() - begun)

    def _later(self, cost: float) -> float:
        """When the next one is due, for what the last one took."""
        minutes = float("inf") if self.every_minutes is None else self.every_minutes
        return time.perf_counter() + max(60 * minutes, cost / SHARE)
