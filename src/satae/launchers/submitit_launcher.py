"""Submitit's launchers, made to wait for every job: one that is lost leaves the others running."""

from __future__ import annotations

import logging
import math
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final

from hydra.core.utils import JobReturn, JobStatus

from satae import signals as interruption
from satae.launchers import over
from satae.runs.layout import shorten

LOOK: Final = 0.2  # seconds between two looks at the jobs
PATIENCE: Final = 60  # seconds for jobs that are cancelled
DEAF: Final = (signal.SIGINT, signal.SIGUSR1)  # what submitit's controllers would answer by killing their jobs

Jobs = list[Any]


@contextmanager
def patient(at_once: int | None) -> Iterator[None]:
    """For as long as it lasts, submitit's launchers wait for all of their jobs, and end them when this program ends.

    By themselves they raise at the first job without a result, and leave the others behind; those on this machine they
    start all at once.

    Args:
        at_once: most jobs to have at work; None for all, where a scheduler sees to it.
    """
    from submitit import AutoExecutor

    jobs: Jobs = []
    told: Jobs = []
    executors: Any = AutoExecutor
    submit = executors._internal_process_submissions

    def submitted(executor: Any, submissions: Sequence[Any]) -> Sequence[_Awaited]:
        before = len(jobs)
        for part in [submissions] if at_once is None else [[one] for one in submissions]:
            _wait(lambda: at_once is None or _at_work(jobs) < at_once, jobs, told)
            if interruption.asked() is None:
                with interruption.masked(DEAF):  # a terminal sends Ctrl-C to all processes
                    jobs.extend(submit(executor, part))
        _wait(lambda: not _at_work(jobs), jobs, told)
        lost = [None] * (before + len(submissions) - len(jobs))
        return [_Awaited(job) for job in [*jobs[before:], *lost]]

    logging.getLogger("submitit").setLevel(logging.CRITICAL)  # it tells each message twice
    executors._internal_process_submissions = submitted
    try:
        yield
    finally:
        executors._internal_process_submissions = submit


class _Awaited:
    """A job that is over, or was not begun."""

    def __init__(self, job: Any) -> None:
        self._job = job

    def results(self) -> list[JobReturn]:
        """What the run gave; of a lost one, nothing: its folder tells."""
        try:
            if self._job is not None:
                return list(self._job.results())
        except Exception:  # submitit's own, and whatever comes of reading a file that was torn
            if interruption.asked() is None:
                print(f"a job is lost ({self._job.state}); its log: {shorten(self._job.paths.stderr)}")  # noqa: T201
        return [JobReturn(status=JobStatus.COMPLETED, _return_value=math.nan)]


def _at_work(jobs: Jobs) -> int:
    return sum(not job.done() for job in jobs)


def _wait(is_over: Callable[[], bool], jobs: Jobs, told: Jobs) -> None:
    """Until it is over; or, if this program is asked to end, until the jobs have."""
    while not is_over():
        if interruption.asked() is not None:
            _cancel(jobs)
            return
        _tell(jobs, told)
        time.sleep(LOOK)
    _tell(jobs, told)


def _tell(jobs: Jobs, told: Jobs) -> None:
    """Show the runs that have ended since the last look; those that are lost are told of at the end."""
    for job in [job for job in jobs if job not in told and job.done()]:
        told.append(job)
        with suppress(Exception):  # as below
            over.tell(job.results()[0])


def _cancel(jobs: Jobs) -> None:
    """Ask jobs to end, and give their runs the time for a checkpoint."""
    arrays = {job.job_id.partition("_")[0] for job in jobs if not hasattr(job, "_process")}
    if arrays:
        subprocess.run(["scancel", *arrays], capture_output=True, check=False)
    for job in jobs:
        if not job.done() and hasattr(job, "_process"):
            job._process.terminate()  # submitit's own way would have it killed after a second
    end = time.monotonic() + PATIENCE
    while any(not job.done(force_check=True) for job in jobs) and time.monotonic() < end:
        time.sleep(LOOK)
