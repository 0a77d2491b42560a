"""Joblib's launcher, given worker processes that are ready before the runs are, and that end with them."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager, suppress
from typing import Any

from satae.cli.flags import added
from satae.launchers import cores, worker
from satae.launchers.share import Share
from satae.launchers.worker import Origin
from satae.signals import blocked, held


@contextmanager
def workers(
    options: Mapping[str, Any], runs: int, ready: Callable[[], None], *, apart: bool = False
) -> Iterator[Share]:
    """Worker processes for Hydra's launcher, for as long as the context lasts; what each run gets of the machine.

    They start at once, since each takes as long to import what a run needs as this process takes to check all runs.
    Each has one run at a time, and none is left behind: joblib would put short runs together, and let its workers wait
    for more to do for five minutes; at the end of a program it would take a second to part with them. By then their
    runs are over, or have been given up.

    Args:
        options: of joblib's ``Parallel``.
        runs: there are.
        ready: called in each worker before anything else.
        apart: whether even a single run is to be in a process of its own.

    Raises:
        ConfigError: ``n_jobs`` is 0.
    """
    from joblib import Parallel
    from joblib.externals.loky import get_reusable_executor

    given = cores.divided(cores.count(), options.get("n_jobs", 1), runs)
    jobs = max(2, given.jobs) if apart else given.jobs  # of one joblib would make it in this process
    started: list[Any] = []
    if not apart:
        cores.tell(given, runs)
    try:
        with added([f"++{cores.N_JOBS}={jobs}", "++hydra.launcher.batch_size=1"]):
            if jobs > 1:
                # the launcher's own Parallel will find these workers
                with Parallel(**{**options, "n_jobs": jobs, "backend": "loky"}), blocked():
                    executor = get_reusable_executor(reuse=True)
                    started = [executor.submit(_begin, ready, worker.here()) for _ in range(given.jobs)]
            yield given
            for begun in started:
                with suppress(BrokenExecutor):  # what becomes of the runs tells of it
                    begun.result()
    finally:
        with held():
            get_reusable_executor(reuse=True).shutdown(wait=True, kill_workers=True)


def _begin(ready: Callable[[], None], origin: Origin) -> None:
    worker.settle(origin)
    gc.disable()  # until its first run, see ``collector``
    ready()
