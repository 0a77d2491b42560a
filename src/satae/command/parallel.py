"""Several runs at once, in worker processes: how many, with how many threads each, and how they end."""

from __future__ import annotations

import functools
import gc
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager, suppress
from typing import Any, Final

from satae.config.messages import ConfigError
from satae.interruption import blocked, held, hold_for_good
from satae.share import Share

LAUNCHER: Final = "joblib"  # its name in Hydra's group hydra/launcher
N_JOBS: Final = "hydra.launcher.n_jobs"
CORES: Final = "LOKY_MAX_CPU_COUNT"  # joblib's, for the cores that may be used
GRACE: Final = 5  # seconds for the run of a worker whose parent is gone
EXTRA: Final = "pip install 'satae[joblib]'"


@contextmanager
def workers(
    launcher: Mapping[str, Any] | None, runs: int, ready: Callable[[], None], *, apart: bool = False
) -> Iterator[Share | None]:
    """Worker processes for Hydra's launcher, for as long as the context lasts; what each run gets of the machine.

    They start at once, since each takes as long to import what a run needs as this process takes to check all runs.
    Each has one run at a time, and none is left behind: joblib would put short runs together, and let its workers wait
    for more to do for five minutes; at the end of a program it would take a second to part with them. By then their
    runs are over, or have been given up.

    Args:
        launcher: the options of joblib's ``Parallel``; None where Hydra makes one run after another.
        runs: there are.
        ready: called in each worker before anything else.
        apart: whether even a single run is to be in a process of its own.

    Raises:
        ConfigError: ``n_jobs`` is 0.
    """
    if launcher is None or not runs:
        yield None
        return
    from joblib import Parallel
    from joblib.externals.loky import get_reusable_executor

    given = share(cores(), launcher["n_jobs"], runs)
    jobs = max(2, given.jobs) if apart else given.jobs  # of one joblib would make it in this process
    before, started = list(sys.argv), []
    if not apart:
        print(f"{given.jobs} of {runs} runs at once", flush=True)  # noqa: T201
    sys.argv += [f"{N_JOBS}={jobs}", "hydra.launcher.batch_size=1"]
    try:
        if jobs > 1:
            # the launcher's own Parallel will find these workers
            with Parallel(**{**launcher, "n_jobs": jobs, "backend": "loky"}), blocked():
                executor = get_reusable_executor(reuse=True)
                started = [executor.submit(_begin, ready, os.getpid()) for _ in range(given.jobs)]
        yield given
        for worker in started:
            with suppress(BrokenExecutor):  # what becomes of the runs tells of it
                worker.result()
    finally:
        sys.argv[:] = before
        with held():
            get_reusable_executor(reuse=True).shutdown(wait=True, kill_workers=True)


def _begin(ready: Callable[[], None], parent: int) -> None:
    settle(parent)
    gc.disable()  # until its first run, see ``collector``
    ready()


def share(cores: int, n_jobs: int, runs: int) -> Share:
    """Divide the cores among the runs that go on at once.

        jobs * threads <= cores, unless more jobs are asked for than there are cores

    Args:
        cores: to divide.
        n_jobs: runs at once; -1 for one a core, -2 for one less, as joblib counts.
        runs: there are, since more workers than runs would leave cores idle.

    Raises:
        ConfigError: ``n_jobs`` is 0.
    """
    if n_jobs == 0:
        raise ConfigError(f"{N_JOBS}=0: must be at least 1, or -1 for one run a core")
    wanted = max(1, cores + 1 + n_jobs) if n_jobs < 0 else n_jobs
    jobs = min(wanted, runs)
    return Share(jobs, max(1, cores // jobs))


def cores() -> int:
    """Those that this process may use: a container, or what started it, may have set some of them apart.

    Raises:
        ConfigError: the environment gives joblib a number that is none.
    """
    from joblib import cpu_count

    try:
        return int(cpu_count())
    except ValueError:
        told = os.environ.get(CORES)
        raise ConfigError(f"{CORES}={told}: is no number of cores; set it to one, or unset it") from None


@functools.cache  # once in each process
def settle(parent: int) -> bool:
    """Prepare a worker, if this process is one; whether it is.

    It leaves signals to its runs, and ends soon after the process that started it, which may be killed before it can
    end its workers.
    """
    if os.getpid() == parent:
        return False
    hold_for_good()
    threading.Thread(target=_end_after, args=[parent], daemon=True).start()
    return True


def _end_after(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    end_softly()


def end_softly() -> None:
    """End this process from a thread of its own, with the time for a checkpoint."""
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE)
    os._exit(1)
