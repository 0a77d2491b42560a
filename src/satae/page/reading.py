"""Files in run directories, which may be none, or of any size."""

from __future__ import annotations

import os
import stat
from pathlib import Path


def content(path: Path, largest: int) -> bytes:
    """What is in a file.

    Args:
        path: of the file; no link is followed.
        largest: bytes that it may have.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is no file, or too large.
        OSError: it cannot be read.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)  # which waits for nothing
    with open(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise ValueError("it is no file")
        found = file.read(largest + 1)
    if len(found) > largest:
        raise ValueError("it is too large")
    return found
