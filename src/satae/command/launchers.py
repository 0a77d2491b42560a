"""The launchers that make several runs at once: what each run gets of the machine, and what they are told."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Final, NamedTuple

from satae.command import cores, joblib_launcher, ray_launcher, submitit_launcher
from satae.command.arguments import added
from satae.share import Share

KEY: Final = "hydra/launcher"
EXTRAS: Final = ("joblib", "submitit", "ray")  # and how the names of their launchers begin
# by a plugin's own name: a file in conf/ cannot have it too, Hydra would warn of that
READY: Final = {"submitit_local": "submitit_here", "submitit_slurm": "slurm", "ray": "ray_here"}


class Launcher(NamedTuple):
    """A choice in Hydra's group ``hydra/launcher``."""

    target: str  # its class
    options: Mapping[str, Any]

    @property
    def kind(self) -> str:
        """Of its class, such as ``JoblibLauncher``, whatever the configuration is named."""
        return self.target.rpartition(".")[2]


class Asked(NamedTuple):
    """What a launcher is to do."""

    options: Mapping[str, Any]  # its own
    runs: int
    ready: Callable[[], None]  # called in each worker process before anything else, where they are started ahead
    apart: bool  # whether even a single run is to be in a process of its own


def workers(
    launcher: Launcher | None, runs: int, ready: Callable[[], None], *, apart: bool = False
) -> AbstractContextManager[Share | None]:
    """What makes runs, for as long as the context lasts; what each gets of the machine.

    Args:
        launcher: None where Hydra makes one run after another.
        runs: there are.
        ready: called in each worker process before anything else, where they are started ahead.
        apart: whether even a single run is to be in a process of its own.

    Raises:
        ConfigError: the launcher cannot be used as it was asked for.
    """
    if launcher is None or launcher.kind not in MADE or not runs:
        return nullcontext()
    return MADE[launcher.kind](Asked(launcher.options, runs, ready, apart))


def _joblib(asked: Asked) -> AbstractContextManager[Share]:
    return joblib_launcher.workers(asked.options, asked.runs, asked.ready, apart=asked.apart)


@contextmanager
def _local(asked: Asked) -> Iterator[Share]:
    given = _share(asked.options["cpus_per_task"], asked.runs)
    cores.tell(given, asked.runs)
    with submitit_launcher.patient(given.jobs):
        yield given


@contextmanager
def _slurm(asked: Asked) -> Iterator[Share]:
    given = Share(min(asked.options["array_parallelism"], asked.runs), asked.options["cpus_per_task"] or 1)
    print(f"{asked.runs} runs for Slurm, at most {given.jobs} at once", flush=True)  # noqa: T201
    with submitit_launcher.patient(None):
        yield given


@contextmanager
def _ray(asked: Asked) -> Iterator[Share]:
    init, cpus = asked.options["ray"]["init"], asked.options["ray"]["remote"].get("num_cpus")
    if init.get("address") != "local":
        print(f"{asked.runs} runs for Ray", flush=True)  # noqa: T201
        with ray_launcher.patient(local=False):
            yield Share(asked.runs, int(cpus or 1))
        return
    given = _share(cpus, asked.runs)
    cores.tell(given, asked.runs)
    words = [f"hydra.launcher.ray.init.num_cpus={given.jobs * given.threads}"]
    words += [f"hydra.launcher.ray.remote.num_cpus={given.threads}"]
    with added(words), ray_launcher.patient(local=True):
        yield given


# by the class of the launcher
MADE: Final[Mapping[str, Callable[[Asked], AbstractContextManager[Share]]]] = {
    "JoblibLauncher": _joblib,
    "LocalLauncher": _local,
    "SlurmLauncher": _slurm,
    "RayLauncher": _ray,
}


def _share(threads: int | None, runs: int) -> Share:
    """What each run gets of this machine, where it may be said how many threads."""
    there = cores.count()
    if not threads:
        return cores.divided(there, -1, runs)
    threads = min(threads, there)
    return Share(min(there // threads, runs), threads)


def with_ready(words: Sequence[str]) -> list[str]:
    """Overrides with the ready configuration for that of a plugin, if one stands in for it."""
    names = {f"{KEY}={name}": f"{KEY}={ready}" for name, ready in READY.items()}
    return [names.get(word, word) for word in words]


def not_installed(name: str) -> str | None:
    """What to say of a plugin's configuration that is not there; None if it is none that we know."""
    extra = next((extra for extra in EXTRAS if name.startswith(extra)), None)
    return f"{KEY}={name}: is not installed; install it with pip install 'satae[{extra}]'" if extra else None
