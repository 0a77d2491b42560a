"""The launchers that make several runs at once: what each run gets of the machine, and what they are told."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Final, NamedTuple

from satae.cli.flags import added
from satae.config.messages import bad_choice, listed, nearest
from satae.launchers import cores, joblib_launcher, ray_launcher, submitit_launcher
from satae.launchers.share import Share

KEY: Final = "hydra/launcher"
OPTION: Final = "hydra.launcher."  # how the names of their options begin
NAMES: Final = ("joblib", "submitit_local", "slurm", "ray", "ray_cluster")  # that one types
# the extra that each plugin comes with, by the plugin's own name
PLUGINS: Final = {"joblib": "joblib", "submitit_local": "submitit", "submitit_slurm": "submitit", "ray": "ray"}
# by a plugin's own name: a file in conf/ cannot have it too, Hydra would warn of that
READY: Final = {"submitit_local": "submitit_here", "submitit_slurm": "slurm", "ray": "ray_here"}
INNER: Final = {"basic", "ray_aws", *PLUGINS, *READY.values()} - {*NAMES}  # that nobody has to type
OPTIONS: Final = {  # that one types, of each
    "joblib": ("n_jobs",),
    "slurm": (
        *("partition", "account", "qos", "constraint", "gres", "mem_gb", "setup", "cpus_per_task"),
        *("timeout_min", "max_num_timeout", "signal_delay_s", "array_parallelism"),
    ),
    "submitit_local": ("cpus_per_task",),
    "ray": ("ray.remote.num_cpus",),
    "ray_cluster": ("ray.remote.num_cpus", "ray.remote.max_retries", "ray.init.address"),
}


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


def not_there(name: str, there: Iterable[str]) -> str:
    """What to say of a launcher that there is not.

    Args:
        name: its own.
        there: those that there are.
    """
    if name in PLUGINS:
        return f"{KEY}={name}: is not installed; install it with pip install 'satae[{PLUGINS[name]}]'"
    return bad_choice(KEY, name, dict.fromkeys([*NAMES, *(other for other in there if other not in INNER)]))


def unknown_option(key: str, chosen: Mapping[str, str]) -> str | None:
    """What to say of an option that the launcher has not; None if it is none of a launcher.

    Args:
        key: as typed.
        chosen: the name of the launcher, if one is chosen, under its own key.
    """
    option = key.removeprefix(OPTION)
    if option == key:
        return None
    if homes := [home for home, own in OPTIONS.items() if option in own]:
        return f"{key}: needs {KEY}={listed(homes)}"
    plugins = {ready: plugin for plugin, ready in READY.items() if plugin in NAMES}
    name = plugins.get(chosen.get(KEY, ""), chosen.get(KEY, ""))
    refused = f"{KEY}={name} has no such option" if name else f"there is no such option without {KEY}="
    own = OPTIONS.get(name, [word for words in OPTIONS.values() for word in words])
    return f"{key}: {refused}{nearest(option, own)} (see satae-train --cfg hydra)"
