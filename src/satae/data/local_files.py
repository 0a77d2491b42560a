"""Files on this machine: paths as users type them, and a cache for what was fetched or decoded."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from satae.errors import ConfigError
from satae.messages import is_utf8, reason

CACHE_VARIABLE: Final = "SATAE_DATA_DIR"  # environment variable with the folder of the cache


def expand_path(name: str) -> Path:
    """The absolute path of a name as a user types it, with ``~`` for the home folder.

    Raises:
        ValueError: it is not UTF-8, so that no file can record it.
    """
    path = Path(os.path.expanduser(name)).absolute()
    if not is_utf8(path):
        raise ValueError(f"{path}: this name is not UTF-8; rename it")
    return path


def cache_folder() -> Path:
    """The folder that ``SATAE_DATA_DIR`` names, or else the user's cache.

    Raises:
        ConfigError: neither is known.
    """
    if (folder := known_cache_folder()) is None:
        raise ConfigError(
            f"no folder is known for decoded images, fetched data and trained baselines, since this user has no home"
            f" folder; set {CACHE_VARIABLE} to a folder"
        )
    return folder


def known_cache_folder() -> Path | None:
    """The folder of the cache; None if this user has no home folder, and no variable names another one."""
    import pooch

    try:
        return expand_path(os.environ.get(CACHE_VARIABLE) or str(pooch.os_cache("satae")))
    except RuntimeError:  # a user id without a name, and no HOME
        return None


def scikit_learn_file(*parts: str) -> Path:
    """The path of a file inside scikit-learn. Importing scikit-learn would take more than a second."""
    spec = find_spec("sklearn")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return Path(spec.submodule_search_locations[0], *parts)


class NotStoredError(Exception):
    """Data must be fetched or decoded first, and nothing may be written now."""


class _Writing:
    """Whether files may be made in this process."""

    is_allowed = True


@contextmanager
def without_writing() -> Iterator[None]:
    """Raise :class:`NotStoredError` where data would be fetched or decoded into a cache."""
    before, _Writing.is_allowed = _Writing.is_allowed, False
    try:
        yield
    finally:
        _Writing.is_allowed = before


def check_writing_allowed() -> None:
    """Raise :class:`NotStoredError` inside :func:`without_writing`: files are about to be made."""
    if not _Writing.is_allowed:
        raise NotStoredError


def make_once(file: Path, make: Callable[[Path], None]) -> Path:
    """Make a file unless it exists, and return it. If several processes want it, one makes it and the others wait.

    ``make`` writes it to another path with the same file name; it gets its place only when it is complete.

    Raises:
        ValueError: it cannot be written; or ``make`` raised it.
    """
    from filelock import FileLock, Timeout

    part = file.parent / f".{file.name}.part" / file.name
    try:
        if file.exists():
            return file
        check_writing_allowed()
        file.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(file.parent / f".{file.name}.lock")
        try:
            lock.acquire(timeout=1)
        except Timeout:
            print(f"waiting for another process that makes {file}", file=sys.stderr, flush=True)  # noqa: T201
            lock.acquire()
        try:
            shutil.rmtree(part.parent, ignore_errors=True)  # left by a process that was killed
            if not file.exists():
                part.parent.mkdir()
                make(part)
                part.replace(file)
        finally:
            shutil.rmtree(part.parent, ignore_errors=True)
            lock.release()
    except OSError as error:
        raise ValueError(
            f"{file}: cannot be written ({reason(error)}); make room, or name another folder (see {CACHE_VARIABLE})"
        ) from None
    return file
