"""A process that makes runs for a launcher: what it does with signals, and how it ends."""

from __future__ import annotations

import functools
import os
import platform
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Final, NamedTuple

from satae import signals as interruption
from satae.launchers import requeue

SUBMITIT, RAY = "submitit.core._submit", "default_worker.py"  # how their processes are started
LOOK: Final = 1.0  # seconds between two looks whether the process that runs are made for is there
GRACE: Final = 5  # seconds for the run of a process that has outlived that one


class Origin(NamedTuple):
    """The process in which a command line was typed."""

    host: str
    pid: int
    folder: str

    def is_there(self) -> bool:
        """Whether it still runs, on this machine."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass  # another user's
        return True

    def is_parent(self) -> bool:
        """Whether it still runs, and has started this process itself."""
        return os.getppid() == self.pid


def here() -> Origin:
    """This process."""
    return Origin(platform.node(), os.getpid(), os.getcwd())


def is_started_by(mark: str) -> bool:
    """Whether one of the words that started this process ends so."""
    return any(word.endswith(mark) for word in sys.orig_argv)


@functools.cache  # once in each process
def settle(origin: Origin) -> bool:
    """Prepare a process that makes runs for another one, if this one does; whether it does.

    It leaves signals to its runs. On this machine it ends soon after the process that it is made for, which may be
    killed before it can end its workers; the jobs of a cluster go on, and Ray ends its own.

    Args:
        origin: where the command line was typed.
    """
    if here()[:2] == origin[:2]:
        return False
    if is_started_by(SUBMITIT):
        interruption.hold_for_good(requeue.taken_over())
        if requeue.is_local():
            _end_after(origin.is_there)
    elif is_started_by(RAY):
        interruption.hold_for_good()
        os.chdir(origin.folder)  # Ray's processes are where its cluster was started
    else:
        interruption.hold_for_good()
        _end_after(origin.is_parent)
    return True


def leave(number: int) -> None:
    """Part with a run that a signal has ended, which has its checkpoint: its scheduler makes it again if it wants to.

    With joblib and Ray the process lives on: the main process knows that it was interrupted.

    Args:
        number: of the signal.

    Raises:
        SystemExit: the end of a job of submitit, which leaves no result, so that nobody takes it for finished.
    """
    if is_started_by(SUBMITIT):
        requeue.where_wanted(number)
        raise SystemExit(128 + number)


def _end_after(goes_on: Callable[[], bool]) -> None:
    """End this process soon after another one, from a thread of its own."""

    def look() -> None:
        while goes_on():
            time.sleep(LOOK)
        _end_softly()

    threading.Thread(target=look, daemon=True).start()


def _end_softly() -> None:
    """With the time for a checkpoint."""
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE)
    os._exit(1)
