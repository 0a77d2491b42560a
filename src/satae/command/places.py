"""Where a run would write, checked before it does."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from satae.config.messages import ConfigError

RUN, SWEEP, SUBDIRECTORY = "hydra.run.dir", "hydra.sweep.dir", "hydra.sweep.subdir"


def place(composed: DictConfig, multirun: bool) -> Path:
    """Where a run would write; in a sweep, the part of it that tells the run from the others.

    Args:
        composed: a configuration with its ``hydra`` node.
        multirun: whether the run is one of a sweep.

    Raises:
        ConfigError: no name, no permission, no folder, or a run is there already.
    """
    keys = (SWEEP, SUBDIRECTORY) if multirun else (RUN,)
    typed = [_named(composed, key) for key in keys]
    folder = Path(*typed).absolute()
    option = ", ".join(f"{key}={name}" for key, name in zip(keys, typed, strict=True))
    try:
        taken = (folder / "run.json").exists()
        there = next(path for path in (folder, *folder.parents) if path.exists())
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise ConfigError(f"{option}: cannot write there ({error.strerror}); name another folder") from None
    if taken:
        raise ConfigError(f"{option}: {folder} holds a run already; name another folder, or delete that one")
    return Path(typed[-1])


def _named(composed: DictConfig, key: str) -> str:
    name = OmegaConf.select(composed, key)
    if not name:
        raise ConfigError(f"{key}=: is empty; name a folder, or leave it out")
    return str(name)


def check_apart(places: Sequence[Path]) -> None:
    """Refuse a sweep of which two runs would write to one directory.

    Raises:
        ConfigError: they would.
    """
    if shared := [path for path in places if places.count(path) > 1]:
        raise ConfigError(
            f"{SUBDIRECTORY}={shared[0]}: several runs would write there; leave it out, so that they are numbered"
        )
