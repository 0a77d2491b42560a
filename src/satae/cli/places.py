"""Where a run would write, checked before it does: a place for a new one, the files of one that goes on."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from satae.config import ConfigError
from satae.printable import brief
from satae.runs.layout import RECORD_FILE

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
    check_place(folder, f"{key}={typed}")
    return folder


def check_place(folder: Path, word: str) -> None:
    """Refuse a folder that cannot be written to, or made.

    Args:
        folder: its whole name.
        word: that names it.

    Raises:
        ConfigError: it cannot.
    """
    try:
        there = next(path for path in (folder, *folder.parents) if path.exists())
        if max(len(os.fsencode(part)) for part in folder.parts) > os.pathconf(there, "PC_NAME_MAX"):
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise ConfigError(f"{brief(word)}: cannot write there ({error.strerror}); name another folder") from None


def check_free(folder: Path) -> None:
    """Refuse to write where a run is.

    Raises:
        ConfigError: one is there.
    """
    if (folder / RECORD_FILE).exists():
        raise ConfigError(
            f"{folder} holds a run already; name another folder, go on with it (resume={folder}), or delete it"
        )


def check_files(directory: Path) -> None:
    """Refuse a run directory with other things than files and folders: what is written there would go elsewhere.

    Raises:
        ConfigError: there is one, by name.
    """
    for path in directory.rglob("*"):
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            raise ConfigError(
                f"{path}: is a link, which satae-train does not make, and would write to its end; remove it"
            )
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            raise ConfigError(
                f"{path}: is neither a file nor a folder, which satae-train does not make, and could wait for it for"
                " ever; remove it"
            )
