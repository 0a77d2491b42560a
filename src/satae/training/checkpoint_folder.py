"""The checkpoints of a run: where they are, and which is the newest that can be gone on from."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final

from satae.printable import brief
from satae.runs.layout import CHECKPOINTS, OLD_CHECKPOINT
from satae.training import checkpoint
from satae.training.checkpoint import FORMAT, Damaged, State

SUFFIX: Final = ".safetensors"

log = logging.getLogger(__name__)


def place(run: Path, step: int) -> Path:
    """Where the checkpoint of a step of a run is."""
    return run / CHECKPOINTS / f"step-{step:09}{SUFFIX}"


def best(run: Path) -> Path:
    """Where the best weights of a run are."""
    return run / CHECKPOINTS / f"best{SUFFIX}"


def newest_first(run: Path) -> list[tuple[int, Path]]:
    """The checkpoints of a run, after their steps."""
    there = [(_step_of(path), path) for path in (run / CHECKPOINTS).glob(f"step-*{SUFFIX}")]
    return sorted(((step, path) for step, path in there if step is not None), reverse=True)


def _step_of(path: Path) -> int | None:
    """The step of a checkpoint, by its name; None where it has none."""
    digits = path.name.removeprefix("step-").removesuffix(SUFFIX)
    return int(digits) if digits.isascii() and digits.isdecimal() and len(digits) < 20 else None


def latest(run: Path, tell: Callable[[str], object] = log.warning) -> State | None:
    """The newest checkpoint of a run that is not damaged; None where it has none yet.

    Args:
        run: its directory.
        tell: called with a line for each that is damaged.

    Raises:
        OSError: the system does not let the newest be read; it may be whole.
        ValueError: it is of another format, or of another step than its name says, or all that are there are damaged.
    """
    reasons = []
    for step, path in newest_first(run):
        try:
            state = checkpoint.load(path)
        except FileNotFoundError:  # removed meanwhile
            continue
        except Damaged as error:
            reasons += [str(error)]
            continue
        if state.facts.get("step") != step:
            raise ValueError(f"{path}: says that it is of step {brief(state.facts.get('step'))}")
        for reason in reasons:
            tell(f"{reason}; going on from {path.name}")
        return state
    if reasons:
        raise ValueError(reasons[0])
    if (run / OLD_CHECKPOINT).is_file():
        raise ValueError(
            f"{run / OLD_CHECKPOINT}: a checkpoint of format 1; this version of satae reads format {FORMAT}"
        )
    return None
