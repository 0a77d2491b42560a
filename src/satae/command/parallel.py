"""Several runs at once, in worker processes: how many, with how many threads each, and how they end."""

from __future__ import annotations

import functools
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

from satae.config.messages import ConfigError

LAUNCHER: Final = "joblib"  # its name in Hydra's group hydra/launcher
N_JOBS: Final = "hydra.launcher.n_jobs"
EXTRA: Final = "pip install 'satae[joblib]'"


class Share(NamedTuple):
    """What each of several runs at once gets of the machine."""

    jobs: int  # runs at once
    threads: int  # of torch, in each


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
    """Those that this process may use: a container, or what started it, may have set some of them apart."""
    from joblib import cpu_count

    return int(cpu_count())


@contextmanager
def workers(jobs: int) -> Iterator[None]:
    """Have Hydra's launcher use so many workers, one run at a time each, and leave none of them behind.

    joblib would put short runs together, and let its workers wait for more to do for five minutes; at the end of a
    program it would take a second to part with them. Their runs are over by then, or have been given up.
    """
    from joblib.externals.loky import get_reusable_executor

    before = list(sys.argv)
    sys.argv += [f"{N_JOBS}={jobs}", "hydra.launcher.batch_size=1"]
    try:
        yield
    finally:
        sys.argv[:] = before
        get_reusable_executor(reuse=True).shutdown(wait=True, kill_workers=True)


@functools.cache  # once in each worker
def leave_with(parent: int) -> None:
    """End a worker soon after the process that started it, which may be killed before it can end its workers."""
    if os.getpid() != parent:
        threading.Thread(target=_end_after, args=[parent], daemon=True).start()


def _end_after(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)
