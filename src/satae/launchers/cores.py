"""The cores of this machine, divided among the runs that go on at once."""

from __future__ import annotations

import os
from typing import Final

from satae.config import ConfigError
from satae.launchers.share import Share

N_JOBS: Final = "hydra.launcher.n_jobs"
LIMIT: Final = "LOKY_MAX_CPU_COUNT"  # joblib's, for the cores that may be used


def count() -> int:
    """Those that this process may use: a container, or what started it, may have set some of them apart.

    Raises:
        ConfigError: the environment gives joblib a number that is none.
    """
    from joblib import cpu_count

    try:
        return int(cpu_count())
    except ValueError:
        told = os.environ.get(LIMIT)
        raise ConfigError(f"{LIMIT}={told}: is no number of cores; set it to one, or unset it") from None


def divided(cores: int, n_jobs: int, runs: int) -> Share:
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


def tell(given: Share, runs: int) -> None:
    """Say how many runs go on at once."""
    print(f"{given.jobs} of {runs} runs at once", flush=True)  # noqa: T201
