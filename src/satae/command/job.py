"""A process that makes runs for a launcher: what it does with signals, and how it ends when one has ended its run."""

from __future__ import annotations

import functools
import os
import platform
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from satae import interruption
from satae.command import parallel

SUBMITIT, RAY = "submitit.core._submit", "default_worker.py"  # how their processes are started
CLUSTER: Final = "SUBMITIT_EXECUTOR"  # local or slurm
LOOK: Final = 1.0  # seconds between two looks whether the process that a run is made for is there


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


def here() -> Origin:
    """This process."""
    return Origin(platform.node(), os.getpid(), os.getcwd())


def is_started_by(mark: str) -> bool:
    """Whether one of the words that started this process ends so."""
    return any(word.endswith(mark) for word in sys.orig_argv)


@functools.cache  # once in each process
def settle(origin: Origin) -> bool:
    """Prepare a process that makes runs for another one, if this one does; whether it does.

    It leaves signals to its runs. On this machine it ends soon after the process that it is made for; the jobs of a
    cluster go on, and Ray ends its own.

    Args:
        origin: where the command line was typed.
    """
    if here()[:2] == origin[:2]:
        return False
    if is_started_by(SUBMITIT):
        _settle_submitted(origin)
    elif is_started_by(RAY):
        interruption.hold_for_good()
        os.chdir(origin.folder)  # Ray's processes are where its cluster was started
    else:
        parallel.settle(origin.pid)
    return True


def leave(number: int) -> None:
    """Part with a run that a signal has ended, which has its checkpoint: its scheduler makes it again if it wants to.

    With joblib and Ray the process lives on: the main process knows that it was interrupted.

    Args:
        number: of the signal.

    Raises:
        SystemExit: the end of a job of submitit, which leaves no result, so that nobody takes it for finished.
    """
    if not is_started_by(SUBMITIT):
        return
    if number == _Requeue.number or _is_preempted():
        _requeue(number)
    raise SystemExit(128 + number)


class _Requeue:
    """What submitit does ahead of a time limit: it has Slurm start the job again."""

    number: int | None = None
    handler: Callable[[int, Any], Any] | None = None


def _settle_submitted(origin: Origin) -> None:
    """Hear submitit's signal as our own: its handler would end a run in the middle of a step."""
    from submitit import JobEnvironment

    number = JobEnvironment._usr_sig()
    handler = signal.getsignal(number)
    _Requeue.number, _Requeue.handler = number, handler if callable(handler) else None
    interruption.hold_for_good(number)
    if os.environ.get(CLUSTER) == "local":
        threading.Thread(target=_end_after, args=[origin], daemon=True).start()


def _end_after(origin: Origin) -> None:
    while origin.is_there():
        time.sleep(LOOK)
    parallel.end_softly()


def _is_preempted() -> bool:
    """Whether Slurm wants the job back: it sends SIGTERM to jobs that make room for others, and at ``scancel``.

    Of the former it says that they are running, until their grace is over; it starts those again that are at work
    then, but not those that have ended by themselves.
    """
    if os.environ.get(CLUSTER) != "slurm":
        return False
    from submitit import JobEnvironment

    command = ["squeue", "--noheader", "--format=%T", f"--jobs={JobEnvironment().job_id}"]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    return told.stdout.split() == ["RUNNING"]


def _requeue(number: int) -> None:
    """Have submitit do it; it gives up after so many time limits."""
    from submitit.core.utils import UncompletedJobError

    try:
        if _Requeue.handler:
            _Requeue.handler(number, None)
    except (UncompletedJobError, OSError, subprocess.SubprocessError) as error:
        print(f"not started again: {error}", file=sys.stderr)  # noqa: T201  # to the job's own log
