"""Files that are made once and kept: fetched archives, decoded images."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

HOME: Final = "SATAE_DATA_DIR"  # the variable that names where they are kept


def home() -> Path:
    """Where they are kept: the user's cache, or the folder that ``SATAE_DATA_DIR`` names."""
    import pooch

    return Path(os.environ.get(HOME) or pooch.os_cache("satae")).expanduser().absolute()


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
    from filelock import FileLock

    if file.exists():
        return file
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(file.parent / f".{file.name}.lock"):
            if not file.exists():
                _make(file, make)
    except OSError as error:
        where = f"{file}: cannot be written ({reason(error)})"
        raise ValueError(f"{where}; make room, or name another folder (see {HOME})") from None
    return file


def _make(file: Path, make: Callable[[Path], None]) -> None:
    part = file.parent / f".{file.name}.part" / file.name
    shutil.rmtree(part.parent, ignore_errors=True)  # of a process that was killed
    part.parent.mkdir()
    try:
        make(part)
        part.replace(file)
    finally:
        shutil.rmtree(part.parent, ignore_errors=True)


def reason(error: BaseException) -> str:
    """An error of the operating system or of a library, in short."""
    return getattr(error, "strerror", None) or str(error).partition("\n")[0] or type(error).__name__
