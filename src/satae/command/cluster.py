"""The launchers that make several runs at once: what each run gets of the machine, and what they are told."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

from satae.command import parallel, remote, submitted
from satae.share import Share

KEY: Final = "hydra/launcher"
EXTRAS: Final = ("joblib", "submitit", "ray")  # and how the names of their launchers begin
# by a plugin's own name: a file in conf/ cannot have it too, Hydra would warn of that
READY: Final = {"submitit_local": "submitit_here", "submitit_slurm": "slurm", "ray": "ray_here"}


class Launcher(NamedTuple):
    """A choice in Hydra's group ``hydra/launcher``."""

    name: str
    target: str  # its class
    options: Mapping[str, Any]

    @property
    def kind(self) -> str:
        """Of its class, such as ``JoblibLauncher``, whatever the configuration is named."""
        return self.target.rpartition(".")[2]


@contextmanager
def workers(
    launcher: Launcher | None, runs: int, ready: Callable[[], None], *, apart: bool = False
) -> Iterator[Share | None]:
    """What makes runs, for as long as the context lasts; what each gets of the machine.

    Args:
        launcher: None where Hydra makes one run after another.
        runs: there are.
        ready: called in each worker process before anything else, where they are started ahead.
        apart: whether even a single run is to be in a process of its own.

    Raises:
        ConfigError: the launcher cannot be used as it was asked for.
    """
    if launcher is not None and launcher.kind in MADE and runs:
        with MADE[launcher.kind](launcher.options, runs) as given:
            yield given
    else:
        options = launcher.options if launcher is not None and launcher.name == parallel.LAUNCHER else None
        with parallel.workers(options, runs, ready, apart=apart) as shared:
            yield shared


@contextmanager
def _local(options: Mapping[str, Any], runs: int) -> Iterator[Share]:
    given = _share(options["cpus_per_task"], runs)
    _tell(given, runs)
    with submitted.patient(given.jobs):
        yield given


@contextmanager
def _slurm(options: Mapping[str, Any], runs: int) -> Iterator[Share]:
    given = Share(min(options["array_parallelism"], runs), options["cpus_per_task"] or 1)
    print(f"{runs} runs for Slurm, at most {given.jobs} at once", flush=True)  # noqa: T201
    with submitted.patient(None):
        yield given


@contextmanager
def _ray(options: Mapping[str, Any], runs: int) -> Iterator[Share]:
    init, cpus = options["ray"]["init"], options["ray"]["remote"].get("num_cpus")
    if init.get("address") != "local":
        print(f"{runs} runs for Ray", flush=True)  # noqa: T201
        with remote.patient(local=False):
            yield Share(runs, int(cpus or 1))
        return
    given = _share(cpus, runs)
    _tell(given, runs)
    words = [f"hydra.launcher.ray.init.num_cpus={given.jobs * given.threads}"]
    words += [f"hydra.launcher.ray.remote.num_cpus={given.threads}"]
    with _added(words), remote.patient(local=True):
        yield given


MADE: Final = {"LocalLauncher": _local, "SlurmLauncher": _slurm, "RayLauncher": _ray}  # by the class of the launcher


def _share(threads: int | None, runs: int) -> Share:
    """What each run gets of this machine, where it may be said how many threads."""
    cores = parallel.cores()
    if not threads:
        return parallel.share(cores, -1, runs)
    threads = min(threads, cores)
    return Share(min(cores // threads, runs), threads)


def _tell(given: Share, runs: int) -> None:
    print(f"{given.jobs} of {runs} runs at once", flush=True)  # noqa: T201


@contextmanager
def _added(words: list[str]) -> Iterator[None]:
    before = list(sys.argv)
    sys.argv += words
    try:
        yield
    finally:
        sys.argv[:] = before


def with_ready(words: Sequence[str]) -> list[str]:
    """Overrides with the ready configuration for that of a plugin, if one stands in for it."""
    names = {f"{KEY}={name}": f"{KEY}={ready}" for name, ready in READY.items()}
    return [names.get(word, word) for word in words]


def not_installed(name: str) -> str | None:
    """What to say of a plugin's configuration that is not there; None if it is none that we know."""
    extra = next((extra for extra in EXTRAS if name.startswith(extra)), None)
    return f"{KEY}={name}: is not installed; install it with pip install 'satae[{extra}]'" if extra else None
