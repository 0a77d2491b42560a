"""Jobs that Slurm starts again: those that have come to their time limit, and those that have made room for others."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any, Final

CLUSTER: Final = "SUBMITIT_EXECUTOR"  # local or slurm


class _Submitit:
    """What it does ahead of a time limit: it has Slurm start the job again."""

    number: int | None = None
    handler: Callable[[int, Any], Any] | None = None


def is_local() -> bool:
    """Whether the job is one on this machine."""
    return os.environ.get(CLUSTER) == "local"


def taken_over() -> int:
    """Take over the signal that submitit has sent ahead of a time limit; its number.

    Its own handler would end a run in the middle of a step.
    """
    from submitit import JobEnvironment

    number: int = JobEnvironment._usr_sig()
    handler = signal.getsignal(number)
    _Submitit.number, _Submitit.handler = number, handler if callable(handler) else None
    return number


def where_wanted(number: int) -> None:
    """Have the job that a signal has ended started again, where its scheduler wants that."""
    if number == _Submitit.number or _is_preempted():
        _requeue(number)


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
        if _Submitit.handler:
            _Submitit.handler(number, None)
    except (UncompletedJobError, OSError, subprocess.SubprocessError) as error:
        print(f"not started again: {error}", file=sys.stderr)  # noqa: T201  # to the job's own log
