"""Each run is a job of submitit: on this machine, as many at once as its cores allow, or on a Slurm cluster."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, cast

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
    print_outcome,
    share_machine,
)
from satae.runs.layout import show_path

POLL_S: Final = 0.2
CANCEL_TIMEOUT_S: Final = 60  # for the checkpoints of jobs that were cancelled
# a terminal sends Ctrl-C to all processes, and submitit's controllers kill their jobs at these signals, or die
CONTROLLER_MASK: Final = [number for number in signals.SIGNALS if number != signal.SIGTERM]


class SubmititLauncher(Launcher):
    """Makes each run in a job of its own, waits for all jobs, and cancels them when this program ends.

    If a job is lost, the others continue. Jobs on Slurm also continue if the terminal of this program is closed.
    """

    share: CoreShare

    def __init__(
        self, options: Options, count: int, prepare: Callable[[], None], stop_file: Path | None, *, cluster: str
    ) -> None:
        super().__init__(prepare, stop_file)
        self._cluster, self._options = cluster, options
        if cluster == "local":
            self.share = share_machine(options["cpus_per_task"], count)
            self.print_share(count)
        else:
            if shutil.which("srun") is None:
                remedy = "start it on a machine of the cluster, or choose hydra/launcher=submitit_local"
                raise ConfigError(f"hydra/launcher=slurm: this machine has no Slurm (no srun); {remedy}")
            self.share = CoreShare(min(options["array_parallelism"], count), options["cpus_per_task"] or 1)
            print(f"{count} runs for Slurm, at most {self.share.jobs} at once", flush=True)  # noqa: T201

    def run(self, work: Work[J], jobs: Sequence[J]) -> None:
        """Make runs, each in a job; Slurm gets all jobs at once, as an array."""
        executor = self._executor()
        runner = SubmititRunner(work, self)
        at_once = self.share.jobs if self._cluster == "local" else len(jobs)
        waiting, running = list(jobs), dict[Any, J]()
        with signals.hold_signals():
            try:
                while (waiting or running) and signals.pending_signal() is None:
                    if is_stopped(self.stop_file):
                        waiting.clear()
                    batch = [waiting.pop(0) for _ in range(min(len(waiting), at_once - len(running)))]
                    if batch:
                        with signals.block_signals(CONTROLLER_MASK), executor.batch():
                            submitted = [executor.submit(runner, job) for job in batch]
                        running |= zip(submitted, batch, strict=True)
                    for submission in [submission for submission in running if submission.done()]:
                        directory = running.pop(submission).directory
                        self._report(submission, directory)
                        self.print_progress(directory, len(jobs))
                    time.sleep(POLL_S)
            finally:
                self._cancel([submission for submission in running if not submission.done()])

    def _executor(self) -> Any:
        """Create submitit's executor; options of Hydra's plugin are its parameters, with the cluster as a prefix."""
        from submitit import AutoExecutor

        logging.getLogger("submitit").setLevel(logging.CRITICAL)  # it prints each message twice
        options = {f"{self._cluster}_{key}": value for key, value in self._options.items()}
        folder = options.pop(f"{self._cluster}_submitit_folder")
        initial = {key: options.pop(key) for key in ("slurm_max_num_timeout",) if key in options}
        executor = AutoExecutor(folder, self._cluster, **initial)
        executor.update_parameters(**options)
        return executor

    def _report(self, submission: Any, directory: Path) -> None:
        """Print how a run has ended."""
        has_result = submission.paths.result_pickle.exists()
        if self._cluster == "slurm" or has_result:  # a shared file system may show the file later: submitit waits
            try:
                submission.results()
                has_result = True
            except Exception:  # submitit's own, or any error of reading a damaged file
                has_result = False
        if has_result:
            print_outcome(directory)
        else:
            state = f" ({submission.state})" if self._cluster == "slurm" else ""
            log = show_path(submission.paths.stderr)
            close_lost_run(directory, self.stop_file, f"{state}; the job's log: {log}")

    def _cancel(self, submissions: Sequence[Any]) -> None:
        """Ask jobs to end, and wait while their runs write a checkpoint."""
        if self._cluster == "slurm" and signals.pending_signal() == signal.SIGHUP:
            return
        if self._cluster == "slurm" and submissions:
            arrays = {submission.job_id.partition("_")[0] for submission in submissions}
            subprocess.run(["scancel", *arrays], capture_output=True, check=False)
        elif submissions:
            for submission in submissions:  # by the process id; submission.cancel() would kill the run after a second
                with suppress(ProcessLookupError):
                    os.kill(int(submission.job_id), signal.SIGTERM)
        deadline = time.monotonic() + CANCEL_TIMEOUT_S
        while not all(job.done(force_check=True) for job in submissions) and time.monotonic() < deadline:
            time.sleep(POLL_S)


class SubmititRunner(JobRunner[J]):
    """Makes one run in a job of submitit; a job that nears its time limit, or is preempted, is queued again.

    Submitit's own handler for the signal before a time limit would end a run in the middle of a step. Here the run
    first ends with a checkpoint, then the handler is called.
    """

    def __init__(self, work: Work[J], launcher: Launcher) -> None:
        super().__init__(work, launcher)
        self.main_process = os.getpid()

    def __call__(self, job: J) -> None:
        """Make a run.

        Raises:
            SystemExit: a signal ended the run. Then the job has no result, so that it does not count as finished.
        """
        from submitit import JobEnvironment

        environment = JobEnvironment()
        time_limit = signal.Signals[f"SIG{environment.USR_SIG}"]
        requeue = cast("Callable[[int, Any], Any]", signal.getsignal(time_limit))
        signals.hold_signals_in_worker(time_limit)
        if environment.cluster == "local":
            end_after_main_process(lambda: not _exists(self.main_process))
        number = self.run(job)
        if number is None:
            return
        if number == time_limit or (environment.cluster == "slurm" and _is_preempted(environment.job_id)):
            _queue_again(requeue, number)
        raise SystemExit(128 + number)

    def checkpoint(self, job: J) -> Any:
        """The submission that submitit queues again: the same run, which resumes from its checkpoint."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self, job)


def _queue_again(requeue: Callable[[int, Any], Any], number: int) -> None:
    """Let submitit queue the job again; it refuses after ``max_num_timeout`` time limits."""
    from submitit.core.utils import UncompletedJobError

    try:
        requeue(number, None)
    except (UncompletedJobError, OSError, subprocess.SubprocessError) as error:
        print(f"not queued again: {error}", file=sys.stderr)  # noqa: T201  # to the job's own log


def _is_preempted(job_id: str) -> bool:
    """Whether Slurm preempts this job: it sends SIGTERM then, but also at ``scancel``.

    During its grace time, only a preempted job is still listed as running. Slurm itself queues it again only if it
    works until that time is over, not if it ends by itself.
    """
    command = ["squeue", "--noheader", "--format=%T", f"--jobs={job_id}"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.split() == ["RUNNING"]


def _exists(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # another user's
    return True
