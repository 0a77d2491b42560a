"""Where a run would write, checked before it does."""

from __future__ import annotations

import tempfile
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from satae.config.messages import ConfigError
from satae.run_directory import RUN

RUN_FOLDER, SWEEP_FOLDER = "hydra.run.dir", "hydra.sweep.dir"
SUBFOLDER = "hydra.sweep.subdir"  # of a run in that of its sweep


def place(composed: DictConfig, multirun: bool) -> Path:
    """Where a run would write, or a sweep.

    Args:
        composed: a configuration with its ``hydra`` node.
        multirun: whether the run is one of a sweep.

    Raises:
        ConfigError: no name, no permission, no folder.
    """
    key = SWEEP_FOLDER if multirun else RUN_FOLDER
    typed = OmegaConf.select(composed, key)
    if not typed:
        raise ConfigError(f"{key}=: is empty; name a folder, or leave it out")
    folder = Path(typed).absolute()
    try:
        there = next(path for path in (folder, *folder.parents) if path.exists())
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise ConfigError(f"{key}={typed}: cannot write there ({error.strerror}); name another folder") from None
    return folder


def check_free(folder: Path) -> None:
    """Refuse to write where a run is.

    Raises:
        ConfigError: one is there.
    """
    if (folder / RUN).exists():
        raise ConfigError(
            f"{folder} holds a run already; name another folder, go on with it (resume={folder}), or delete it"
        )
