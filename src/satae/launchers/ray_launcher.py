"""Ray's launcher, made to wait for every run: one that is lost leaves the others running."""

from __future__ import annotations

import math
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import SimpleNamespace
from typing import Any, Final

from hydra.core.utils import JobReturn, JobStatus, env_override

from satae import signals as interruption
from satae.launchers import over
from satae.printable import first_line

LOOK: Final = 0.2  # seconds between two looks at the runs
QUIET: Final = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0", "RAY_DEDUP_LOGS": "0"}
# all of Ray's servers listen at 127.0.0.1 only if it takes the machine for one that cannot be part of a cluster; given
# that address, it looks for one that others can reach
LOCAL: Final = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}


@contextmanager
def patient(local: bool) -> Iterator[None]:
    """For as long as it lasts, Ray's launcher waits for all of its runs, and ends them when this program ends.

    By itself it raises at the first run whose process is lost, and the end of the program kills the others.

    Args:
        local: whether Ray is started for this program alone, and heard by nobody else.
    """
    with env_override(QUIET | (LOCAL if local else {})):
        import ray
        from hydra_plugins.hydra_ray_launcher import _core

        runs: list[Any] = []
        told: list[Any] = []
        plugin: Any = _core
        launch = plugin.launch_job_on_ray

        def launched(*given: Any) -> Any:
            _hear_again()
            runs.append(launch(*given))
            return runs[-1]

        plugin.launch_job_on_ray = launched
        plugin.ray = SimpleNamespace(get=lambda run: _result(run, runs, told))  # all that it has of Ray
        try:
            yield
        finally:
            plugin.launch_job_on_ray, plugin.ray = launch, ray
            ray.shutdown()


def _result(run: Any, runs: list[Any], told: list[Any]) -> Any:
    """What a run gave; of a lost one, nothing: its folder tells."""
    import ray

    while not ray.wait([run], timeout=LOOK)[0]:
        if interruption.asked() is not None:
            for other in runs:
                ray.cancel(other)  # as Ctrl-C does
            runs.clear()
        _tell(runs, told)
    _tell(runs, told)
    try:
        return ray.get(run)
    except Exception as error:  # Ray's own, and what a process raises as it is taken apart
        if interruption.asked() is None:
            print(f"a run is lost ({type(error).__name__}: {first_line(error)})")  # noqa: T201
        return JobReturn(status=JobStatus.COMPLETED, _return_value=math.nan)


def _tell(runs: list[Any], told: list[Any]) -> None:
    """Show the runs that have ended since the last look; those that are lost are told of as they are awaited."""
    import ray

    done = ray.wait(runs, num_returns=len(runs), timeout=0)[0] if runs else []
    for run in [run for run in done if run not in told]:
        told.append(run)
        with suppress(Exception):  # as above
            over.tell(ray.get(run))


def _hear_again() -> None:
    """Ray has taken SIGTERM for itself."""
    interruption.hear(signal.SIGTERM)
