"""Reads files that may come from a stranger: a link, a pipe, or a file of any size."""

from __future__ import annotations

import os
import stat
from pathlib import Path


def read_untrusted(path: Path, largest: int) -> bytes:
    """Read a regular file of at most ``largest`` bytes; links are not followed.

    Raises:
        FileNotFoundError: the file is missing.
        ValueError: the path is not a regular file, or the file is too large.
        OSError: the file cannot be read.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)  # a pipe would block
    with open(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise ValueError("it is not a regular file")
        content = file.read(largest + 1)
    if len(content) > largest:
        raise ValueError("it is too large")
    return content
