"""Loads the trained model of a run, or of an exported file."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from os import PathLike
from pathlib import Path
from typing import Any

import torch

from satae.config import Config
from satae.config.plugins import import_plugins
from satae.config.saved_config import MissingPluginError, restore_config
from satae.data.array_units import ArrayUnits
from satae.errors import ConfigError
from satae.experiment import build
from satae.messages import brief, brief_line, one_line, reason
from satae.model.autoencoder import DenoisingAutoencoder
from satae.runs.layout import FAILED, MANIFEST_FILE, name_one_run
from satae.runs.record import read_record
from satae.training import checkpoint
from satae.training.checkpoint import State, best_path, latest_checkpoint, list_checkpoints


def load(
    run_directory: str | PathLike[str],
    device: torch.device | str = "cpu",
    *,
    best: bool = False,
    ema: bool = False,
    plugins: Sequence[str] = (),
) -> DenoisingAutoencoder:
    """The trained model of a run, in evaluation mode.

    It maps inputs (N, *shape) in the data's own range to reconstructions in that range. ``encode``, ``decode`` and
    ``reconstruct`` also take arrays as the user's file has them. Nothing in the directory can run code.

    Args:
        run_directory: such as ``outputs/2026-01-31/12-00-00-000000``; or a file that ``satae-export`` wrote with
            ``format=safetensors``.
        device: the device of the model.
        best: load the weights with the lowest validation loss, among the epochs that had all of alpha, instead of the
            newest.
        ema: load the newest moving average of the weights, of a run with ``ema=``.
        plugins: files or modules to import first, whose choices the run has; the directory itself names code, and
            runs none.

    Raises:
        FileNotFoundError: the directory has no checkpoint.
        OSError: the system refuses to read it.
        ValueError: the checkpoint is damaged, holds no model of this program, no average, or one of a plugin that is
            not imported.
    """
    import_plugins(plugins)
    path = Path(run_directory)
    state = read_state(path, best=best, ema=ema)
    model = restore_model(state, str(run_directory)).to(device).eval()
    model.units = _read_units(path, state)
    return model


def _read_units(path: Path, state: State) -> ArrayUnits:
    """The units of the data that a model was trained on; unknown ones are those of the model."""
    record, shape = dict[str, Any](), tuple(state.facts["shape"])
    with suppress(ConfigError, OSError):
        record = read_record(path)
    facts = state.facts.get("units") or record.get("data")
    options = state.facts["config"]["data"]
    layout = str(options.get("layout")) if isinstance(options, dict) else ""
    return ArrayUnits.of(shape, facts if isinstance(facts, dict) else {}, record.get("assumptions", ()), layout)


def read_state(path: Path, *, best: bool = False, ema: bool = False) -> State:
    """Read the newest checkpoint of a run, or its best weights, or its averaged weights, or an exported file.

    Raises:
        FileNotFoundError: there is no such checkpoint.
        OSError: the system refuses to read it.
        ValueError: it is damaged, or no checkpoint of this program; or there are no such weights.
    """
    if ema:
        if best:
            raise ValueError("best=true ema=true: the average is of the newest weights; choose one of both")
        try:
            return read_state(path).averaged()
        except ValueError as error:
            named = str(error).startswith(one_line(path))
            raise ValueError(str(error) if named else f"{one_line(path)}: {error}") from None
    if path.is_file():
        if best:
            raise ValueError(f"{one_line(path)}: is one file; best is for run directories")
        return checkpoint.load(path)
    if best:
        if not best_path(path).is_file() and list_checkpoints(path):
            raise FileNotFoundError(
                f"{one_line(path)}: no best weights yet: no epoch has ended with all of alpha; take the newest"
            )
        if not best_path(path).is_file() and path.is_dir():
            raise FileNotFoundError(f"{one_line(path)}: {_why_no_checkpoint(path)}")
        return checkpoint.load(best_path(path))
    if (state := latest_checkpoint(path)) is None:
        raise FileNotFoundError(f"{one_line(path)}: {_why_no_checkpoint(path)}")
    return state


def read_start(config: Config) -> State | None:
    """Read the state of the run from whose weights a new run starts; None if it starts from random weights.

    Raises:
        ConfigError: it cannot be read.
    """
    if config.start is None:
        return None
    shown = one_line(config.start)
    try:
        return read_state(Path(config.start), best=config.start_best)
    except (OSError, ValueError) as error:
        raise ConfigError(f"start={shown}: {reason(error).removeprefix(f'{shown}: ')}") from None


def _why_no_checkpoint(path: Path) -> str:
    """Why a folder holds no checkpoint, and what to name instead."""
    if (path / MANIFEST_FILE).is_file():
        return name_one_run(path)
    try:
        record = read_record(path)
    except (ConfigError, OSError):
        return "no checkpoint there; name a run directory that satae-train has made"
    if record["status"] == FAILED:
        code = f" (exit code {brief(record['exit_code'])})" if "exit_code" in record else ""
        return f"no checkpoint there: the run failed in training{code} before its first one, so there is no model"
    return f"no checkpoint there: the status of the run is {brief(record['status'])}"


def restore_model(state: State, where: str) -> DenoisingAutoencoder:
    """Build the model in a checkpoint.

    Args:
        state: the content of the checkpoint.
        where: its file or run directory, for the error message.

    Raises:
        ValueError: the checkpoint holds no model of this program.
    """
    try:
        config, weights = restore_config(state.facts["config"], "its configuration"), state.part("model")
        shape = tuple(state.facts["shape"])
        with torch.device("meta"):  # takes no memory before the sizes are known to agree
            model = build.model(config, shape)
        if other := [name for name, x in model.state_dict().items() if weights[name].dtype != x.dtype]:
            raise ValueError(f"{other[0]} is {weights[other[0]].dtype}")
        model.mean, model.std = weights["mean"], weights["std"]
        if torch.broadcast_shapes(model.mean.shape, model.std.shape, shape) != shape:
            raise ValueError("its standardization is of another shape")
        model.load_state_dict(weights, assign=True)
    except MissingPluginError as error:
        remedy = "; in Python, import it first, or satae.load(..., plugins=[...])"
        raise ConfigError(f"{one_line(where)}: {str(error).partition(': ')[2]}{remedy}") from None
    except (KeyError, TypeError, AttributeError, ValueError, RuntimeError) as error:
        reason = brief_line(error)
        raise ValueError(f"{one_line(where)}: does not hold a model of this program ({reason}); train again") from None
    return model
