"""One process at a time in a directory."""

from __future__ import annotations

from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout

from satae.config import ConfigError
from satae.runs.layout import LOCK


def locked(directory: Path) -> BaseFileLock:
    """The lock of the directory of a run or a sweep, which the system takes back from a process that dies.

    Raises:
        ConfigError: another process has it.
    """
    lock = FileLock(directory / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise ConfigError(f"{directory}: another process is at work here; wait for it, or end it") from None
    return lock
