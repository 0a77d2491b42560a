"""Locks that keep two processes from writing the same folder, also where the file system has no locks of its own."""

from __future__ import annotations

import errno
import os
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Final

from filelock import BaseFileLock, FileLock, SoftFileLock, Timeout

from satae.config import ConfigError
from satae.runs.layout import HOLDER_FILE, LOCK_FILE

# what flock says on a file system without locks, such as some mounts of NFS and Lustre
NO_LOCKS: Final = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL}


def lock_directory(directory: Path) -> BaseFileLock:
    """Lock the directory of a run or a sweep.

    The system releases the lock if the process dies. On a file system without locks, a file names the process instead;
    it may be left if the process is killed.

    Raises:
        ConfigError: another process holds the lock.
        OSError: the lock file cannot be written.
    """
    try:
        return acquire_lock(directory, 0)
    except Timeout:
        holder, file, remedy = "", directory / HOLDER_FILE, "wait for it, or end it"
        with suppress(OSError, ValueError):
            process, host, *_ = file.read_text().split()
            holder = f" (process {int(process)} on {host})"
            remedy += f"; if it has ended already, delete {file}"
        raise ConfigError(f"{directory}: another process{holder} is at work here; {remedy}") from None


def acquire_lock(directory: Path, timeout: float) -> BaseFileLock:
    """Wait for the lock of a folder.

    Args:
        directory: the folder.
        timeout: how long to wait, in seconds; -1 for as long as it takes.

    Raises:
        Timeout: another process holds the lock.
        OSError: the lock file cannot be written.
    """
    lock = FileLock(directory / LOCK_FILE)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)  # filelock warns before it takes every lock file for a holder
            lock.acquire(timeout=timeout)
        return lock
    except (UserWarning, NotImplementedError):  # ENOSYS, in newer and older versions
        pass
    except Timeout:
        raise
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise OSError(error.errno, os.strerror(error.errno or 0), str(error.filename or lock.lock_file)) from None
    soft = SoftFileLock(directory / HOLDER_FILE)
    soft.acquire(timeout=timeout)
    return soft
