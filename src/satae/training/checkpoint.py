"""Checkpoints: all that a run needs to resume, in files that are replaced as a whole and hold numbers and text alone.

``CheckpointManager`` decides when one is saved, keeps the newest few, and keeps the best weights.

Each is a safetensors file: named tensors, and JSON in its metadata, with a SHA-256 of both. No pickle is read or
written, so a file from a stranger cannot run code.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import math
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as safetensors_bytes
from torch import Tensor

from satae import atomic_write
from satae.config.schema import Checkpoints
from satae.messages import brief, brief_line, is_utf8, one_line
from satae.training import AVERAGE, CHECKPOINTS_FOLDER, OLD_CHECKPOINT
from satae.training.machine import memory

FORMAT: Final = 2
SHA256_DIGITS: Final = 64
SUFFIX: Final = ".safetensors"
TIME_SHARE: Final = 0.02  # share of the time of a run: timed checkpoints take at most this

log = logging.getLogger(__name__)


class UnreadableCheckpoint(ValueError):
    """The file is not a checkpoint of this program."""


class DamagedCheckpoint(UnreadableCheckpoint):
    """The file's content is provably not what was written."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{one_line(path)}: not a checkpoint that can be read ({reason})")


class State(NamedTuple):
    """The content of a checkpoint."""

    facts: dict[str, Any]  # plain data, as JSON has it
    tensors: dict[str, Tensor]  # by name, on the CPU

    @property
    def step(self) -> int:
        """The number of optimizer steps that were taken.

        Raises:
            ValueError: the checkpoint has no valid step.
        """
        step = self.facts.get("step")
        if type(step) is not int or not 0 <= step < 2**62:
            raise ValueError(f"its step is {brief(step)}")
        return step

    @property
    def best(self) -> float | None:
        """The lowest validation loss so far.

        Raises:
            ValueError: it is not a finite number.
        """
        best = self.facts.get("best")
        if best is not None and not (type(best) is float and math.isfinite(best)):
            raise ValueError(f"its best loss is {brief(best)}")
        return best

    @property
    def waited(self) -> int:
        """The number of epochs with the full alpha since the one with the lowest validation loss.

        Raises:
            ValueError: it is not a number of epochs.
        """
        waited = self.facts.get("waited", 0)  # earlier versions did not count
        if type(waited) is not int or waited < 0:
            raise ValueError(f"the epochs since its best loss are {brief(waited)}")
        return waited

    def averaged(self) -> State:
        """This state with the averaged weights as the model.

        Raises:
            ValueError: it has none.
        """
        if not (average := self.part(AVERAGE)):
            raise ValueError("has no averaged weights: it was trained without ema=")
        others = {name: x for name, x in self.tensors.items() if not name.startswith(f"{AVERAGE}/")}
        return self._replace(tensors=others).with_part("model", average)

    @property
    def is_finite(self) -> bool:
        """Whether all its numbers are finite."""
        return all(bool(x.isfinite().all()) for x in self.tensors.values() if x.is_floating_point())

    def part(self, name: str) -> dict[str, Tensor]:
        """The tensors whose names start with ``<name>/``, without this prefix."""
        return {key.removeprefix(f"{name}/"): x for key, x in self.tensors.items() if key.startswith(f"{name}/")}

    def with_part(self, name: str, tensors: Mapping[str, Tensor]) -> State:
        """A state with more tensors, which :meth:`part` returns."""
        return self._replace(tensors={**self.tensors, **{f"{name}/{key}": x for key, x in tensors.items()}})

    def with_facts(self, **facts: Any) -> State:
        """A state with more facts."""
        return self._replace(facts=self.facts | facts)

    def copy_tensors(self) -> State:
        """A state that does not change when the model and the optimizer do."""
        return self._replace(tensors={name: x.detach().clone() for name, x in self.tensors.items()})


def save(path: Path, state: State) -> None:
    """Write a state; an existing file stays whole until the new one is complete, whatever happens meanwhile.

    Raises:
        OSError: it cannot be written; an existing file is untouched.
    """
    atomic_write.make_folder(path.parent)
    tensors = {name: x.detach().cpu().contiguous().clone() for name, x in state.tensors.items()}
    facts = json.dumps(state.facts)
    metadata = {"format": str(FORMAT), "facts": facts, "sha256": _digest(facts, tensors)}
    atomic_write.replace(path, safetensors_bytes(tensors, metadata))


def load(path: Path) -> State:
    """Read a state, whole or not at all.

    Raises:
        FileNotFoundError: the file does not exist.
        OSError: the system refuses to read it; the error names the file.
        DamagedCheckpoint: it is not a checkpoint, or not what was written.
        ValueError: it has another format.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{one_line(path)}: no such checkpoint; name a run directory that satae-train has made")
    if (size := path.stat().st_size) > memory():
        reason = f"of {size / 1e9:,.0f} GB, which is more than the memory of this machine"
        raise UnreadableCheckpoint(f"{one_line(path)}: not a checkpoint that can be read ({reason})")
    with atomic_write.name_file_in_errors(path), path.open("rb") as probe:
        probe.read(1)  # safetensors does not say why it cannot read
    if not is_utf8(path):
        raise UnreadableCheckpoint(f"{one_line(path)}: this name is not UTF-8; rename it")
    try:
        with safe_open(path, "pt") as file:  # it checks that the file is as long as its header says
            metadata = file.metadata() or {}
            facts = _read_facts(path, metadata)
            tensors = {name: file.get_tensor(name) for name in [*file.keys()]}
    except FileNotFoundError as error:  # also raised where no more files can be opened
        if os.path.lexists(path):
            raise OSError(errno.EIO, "cannot be opened", str(path)) from error
        raise
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
    except (MemoryError, UnreadableCheckpoint):
        raise
    except SafetensorError as error:
        raise DamagedCheckpoint(path, brief_line(error)) from None
    except Exception as error:  # safetensors and torch raise many kinds, and not every one is the file's fault
        raise ValueError(f"{one_line(path)}: cannot be read ({brief_line(error)})") from None
    if _digest(metadata["facts"], tensors) != metadata["sha256"]:
        raise DamagedCheckpoint(path, "it is damaged: its SHA-256 does not match")
    return State(facts, tensors)


def _read_facts(path: Path, metadata: Mapping[str, str]) -> dict[str, Any]:
    """The facts in a checkpoint's header; they are checked before any tensor is read."""
    if (found := metadata.get("format")) != str(FORMAT):
        raise UnreadableCheckpoint(
            f"{one_line(path)}: a checkpoint of format {brief(found)}; this version of satae reads format {FORMAT}"
        )
    if len(metadata.get("sha256", "")) != SHA256_DIGITS:
        raise DamagedCheckpoint(path, "it has no SHA-256")
    try:
        facts = json.loads(metadata.get("facts", ""))
    except (ValueError, RecursionError):
        facts = None
    if not isinstance(facts, dict):
        raise DamagedCheckpoint(path, "it has no facts")
    return facts


def is_damaged(path: Path) -> bool:
    """Whether a file is provably damaged: a file of another format, or one that the system refuses to read, is not."""
    try:
        load(path)
    except DamagedCheckpoint:
        return True
    except (OSError, ValueError, MemoryError):
        pass
    return False


def sha256_of(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of the names, types, shapes and contents of tensors on the CPU."""
    return _digest("", tensors)


def _digest(facts: str, tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of the facts, and of the names, types, shapes and contents of the tensors."""
    total = hashlib.sha256(facts.encode())
    for name, x in sorted(tensors.items()):
        total.update(f"\0{name}\0{x.dtype}\0{tuple(x.shape)}\0".encode())
        total.update(x.reshape(-1).view(torch.uint8).numpy().data)  # the bytes in memory
    return total.hexdigest()


def checkpoint_path(run: Path, step: int) -> Path:
    """The file of the checkpoint of one step of a run."""
    return run / CHECKPOINTS_FOLDER / f"step-{step:09}{SUFFIX}"


def best_path(run: Path) -> Path:
    """The file of the best weights of a run."""
    return run / CHECKPOINTS_FOLDER / f"best{SUFFIX}"


def list_checkpoints(run: Path) -> list[tuple[int, Path]]:
    """The step and the file of each checkpoint of a run, newest first."""
    found = []
    for path in (run / CHECKPOINTS_FOLDER).glob(f"step-*{SUFFIX}"):
        digits = path.name.removeprefix("step-").removesuffix(SUFFIX)
        if digits.isascii() and digits.isdecimal() and len(digits) < 20:
            found.append((int(digits), path))
    return sorted(found, reverse=True)


def latest_checkpoint(run: Path, warn: Callable[[str], object] = log.warning) -> State | None:
    """The newest checkpoint of a run that is a whole one of its step; None if the run has none yet.

    Args:
        run: its directory.
        warn: called with one line for each checkpoint that is skipped.

    Raises:
        OSError: the system refuses to read the newest one, which may be whole.
        ValueError: the newest has another format; or all are damaged, no files, or named for another step.
    """
    skipped = []
    for step, path in list_checkpoints(run):
        try:
            state = load(path)
        except FileNotFoundError:
            if os.path.lexists(path):  # else it was removed meanwhile
                skipped.append(f"{one_line(path)}: is not a file")
            continue
        except DamagedCheckpoint as error:
            skipped.append(str(error))
            continue
        if state.facts.get("step") != step:
            skipped.append(f"{one_line(path)}: says that it belongs to step {brief(state.facts.get('step'))}")
            continue
        for reason in skipped:
            warn(f"{reason}; using {path.name}")
        return state
    if skipped:
        raise ValueError(skipped[0])
    if (run / OLD_CHECKPOINT).is_file():
        raise ValueError(
            f"{one_line(run / OLD_CHECKPOINT)}: a checkpoint of format 1; this version of satae reads format {FORMAT}"
        )
    return None


class CheckpointManager:
    """Saves checkpoints on schedule, deletes old ones, and keeps the weights with the lowest validation loss.

    The best weights are written together with the next checkpoint, so the two always come from the same training.
    """

    def __init__(self, run: Path, schedule: Checkpoints, best: float | None = None, waited: int = 0) -> None:
        """Set the schedule, and remove files that a killed process left half written.

        Args:
            run: the directory of the run.
            schedule: steps, epochs and minutes between checkpoints; more minutes if saving would take longer than
                ``TIME_SHARE`` of the run.
            best: the lowest loss so far, of a run that resumes.
            waited: the number of losses since then.
        """
        self.run, self.schedule, self.best, self.waited = run, schedule, best, waited
        self._due_at = self._next_due(cost=0.0)
        self._unwritten_best: State | None = None
        for partial_file in (run / CHECKPOINTS_FOLDER).glob(f".*{atomic_write.PARTIAL_SUFFIX}"):
            partial_file.unlink()

    def should_save(self, step: int, finished_epoch: int | None = None) -> bool:
        """Whether a checkpoint is due after ``step``: by steps, by epochs if one has just finished, or by time."""
        steps, epochs = self.schedule.every_steps, self.schedule.every_epochs
        by_step = bool(steps and step % steps == 0)
        by_epoch = bool(epochs and finished_epoch is not None and finished_epoch % epochs == 0)
        return by_step or by_epoch or time.perf_counter() >= self._due_at

    def offer_best(self, loss: float, weights: Callable[[], State]) -> None:
        """Remember a copy of the weights if ``loss`` is the lowest so far; else count it."""
        self.waited += 1
        if self.best is None or loss < self.best:
            self.waited, self.best, self._unwritten_best = 0, loss, weights().copy_tensors()

    def save(self, step: int, state: State) -> None:
        """Write the best weights (if new) and a checkpoint, then delete the checkpoints beyond ``keep``.

        Raises:
            OSError: a file cannot be written; existing checkpoints are untouched.
        """
        started = time.perf_counter()
        if self._unwritten_best is not None:
            save(best_path(self.run), self._unwritten_best)
            self._unwritten_best = None
        save(checkpoint_path(self.run, step), state.with_facts(best=self.best, waited=self.waited))
        found = [(at, path) for at, path in list_checkpoints(self.run) if path.is_file()]
        later = [path for at, path in found if at > step]  # skipped as damaged when the run resumed
        damaged = [path for path in later if is_damaged(path)]
        for path in damaged + [path for _, path in found[len(later) + self.schedule.keep :]]:
            path.unlink()
        self._due_at = self._next_due(cost=time.perf_counter() - started)

    def _next_due(self, cost: float) -> float:
        """The time of the next timed checkpoint, if the last one took ``cost`` seconds."""
        minutes = self.schedule.every_minutes
        return time.perf_counter() + max(60 * (math.inf if minutes is None else minutes), cost / TIME_SHARE)
