"""Reading back what ``satae-train`` left."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

import torch

from satae import build
from satae.config import validate
from satae.model.autoencoder import DenoisingAutoencoder
from satae.training import checkpoint


def load(run_directory: str | PathLike[str], device: torch.device | str = "cpu") -> DenoisingAutoencoder:
    """The trained model of a run, in evaluation mode.

    It maps inputs (N, *shape) in the data's own range to reconstructions in that range. Nothing in the directory can
    run code.

    Args:
        run_directory: such as ``outputs/2026-01-31/12-00-00-000000``.
        device: to load it onto.

    Raises:
        FileNotFoundError: no checkpoint there.
        ValueError: the checkpoint cannot be read.
    """
    path = Path(run_directory) / checkpoint.NAME
    state = checkpoint.load(path, device)
    try:
        if "${" in repr(state["config"]):
            raise ValueError("its configuration has interpolations")
        config, weights = validate(state["config"]), state["model"]
        with torch.device("meta"):  # no memory is taken before the sizes are known to agree
            model = build.model(config, tuple(state["shape"]))
        model.mean, model.std = weights["mean"], weights["std"]
        model.load_state_dict(weights, assign=True)
    except (KeyError, TypeError, AttributeError, ValueError, RuntimeError) as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(f"{path}: does not hold a model of this program ({reason}); train again") from None
    return model.to(device).eval()
