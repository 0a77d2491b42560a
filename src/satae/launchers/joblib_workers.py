"""Several runs at once in worker processes of joblib, which start early and end with the sweep."""

from __future__ import annotations

import gc
import os
import sys
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, wait
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from satae import signals
from satae.errors import ConfigError
from satae.launchers.base import (
    CoreShare,
    J,
    JobRunner,
    Launcher,
    Options,
    Work,
    close_lost_run,
    end_after_main_process,
    is_stopped,
    run_status,
    share_cores,
)
from satae.messages import count_words
from satae.runs.layout import RUNNING
from satae.training.machine import available_cores

THREAD_VARIABLES: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS")

# options of Hydra's joblib launcher that have no meaning for one run at a time in each worker, with their defaults
UNUSED_OPTIONS: Final = {
    **dict.fromkeys(("backend", "require", "timeout", "temp_folder", "max_nbytes")),
    **{"prefer": "processes", "verbose": 0, "pre_dispatch": "2*n_jobs", "batch_size": "auto", "mmap_mode": "r"},
}


class JoblibLauncher(Launcher):
    """Makes runs in worker processes, one at a time in each; in this process if only one run is made at a time.

    Workers start immediately: a worker needs as long to import torch as this process needs to check all runs.
    When a worker is killed, joblib ends all workers. The runs that they were making are made again, each alone in a
    new process, since one of them may be the cause. Then the other runs follow.
    """

    share: CoreShare

    def __init__(self, options: Options, count: int, prepare: Callable[[], None], stop_file: Path | None) -> None:
        super().__init__(prepare, stop_file)
        self.share = share_cores(available_cores(), options.get("n_jobs", 1), count)
        for name, default in UNUSED_OPTIONS.items():
            if options.get(name, default) != default:
                print(f"warning: hydra.launcher.{name} has no effect; only n_jobs is used", file=sys.stderr)  # noqa: T201
        self.print_share(count)
        self._pool: Any = None
        if self.share.jobs > 1:
            self._start_workers(self.share.jobs)

    def run(self, work: Work[J], jobs: Sequence[J]) -> None:
        """Make runs; repeat those whose worker was killed."""
        if self.share.jobs == 1:
            super().run(work, jobs)
            return
        runner = JobRunner(work, self)
        waiting = deque(jobs)
        with signals.hold_signals():
            while waiting and not is_stopped(self.stop_file):
                if killed := self._run_until_killed(runner, waiting, len(jobs)):
                    repeated = count_words(len(killed), "run is", "runs are")
                    print(f"a process was killed; {repeated} made again alone, then the others", flush=True)  # noqa: T201
                for job in killed:
                    self._run_alone(runner, job)
                    self.print_progress(job.directory, len(jobs))
                if waiting and not is_stopped(self.stop_file):
                    self._start_workers(self.share.jobs)

    def __exit__(self, *error: object) -> None:
        """End the workers, and with them runs that have not ended."""
        if self._pool is not None:
            with signals.hold_signals():
                self._pool.shutdown(wait=True, kill_workers=True)

    def _start_workers(self, number: int) -> None:
        """Start worker processes; existing ones end."""
        from joblib.externals.loky import ProcessPoolExecutor

        self.__exit__()
        threads = {name: os.environ.get(name, str(self.share.threads)) for name in THREAD_VARIABLES}
        with signals.block_signals(signals.BLOCKED_FOR_HELPERS):  # its helper process starts here
            self._pool = ProcessPoolExecutor(
                number, initializer=_start_worker, initargs=(self.prepare, os.getpid()), env=threads
            )
        try:
            with signals.block_signals_for_workers():
                self._pool.submit(os.getpid)  # the first task starts all workers
        except signals.Interrupted:
            self.__exit__()
            raise

    def _run_until_killed(self, runner: JobRunner[J], waiting: deque[J], total: int) -> list[J]:
        """Make runs until all have ended or a worker is killed; return the runs that were being made then.

        Args:
            runner: makes a run.
            waiting: the runs; each is removed when a worker gets it, and put back if the worker had not started it.
            total: number of runs of the sweep that are made.
        """
        running: dict[Future[int | None], J] = {}
        ended = 0
        try:
            while True:
                while waiting and len(running) < self.share.jobs and not is_stopped(self.stop_file):
                    future = self._pool.submit(runner.run, waiting[0])
                    running[future] = waiting.popleft()
                if not running:
                    return []
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    future.result()
                    self.print_progress(running.pop(future).directory, total)
                    ended += 1
        except BrokenExecutor:
            lost = [job for future, job in running.items() if future.exception() is not None]
            killed = [job for job in lost if run_status(job.directory) == RUNNING]
            waiting.extendleft(job for job in reversed(lost) if job not in killed)
            if not (killed or ended or len(lost) < len(running)):
                raise
            return killed

    def _run_alone(self, runner: JobRunner[J], job: J) -> None:
        if is_stopped(self.stop_file):
            return
        self._start_workers(1)
        try:
            self._pool.submit(runner.run, job).result()
        except BrokenExecutor:
            close_lost_run(job.directory, self.stop_file)


def _start_worker(prepare: Callable[[], None], main_process: int) -> None:
    """The first thing that a worker process does."""
    signals.hold_signals_in_worker()
    end_after_main_process(lambda: os.getppid() != main_process)
    gc.disable()  # until the first run: with it, imports take a quarter of a second longer
    with suppress(ConfigError):  # a plugin that cannot be imported here: each run says so
        prepare()
