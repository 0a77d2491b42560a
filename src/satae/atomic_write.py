"""Writing files so that each is complete at every moment, even if the program is killed or the disk is full."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

PARTIAL_SUFFIX: Final = ".partial"


def replace(path: Path, content: bytes) -> None:
    """Write a file. An existing one stays unchanged until the new one is complete and on the disk.

    Raises:
        OSError: it cannot be written; the error names ``path``, and an existing file is unchanged.
    """
    partial = path.with_name(f".{path.name}{PARTIAL_SUFFIX}")
    try:
        with name_file_in_errors(path):
            partial.unlink(missing_ok=True)  # left by a process that was killed
            with partial.open("xb") as file:  # "x" follows no link
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
            _sync_names(path.parent)
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def append(path: Path, content: bytes) -> None:
    """Add to the end of a file.

    Raises:
        OSError: it cannot be written; the error names ``path``.
    """
    with name_file_in_errors(path), path.open("ab") as file:
        file.write(content)


def sync(path: Path) -> None:
    """Wait until everything that was appended to a file is on the disk.

    Raises:
        OSError: the disk failed; the error names ``path``.
    """
    with name_file_in_errors(path):
        with path.open("ab") as file:
            os.fsync(file.fileno())
        _sync_names(path.parent)


def move_into_place(path: Path, place: Path) -> None:
    """Give a complete file its final name, once its content is on the disk.

    Raises:
        OSError: the disk failed; the error names ``place``.
    """
    with name_file_in_errors(place):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
        path.replace(place)
        _sync_names(place.parent)


def make_folder(path: Path) -> None:
    """Make a folder unless it exists.

    Raises:
        OSError: it cannot be made.
    """
    if not path.is_dir():
        path.mkdir()
        _sync_names(path.parent)


@contextmanager
def hidden_folder(parent: Path, kind: str) -> Iterator[Path]:
    """A new folder ``.<kind>-...`` that is removed at the end; those that killed processes left here are removed first.

    Args:
        parent: the folder in which it is made.
        kind: what it is for.

    Raises:
        OSError: it cannot be made; the error names ``parent``.
    """
    prefix = f".{kind}-{hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]}-"
    for path in parent.glob(f"{prefix}*"):
        if (handle := _lock_folder(path)) is not None:
            shutil.rmtree(path, ignore_errors=True)
            os.close(handle)
    with name_file_in_errors(parent):
        folder = Path(tempfile.mkdtemp(dir=parent, prefix=prefix))
    handle = _lock_folder(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if handle is not None:
            os.close(handle)


def _lock_folder(path: Path) -> int | None:
    """Lock a folder until its handle is closed; None if another process has locked it, or if it cannot be locked."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        return None
    return handle


def sync_folder(path: Path, above: int) -> None:
    """Wait until the name of a folder is on the disk, and the names of some folders above it, which may be new too.

    Args:
        path: the folder.
        above: how many folders above it.

    Raises:
        OSError: the disk failed.
    """
    for folder in [*path.absolute().parents][: above + 1]:
        with suppress(PermissionError):  # a folder that we may not read is not new
            _sync_names(folder)


@contextmanager
def name_file_in_errors(path: Path) -> Iterator[None]:
    """Add the name of a file to every OSError inside the context: an error of writing does not say which file."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error


def _sync_names(folder: Path) -> None:
    """Wait until the names of a folder's files are on the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some file systems cannot do this
            raise
    finally:
        os.close(handle)
