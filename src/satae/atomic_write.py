"""Files that are whole at every moment."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

PARTIAL: Final = ".partial"


def replace(path: Path, content: bytes) -> None:
    """Write a file; one that was there stays as it is until the new one is whole and on the disk.

    Raises:
        OSError: it cannot be written, with its name; what was there is left.
    """
    partial = path.with_name(f".{path.name}{PARTIAL}")
    try:
        with named(path):
            partial.unlink(missing_ok=True)  # of a process that was killed
            with partial.open("xb") as file:  # which follows no link
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
            _sync_names(path.parent)
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def append(path: Path, content: bytes) -> None:
    """Add to a file.

    Raises:
        OSError: it cannot be written, with its name.
    """
    with named(path), path.open("ab") as file:
        file.write(content)


def sync(path: Path) -> None:
    """Have what was added to a file reach the disk.

    Raises:
        OSError: it does not, with the file's name.
    """
    with named(path):
        with path.open("ab") as file:
            os.fsync(file.fileno())
        _sync_names(path.parent)


def keep(path: Path, place: Path) -> None:
    """Give a file that is whole its name, once it is on the disk.

    Raises:
        OSError: it does not reach the disk, with the name.
    """
    with named(place):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
        path.replace(place)
        _sync_names(place.parent)


def make_folder(path: Path) -> None:
    """Make a folder, unless it is there.

    Raises:
        OSError: it cannot be made.
    """
    if not path.is_dir():
        path.mkdir()
        _sync_names(path.parent)


def sync_folder(path: Path, above: int) -> None:
    """Have the name of a folder reach the disk, and those of some above it, which may be as new.

    Args:
        path: of the folder.
        above: how many of them.

    Raises:
        OSError: they do not.
    """
    for folder in [*path.absolute().parents][: above + 1]:
        with suppress(PermissionError):  # one that may not be looked into is not ours, nor new
            _sync_names(folder)


@contextmanager
def named(path: Path) -> Iterator[None]:
    """Name a file in what goes wrong with it: writing tells only that the disk is full."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error


def _sync_names(folder: Path) -> None:
    """Have the names of a folder's files reach the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some file systems have no such thing
            raise
    finally:
        os.close(handle)
