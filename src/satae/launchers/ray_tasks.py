"""Each run is a task of Ray, which is started on this machine for the sweep or is a cluster that exists."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
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
    print_outcome,
    share_machine,
)
from satae.messages import first_line

POLL_S: Final = 0.2
QUIET: Final = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0", "RAY_DEDUP_LOGS": "0"}
# Ray's servers listen at 127.0.0.1 only if Ray believes that the machine cannot be part of a cluster; if it is given
# that address instead, it searches for another one that other machines can reach
LOCAL: Final = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}


class RayLauncher(Launcher):
    """Makes each run in a task of Ray, waits for all tasks, and cancels them when this program ends.

    On this machine the cores limit how many runs are made at once. If a task is lost, the others continue.
    """

    share: CoreShare

    def __init__(self, options: Options, count: int, prepare: Callable[[], None], stop_file: Path | None) -> None:
        super().__init__(prepare, stop_file)
        self._init, self._remote = dict(options["ray"]["init"]), dict(options["ray"]["remote"])
        threads = self._remote.get("num_cpus")
        os.environ.update(QUIET)
        if self._init.get("address") == "local":
            os.environ.update(LOCAL)
            self.share = share_machine(threads, count)
            self._init["num_cpus"], self._remote["num_cpus"] = self.share.jobs * self.share.threads, self.share.threads
            self.print_share(count)
        else:
            self.share = CoreShare(count, int(threads or 1))
            print(f"{count} runs for Ray", flush=True)  # noqa: T201

    def run(self, work: Work[J], jobs: Sequence[J]) -> None:
        """Make runs, each in a task."""
        import ray

        try:
            with signals.block_signals([signal.SIGHUP]):  # Ray's servers live on while runs end with a checkpoint
                ray.init(**self._init)
        except ConnectionError as error:
            raise ConfigError(first_line(error) or type(error).__name__) from None
        signals.install_handlers(signal.SIGTERM)  # ray.init has replaced ours
        runner = JobRunner(work, self)
        task = ray.remote(**self._remote)(_run_task) if self._remote else ray.remote(_run_task)
        is_cancelled = False
        with signals.hold_signals():
            running = {task.remote(runner, job, os.getcwd()): job.directory for job in jobs}
            while running:
                if signals.pending_signal() is not None and not is_cancelled:
                    is_cancelled = True
                    for reference in running:
                        ray.cancel(reference)  # raises SIGINT in the task's process
                for reference in ray.wait([*running], num_returns=len(running), timeout=POLL_S)[0]:
                    directory = running.pop(reference)
                    self._report(reference, directory)
                    self.print_progress(directory, len(jobs))

    def __exit__(self, *error: object) -> None:
        """Stop Ray on this machine, or disconnect from its cluster."""
        import ray

        ray.shutdown()

    def _report(self, reference: Any, directory: Path) -> None:
        """Print how a run has ended."""
        import ray

        try:
            ray.get(reference)
        except Exception as error:  # Ray's own, or any error of a process that is ending
            if signals.pending_signal() is None:
                close_lost_run(directory, self.stop_file, f" ({type(error).__name__}: {first_line(error)})")
        else:
            print_outcome(directory)


def _run_task(runner: JobRunner[J], job: J, folder: str) -> None:
    """Make one run in a process of Ray, in the folder of the main process instead of the cluster's."""
    signals.hold_signals_in_worker()
    os.chdir(folder)
    runner.run(job)
