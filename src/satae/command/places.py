"""Where a run would write, checked before it does."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from omegaconf import DictConfig, OmegaConf

from satae import run_directory
from satae.config.messages import ConfigError

RUN, SWEEP, SUBDIRECTORY = "hydra.run.dir", "hydra.sweep.dir", "hydra.sweep.subdir"


class Place(NamedTuple):
    """Where a run would write."""

    folder: Path
    name: str  # the end of it, which tells the runs of a sweep apart: the rest may hold the time


def place(composed: DictConfig, multirun: bool) -> Place:
    """Where a run would write.

    Args:
        composed: a configuration with its ``hydra`` node.
        multirun: whether the run is one of a sweep.

    Raises:
        ConfigError: no name, no permission, no folder.
    """
    keys = (SWEEP, SUBDIRECTORY) if multirun else (RUN,)
    typed = [_named(composed, key) for key in keys]
    folder = Path(*typed).absolute()
    option = ", ".join(f"{key}={name}" for key, name in zip(keys, typed, strict=True))
    try:
        there = next(path for path in (folder, *folder.parents) if path.exists())
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise ConfigError(f"{option}: cannot write there ({error.strerror}); name another folder") from None
    return Place(folder, typed[-1])


def _named(composed: DictConfig, key: str) -> str:
    name = OmegaConf.select(composed, key)
    if not name:
        raise ConfigError(f"{key}=: is empty; name a folder, or leave it out")
    return str(name)


def check_free(places: Sequence[Place]) -> None:
    """Refuse to write where another run is, or would write too.

    Raises:
        ConfigError: one is there, or two runs of a sweep would share a folder.
    """
    names = [name for _, name in places]
    for folder, name in places:
        if (folder / run_directory.RUN).exists():
            raise ConfigError(
                f"{folder} holds a run already; name another folder, go on with it (resume={folder}), or delete it"
            )
        if names.count(name) > 1:
            raise ConfigError(
                f"{SUBDIRECTORY}={name}: several runs would write there; leave it out, so that they are numbered"
            )
