"""Files that are made once and kept: fetched archives, decoded images."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from satae.data.errors import reason

VARIABLE: Final = "SATAE_DATA_DIR"  # the variable that names where they are kept


def folder() -> Path:
    """Where they are kept: the user's cache, or the folder that ``SATAE_DATA_DIR`` names."""
    import pooch

    return located(os.environ.get(VARIABLE) or str(pooch.os_cache("satae")))


def located(name: str) -> Path:
    """The place of a name as a user types it, with ``~`` for the home folder."""
    return Path(os.path.expanduser(name)).absolute()


def once(file: Path, make: Callable[[Path], None]) -> Path:
    """Make a file, unless it is there; two processes make it once.

    Args:
        file: gets its name when it is made, so that what bears the name is whole.
        make: writes it to another place, of the same name.

    Returns:
        The file.

    Raises:
        ValueError: it cannot be written; or what ``make`` raises.
    """
    try:
        if file.exists():
            return file
        file.parent.mkdir(parents=True, exist_ok=True)
        with _alone(file):
            if not file.exists():
                _make(file, make)
    except OSError as error:
        where = f"{file}: cannot be written ({reason(error)})"
        raise ValueError(f"{where}; make room, or name another folder (see {VARIABLE})") from None
    return file


@contextmanager
def _alone(file: Path) -> Iterator[None]:
    """Wait until no other process makes a file."""
    from filelock import FileLock, Timeout

    lock = FileLock(file.parent / f".{file.name}.lock")
    try:
        lock.acquire(timeout=1)
    except Timeout:
        print(f"waiting for another process that makes {file}", file=sys.stderr, flush=True)  # noqa: T201
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _make(file: Path, make: Callable[[Path], None]) -> None:
    part = file.parent / f".{file.name}.part" / file.name
    shutil.rmtree(part.parent, ignore_errors=True)  # of a process that was killed
    part.parent.mkdir()
    try:
        make(part)
        part.replace(file)
    finally:
        shutil.rmtree(part.parent, ignore_errors=True)
