"""Launchers by name: the choices of ``hydra/launcher=``, and the launcher that a configuration chooses."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from satae.errors import ConfigError
from satae.launchers.base import Launcher, Options
from satae.launchers.joblib_workers import JoblibLauncher
from satae.launchers.ray_tasks import RayLauncher
from satae.launchers.submitit_jobs import SubmititLauncher
from satae.messages import did_you_mean, join_words, unknown_choice

LAUNCHER_GROUP: Final = "hydra/launcher"
LAUNCHER_OPTION: Final = "hydra.launcher."  # prefix of their options


class LauncherChoice(NamedTuple):
    """A word that a user can type after ``hydra/launcher=``."""

    extra: str  # what to install: pip install 'satae[extra]'
    plugin: str  # the configuration that the extra's Hydra plugin provides
    config: str  # our configuration in conf/hydra/launcher; with the plugin's name Hydra would warn about it
    options: tuple[str, ...]  # what users change


SLURM_OPTIONS: Final = (
    "partition",
    "account",
    "qos",
    "constraint",
    "gres",
    "mem_gb",
    "setup",
    "cpus_per_task",
    "timeout_min",
    "max_num_timeout",
    "signal_delay_s",
    "array_parallelism",
)
TEXT_OPTIONS: Final = (  # of Slurm's and submitit's, those of type text
    *("partition", "account", "qos", "constraint", "gres", "comment", "exclude", "name"),
    *("mem_per_gpu", "mem_per_cpu", "submitit_folder"),
)
LAUNCHERS: Final = {
    "joblib": LauncherChoice("joblib", "joblib", "joblib", ("n_jobs",)),
    "submitit_local": LauncherChoice("submitit", "submitit_local", "submitit_here", ("cpus_per_task",)),
    "slurm": LauncherChoice("submitit", "submitit_slurm", "slurm", SLURM_OPTIONS),
    "ray": LauncherChoice("ray", "ray", "ray_here", ("ray.remote.num_cpus",)),
    "ray_cluster": LauncherChoice(
        "ray", "ray", "ray_cluster", ("ray.remote.num_cpus", "ray.remote.max_retries", "ray.init.address")
    ),
}
PLUGINS: Final = {choice.plugin: choice for choice in reversed(LAUNCHERS.values())}  # "ray" has two: the first
INNER_NAMES: Final = {"basic", "ray_aws", *PLUGINS, *(choice.config for choice in LAUNCHERS.values())} - {*LAUNCHERS}
CLASSES: Final[Mapping[str, Callable[[Options, int, Callable[[], None], Path | None], Launcher]]] = {
    # by the name of the class in ``_target_``, which is never imported
    "JoblibLauncher": JoblibLauncher,
    "LocalLauncher": partial(SubmititLauncher, cluster="local"),
    "SlurmLauncher": partial(SubmititLauncher, cluster="slurm"),
    "RayLauncher": RayLauncher,
}


def open_launcher(
    options: Options | None, count: int, prepare: Callable[[], None], stop_file: Path | None = None
) -> Launcher:
    """The launcher that a configuration chooses, a context manager.

    Args:
        options: ``hydra.launcher``, with its ``_target_``; None for one run after another.
        count: the number of runs.
        prepare: imports what a run needs; worker processes call it as they start.
        stop_file: created when a run fails; then no more runs start, and runs in other processes end with a
            checkpoint. None if a failed run does not stop the others.

    Raises:
        ConfigError: the launcher is another package's, or one of its options cannot be used.
    """
    target = "BasicLauncher" if options is None else str(options["_target_"])
    name = target.rpartition(".")[2]
    if name == "BasicLauncher" or not count:
        return Launcher(prepare, stop_file)
    if name not in CLASSES:
        raise ConfigError(f"{LAUNCHER_GROUP}: satae cannot use {target}; choose one of {', '.join(LAUNCHERS)}")
    return CLASSES[name]({k: v for k, v in (options or {}).items() if k != "_target_"}, count, prepare, stop_file)


def replace_plugin_names(words: Sequence[str]) -> list[str]:
    """Overrides in which our configuration of a launcher replaces that of its plugin."""
    names = {f"{LAUNCHER_GROUP}={plugin}": f"{LAUNCHER_GROUP}={choice.config}" for plugin, choice in PLUGINS.items()}
    return [names.get(word, word) for word in words]


def unknown_launcher_message(name: str, known: Iterable[str]) -> str:
    """The message about a launcher, or the plugin that its configuration needs, which is not ``known`` to Hydra."""
    if name in PLUGINS:
        return f"{LAUNCHER_GROUP}={name}: is not installed; install it with pip install 'satae[{PLUGINS[name].extra}]'"
    own = [other for other in known if other not in INNER_NAMES]
    return unknown_choice(LAUNCHER_GROUP, name, dict.fromkeys([*LAUNCHERS, *own]))


def unknown_option_message(key: str, chosen: Mapping[str, str]) -> str | None:
    """The message about an option that the ``chosen`` launcher does not have; None for an option of another kind."""
    option = key.removeprefix(LAUNCHER_OPTION)
    if option == key:
        return None
    if homes := [name for name, choice in LAUNCHERS.items() if option in choice.options]:
        return f"{key}: needs {LAUNCHER_GROUP}={join_words(homes)}"
    config = chosen.get(LAUNCHER_GROUP, "")
    name = next((name for name, choice in LAUNCHERS.items() if choice.config == config), config)
    refused = f"{LAUNCHER_GROUP}={name} has no such option" if name else f"no such option without {LAUNCHER_GROUP}="
    known = LAUNCHERS[name].options if name in LAUNCHERS else [o for c in LAUNCHERS.values() for o in c.options]
    return f"{key}: {refused}{did_you_mean(option, known)} (see satae-train --cfg hydra)"
