"""The model of a run, read back from what ``satae-train`` left."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

import torch

from satae.config.saved_config import restore_config
from satae.experiment import build
from satae.model.autoencoder import DenoisingAutoencoder
from satae.printable import brief_line
from satae.training import checkpoint
from satae.training.checkpoint import State
from satae.training.checkpoint_manager import best_path, latest_checkpoint, list_checkpoints


def load(
    run_directory: str | PathLike[str], device: torch.device | str = "cpu", *, best: bool = False
) -> DenoisingAutoencoder:
    """The trained model of a run, in evaluation mode.

    It maps inputs (N, *shape) in the data's own range to reconstructions in that range. Nothing in the directory can
    run code.

    Args:
        run_directory: such as ``outputs/2026-01-31/12-00-00-000000``; or a file that ``satae-export`` wrote with
            ``format=safetensors``.
        device: to load it onto.
        best: take the weights with the lowest loss on the validation split, of the epochs that had all of alpha,
            instead of the newest.

    Raises:
        FileNotFoundError: no checkpoint there.
        OSError: the system does not let it be read.
        ValueError: the checkpoint cannot be read.
    """
    return model_of(state_of(Path(run_directory), best=best), str(run_directory)).to(device).eval()


def state_of(path: Path, *, best: bool = False) -> State:
    """The newest checkpoint of a run, or the best one; or what an exported file holds.

    Raises:
        FileNotFoundError: none there.
        OSError: the system does not let it be read.
        ValueError: it cannot be read.
    """
    if path.is_file():
        if best:
            raise ValueError(f"{path}: is one file; best is for run directories")
        return checkpoint.load(path)
    if best:
        if not best_path(path).is_file() and list_checkpoints(path):
            raise FileNotFoundError(
                f"{path}: no best weights yet: no epoch has ended with all of alpha; take the newest"
            )
        return checkpoint.load(best_path(path))
    if (state := latest_checkpoint(path)) is None:
        raise FileNotFoundError(f"{path}: no checkpoint there; name a run directory that satae-train has made")
    return state


def model_of(state: State, where: str) -> DenoisingAutoencoder:
    """The model in a checkpoint.

    Args:
        state: as it was read.
        where: for the message.

    Raises:
        ValueError: there is none.
    """
    try:
        config, weights = restore_config(state.facts["config"], "its configuration"), state.part("model")
        with torch.device("meta"):  # no memory is taken before the sizes are known to agree
            model = build.model(config, tuple(state.facts["shape"]))
        if other := [name for name, x in model.state_dict().items() if weights[name].dtype != x.dtype]:
            raise ValueError(f"{other[0]} is {weights[other[0]].dtype}")
        model.mean, model.std = weights["mean"], weights["std"]
        shape = tuple(state.facts["shape"])
        if torch.broadcast_shapes(model.mean.shape, model.std.shape, shape) != shape:
            raise ValueError("its standardisation is of another shape")
        model.load_state_dict(weights, assign=True)
    except (KeyError, TypeError, AttributeError, ValueError, RuntimeError) as error:
        reason = brief_line(error)
        raise ValueError(f"{where}: does not hold a model of this program ({reason}); train again") from None
    return model
