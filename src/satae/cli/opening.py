"""The folder of a sweep before its runs begin: where that cannot be written, all is left as it was."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from satae.cli.launch import CommandLine, Program
from satae.cli.plan import Plan
from satae.config import ConfigError
from satae.launchers import failures
from satae.printable import first_line
from satae.sweeps import notes


@contextmanager
def opened(program: Program, line: CommandLine, plan: Plan, sweep: Path) -> Iterator[None]:
    """A sweep that tells what is asked of it, and is kept from other processes for as long as this lasts.

    Raises:
        ConfigError: another process is at work in it, its notes are too long, or something cannot be written there.
    """
    from satae.runs.record import lock_directory

    notes.encoded(sweep, _noted(line, plan, sweep))
    new, lock = [folder for folder in (sweep, *sweep.parents) if not folder.exists()], None
    try:
        sweep.mkdir(parents=True, exist_ok=True)
        lock = lock_directory(sweep)
        known = _noted(line, plan, sweep)
        program.open(sweep, [job.config for job in plan.jobs], known.runs)
        notes.write(sweep, known)
        (sweep / failures.SIGN).unlink(missing_ok=True)  # of an earlier failure
    except BaseException as error:
        if lock is not None:
            lock.release(force=True)
        _take_back(new, sweep if lock is not None else None)
        if not isinstance(error, OSError):
            raise
        why = error.strerror or first_line(error) or type(error).__name__
        raise ConfigError(f"{error.filename or sweep}: cannot write there ({why}); no run has begun") from None
    with lock:
        yield


def _noted(line: CommandLine, plan: Plan, sweep: Path) -> notes.Notes:
    known = notes.read(sweep)
    for words in plan.commands:
        known = known.add(line.text, words, plan.varied)
    return known.with_runs(plan.runs)


def _take_back(new: list[Path], ours: Path | None) -> None:
    """Remove folders that were not there before.

    Args:
        new: the innermost first; they go as far as nothing is in them.
        ours: the one in which no other process has written.
    """
    if ours in new:
        shutil.rmtree(ours, ignore_errors=True)
    for folder in new:
        with suppress(OSError):
            folder.rmdir()
