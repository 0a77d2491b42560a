"""Refuses a directory in which a program would write elsewhere, through a link, or replace files of somebody else.

A directory may come from a stranger. The programs check what they will write or remove there before they write
anything. The directory that a user names may be a link itself.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

from satae.errors import ConfigError
from satae.runs.layout import (
    BANDS_FOLDER,
    CONFIG_FILE,
    EVALUATION_FOLDER,
    EVENT_FILE_PREFIX,
    HOLDER_FILE,
    LOCK_FILE,
    MANIFEST_FILE,
    METRICS_FILE,
    METRICS_LOG_FILE,
    MULTIRUN_FILE,
    RECORD_FILE,
    REPORT_FOLDER,
    RUN_NAMES,
    RUNS_CSV_FILE,
    SUBMITIT_FOLDER,
    SWEEP_NAMES,
    is_written_name,
)


def check_run(directory: Path | str) -> None:
    """Check everything in the directory of a run, or in a folder below it.

    Raises:
        ConfigError: something there is not a file or folder of its own.
    """
    for entry in _entries(directory):
        _check(entry)


def check_new_run(directory: Path, others: Collection[str] = ()) -> None:
    """Check what a new run will write in a folder that may exist; other files there may be anything.

    Args:
        directory: the directory of the run.
        others: names that this run writes besides those that all runs write.

    Raises:
        ConfigError: something that would be written is not a file or folder of its own, or the folder holds a sweep or
            files of somebody else that would be replaced.
    """
    entries = {entry.name: entry for entry in _entries(directory)}
    if not entries.keys().isdisjoint((MANIFEST_FILE, MULTIRUN_FILE)):
        raise ConfigError(f"{directory} holds a sweep; name another folder for the run")
    if entries.keys().isdisjoint((RECORD_FILE, LOCK_FILE, HOLDER_FILE)):  # a run that was killed at once left a lock
        _refuse_to_replace(directory, entries.keys() & {CONFIG_FILE, METRICS_FILE})
    for entry in entries.values():
        if is_written_name(entry.name, {*RUN_NAMES, *others}):
            _check(entry)


def check_sweep(sweep: Path, names: Collection[str]) -> None:
    """Check what the runs of a sweep, and the sweep itself, will write in its folder; other files may be anything.

    Args:
        sweep: the folder of the sweep.
        names: of the runs that are asked for; every other folder with a record is a run, too.

    Raises:
        ConfigError: something that would be written is not a file or folder of its own, or the folder holds no sweep
            and no run, but files of somebody else that would be replaced.
    """
    entries = {entry.name: entry for entry in _entries(sweep)}
    is_new = entries.keys().isdisjoint((MANIFEST_FILE, MULTIRUN_FILE, LOCK_FILE, HOLDER_FILE))
    if is_new and not any(os.path.lexists(os.path.join(entry.path, RECORD_FILE)) for entry in entries.values()):
        _refuse_to_replace(sweep, entries.keys() & {RUNS_CSV_FILE, REPORT_FOLDER})
    for entry in entries.values():
        if is_written_name(entry.name, SWEEP_NAMES):
            # the content of a report is not changed: a new folder replaces it
            _check(entry, with_content=entry.name in (BANDS_FOLDER, SUBMITIT_FOLDER))
        elif entry.name in names or os.path.lexists(os.path.join(entry.path, RECORD_FILE)):
            _check(entry)


def check_evaluation(run: Path) -> None:
    """Check the folder with the evaluation of a run.

    Raises:
        ConfigError: something there is not a file or folder of its own.
    """
    for entry in _entries(run):
        if entry.name == EVALUATION_FOLDER:
            _check(entry)


def _refuse_to_replace(folder: Path, names: Collection[str]) -> None:
    if names:
        raise ConfigError(
            f"{folder}: {', '.join(sorted(names))} would be replaced, and satae did not make it; name another folder"
        )


def _entries(folder: Path | str) -> list[os.DirEntry[str]]:
    """The entries of a folder; an empty list if it does not exist."""
    try:
        with os.scandir(folder) as entries:
            return [*entries]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be read ({error.strerror})") from None


def _check(entry: os.DirEntry[str], *, with_content: bool = True) -> None:
    """Refuse, by a ConfigError, what is not a file or folder of its own."""
    if entry.is_symlink():
        fault = "is a link, which satae does not make: what is written there would go elsewhere"
    elif entry.is_dir(follow_symlinks=False):
        if with_content:
            check_run(entry.path)
        return
    elif not entry.is_file(follow_symlinks=False):
        fault = "is neither a file nor a folder, which satae does not make, and could wait for it forever"
    elif _is_changed_in_place(entry.name) and entry.stat(follow_symlinks=False).st_nlink > 1:
        fault = "has a second name (a hard link), under which it would change, too"
        raise ConfigError(f"{entry.path}: {fault}; copy the directory with cp -r, and name the copy")
    else:
        return
    raise ConfigError(f"{entry.path}: {fault}; remove it")


def _is_changed_in_place(name: str) -> bool:
    """Whether a file is appended to or emptied; every other file is replaced by a new one."""
    return name.startswith(EVENT_FILE_PREFIX) or name == METRICS_LOG_FILE or name.endswith(".log")
