"""What all launchers share: their interface, the division of cores, lost runs, and what a worker process does."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from statistics import fmean
from typing import Any, Final, Generic, NamedTuple, Protocol, TypeVar

from satae import signals
from satae.errors import ConfigError
from satae.messages import one_line, rough_duration
from satae.training.machine import available_cores

STOP_FILE_POLL_S: Final = 0.5
MAIN_PROCESS_POLL_S: Final = 1.0
GRACE_S: Final = 5  # for a checkpoint, after the main process has died


class CoreShare(NamedTuple):
    """What each of several runs at once gets of a machine."""

    jobs: int  # runs at once
    threads: int  # most threads of torch in each run


class HasDirectory(Protocol):
    """A run to make, of which a launcher knows the directory alone; processes receive it as a pickle."""

    @property
    def directory(self) -> Path:
        """The run's directory."""


J = TypeVar("J", bound=HasDirectory)
Work = Callable[[J, CoreShare | None], bool]  # makes one run; returns whether it failed
Options = Mapping[str, Any]  # what ``hydra.launcher`` holds


class Launcher(AbstractContextManager["Launcher"]):
    """Makes the runs of a sweep; its worker processes live as long as the context.

    This class makes one run after another in this process; its subclasses make several at once in other processes.
    """

    share: CoreShare | None = None  # None where runs are made one after another

    def __init__(self, prepare: Callable[[], None], stop_file: Path | None) -> None:
        self.prepare, self.stop_file = prepare, stop_file
        self._ended, self._wall_times = 0, list[float]()

    def run(self, work: Work[J], jobs: Sequence[J]) -> None:
        """Make runs, and wait for all of them.

        Args:
            work: makes one run with its share of the machine; a function of a module, since it is pickled. Signals
                are held while it works: it checks :func:`satae.signals.pending_signal` where a run can stop.
            jobs: the runs.

        Raises:
            Interrupted: a signal asked this process to end. Runs that had started have written a checkpoint.
            BrokenExecutor: worker processes were killed before they started any run.
            ConfigError: the cluster does not answer.
        """
        for job in jobs:
            if not is_stopped(self.stop_file):
                with signals.hold_signals():
                    if work(job, self.share) and self.stop_file is not None:
                        self.stop_file.touch()
                self.print_progress(job.directory, len(jobs))

    def print_progress(self, directory: Path, total: int) -> None:
        """Print that a run has ended, and about how long the others take if they take as long as the finished ones.

        Args:
            directory: of the run.
            total: number of runs that are made; nothing is printed for a single one.
        """
        from satae.runs.layout import FINISHED
        from satae.runs.record import read_record

        self._ended += 1
        if total == 1:
            return
        status, left = run_status(directory) or "not started", total - self._ended
        if status == FINISHED:
            self._wall_times.append(read_record(directory).get("wall_s", 0.0))
        line = f"run {self._ended} of {total} {status}"
        if left and self._wall_times and not is_stopped(self.stop_file):
            rounds = -(-left // (self.share.jobs if self.share else 1))
            line += f", about {rough_duration(rounds * fmean(self._wall_times))} left"
        print(one_line(line), flush=True)  # noqa: T201

    def print_share(self, count: int) -> None:
        """Print how many of the runs are made at once."""
        print(f"{self.share.jobs if self.share else 1} of {count} runs at once", flush=True)  # noqa: T201

    def __exit__(self, *error: object) -> None:
        """End the workers."""


class WorkerKilledError(RuntimeError):
    """The process that was making a run was killed."""

    def __init__(self) -> None:
        super().__init__("its process was killed, perhaps because memory ran out")


def is_stopped(stop_file: Path | None) -> bool:
    """Whether no more runs are to start: this process was asked to end, or a run has failed."""
    return signals.pending_signal() is not None or (stop_file is not None and stop_file.exists())


def share_cores(cores: int, n_jobs: int, runs: int) -> CoreShare:
    """Divide cores among runs: jobs * threads <= cores, unless more jobs are wanted than there are cores.

    Args:
        cores: the cores to divide.
        n_jobs: runs at once; -1 for one run a core, -2 for one less, and so on, as joblib counts.
        runs: all runs; more workers than runs would leave cores idle.

    Raises:
        ConfigError: ``n_jobs`` is 0.
    """
    if n_jobs == 0:
        raise ConfigError("hydra.launcher.n_jobs=0: must be at least 1, or -1 for one run a core")
    wanted = max(1, cores + 1 + n_jobs) if n_jobs < 0 else n_jobs
    jobs = min(wanted, runs)
    return CoreShare(jobs, max(1, cores // jobs))


def share_machine(threads: int | None, runs: int) -> CoreShare:
    """Divide this machine's cores among runs, with a fixed number of threads each or, if None, one run a core."""
    cores = available_cores()
    if not threads:
        return share_cores(cores, -1, runs)
    threads = min(threads, cores)
    return CoreShare(min(cores // threads, runs), threads)


def print_outcome(directory: Path) -> None:
    """Print how a run has ended in a process whose own output goes to a log file."""
    from satae.runs import layout
    from satae.sweeps import results, table

    run = results.try_read_run(directory)
    if isinstance(run, results.RunResult) and run.status in (layout.FINISHED, layout.FAILED):
        print(table.result_line(run), flush=True)  # noqa: T201


def run_status(directory: Path) -> str | None:
    """The status in a run's record, or "unreadable"; None if the run has not started."""
    from satae.sweeps import results

    try:
        return results.read_status(directory)
    except (OSError, ConfigError):
        return "unreadable"


def close_lost_run(directory: Path, stop_file: Path | None, detail: str = "") -> None:
    """Record and print that a run's process has ended without a result; ``detail`` ends the line."""
    from satae.runs import layout, record

    error = WorkerKilledError()
    status = run_status(directory)
    if status in (layout.FINISHED, layout.FAILED):  # the run wrote its end before
        print_outcome(directory)
        return
    if status == layout.RUNNING:
        record.close_unfinished(directory, error)
        if stop_file is not None:
            stop_file.touch()
    text = {None: "its process ended before the run started", layout.RUNNING: str(error)}
    line = f"{directory}: {text.get(status, f'the run was {status}')}{detail}"
    print(f"satae-train: {one_line(line)}", file=sys.stderr, flush=True)  # noqa: T201


# in a worker process


class JobRunner(Generic[J]):
    """Makes one run in a worker process, which receives this object as a pickle."""

    def __init__(self, work: Work[J], launcher: Launcher) -> None:
        self.work, self.share = work, launcher.share
        self.prepare, self.stop_file = launcher.prepare, launcher.stop_file

    def run(self, job: J) -> int | None:
        """Make a run, unless this process was asked to end or another run has failed.

        Returns:
            The signal that ended the run or prevented it; None if the run finished or failed by itself, or ended
            because another run failed.
        """
        with suppress(signals.Interrupted):  # the run has written a checkpoint
            if not is_stopped(self.stop_file):
                self.prepare()
                with self._end_after_failures(), signals.hold_signals():
                    if self.work(job, self.share) and self.stop_file is not None:
                        self.stop_file.touch()
        return None if self.stop_file and self.stop_file.exists() else signals.pending_signal()

    @contextmanager
    def _end_after_failures(self) -> Iterator[None]:
        """End the run, with a checkpoint, when a run has failed in another process or on another machine."""
        if self.stop_file is None:
            yield
            return
        over = _start_watching(self.stop_file.exists, signals.request_end, STOP_FILE_POLL_S)
        try:
            yield
        finally:
            over.set()


def end_after_main_process(is_gone: Callable[[], bool]) -> None:
    """End this process, with a checkpoint, soon after the main process has died: it may be killed without warning."""

    def end() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(GRACE_S)
        os._exit(1)

    _start_watching(is_gone, end, MAIN_PROCESS_POLL_S)


def _start_watching(condition: Callable[[], bool], action: Callable[[], None], poll_s: float) -> threading.Event:
    """Check a condition in a thread until it holds, then act; the event that is returned ends the thread."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(poll_s):
            if condition():
                action()
                return

    threading.Thread(target=watch, daemon=True).start()
    return over
