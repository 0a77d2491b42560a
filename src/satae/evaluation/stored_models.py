"""Models that evaluations train once, under names that depend on everything that a model follows from."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from satae.config import ConfigError
from satae.data.local_files import cache_folder, make_once
from satae.evaluation.subject import sha256
from satae.messages import first_line
from satae.runs import provenance
from satae.training import checkpoint

CACHE_FOLDER: Final = "evaluation"  # in the folder of downloaded data sets


def train_once(kind: str, made_of: dict[str, Any], make: Callable[[Path], None]) -> Path:
    """The file of a model; it is trained unless a model of the same origin, program included, is stored.

    Args:
        kind: of the model, the start of the file's name.
        made_of: everything that the model follows from, as plain data.
        make: trains the model and writes the file.

    Raises:
        ConfigError: it cannot be trained or stored.
    """
    key = json.dumps(made_of | provenance.program_version(), sort_keys=True)
    file = cache_folder() / CACHE_FOLDER / f"{kind}-{sha256({}, key)[:20]}.safetensors"
    try:
        if file.is_file() and checkpoint.is_damaged(file):
            file.unlink()
        return make_once(file, make)
    except ValueError as error:
        raise ConfigError(first_line(error)) from None
