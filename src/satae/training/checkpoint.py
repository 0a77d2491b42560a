"""Checkpoints: all of a run's state in one file, replaced as a whole."""

from __future__ import annotations

import os
import time
import zipfile
from pathlib import Path
from typing import Any, Final

import torch

FORMAT: Final = 1
NAME: Final = "checkpoint.pt"
SHARE: Final = 0.01  # of the time of a run, at most, goes into writing checkpoints


class Keeper:
    """Writes the checkpoints of a run, as often as costs little."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._next = time.perf_counter()

    def due(self) -> bool:
        """Whether the last one was long enough ago."""
        return time.perf_counter() >= self._next

    def keep(self, state: dict[str, Any]) -> None:
        """Write a state."""
        begun = time.perf_counter()
        save(self.path, state)
        ended = time.perf_counter()
        self._next = ended + (ended - begun) / SHARE


def save(path: Path, state: dict[str, Any]) -> None:
    """Write a state of tensors and plain data; a file that was there stays whole until the new one is."""
    partial = path.with_suffix(".partial")
    try:
        with partial.open("wb") as file:
            torch.save({"format": FORMAT, **state}, file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def load(path: Path, device: torch.device | str = "cpu") -> dict[str, Any]:
    """Read a state back; nothing in the file can run code.

    Raises:
        FileNotFoundError: there is none.
        ValueError: not a checkpoint of this program, or one of another format.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such checkpoint; name a run directory that satae-train has made")
    if not zipfile.is_zipfile(path):  # what torch wrote before version 1.6 was a pickle
        raise ValueError(f"{path}: not a checkpoint that can be read (no archive of tensors); train again")
    try:
        state = torch.load(path, map_location=device, weights_only=True)
    except Exception as error:  # torch raises nearly anything for a file that it did not write
        reason = str(error).partition("\n")[0]
        raise ValueError(f"{path}: not a checkpoint that can be read ({reason}); train again") from None
    found = state.get("format") if isinstance(state, dict) else None
    if found != FORMAT:
        raise ValueError(f"{path}: a checkpoint of format {found}; this version of satae reads format {FORMAT}")
    return dict(state)
