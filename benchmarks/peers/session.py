"""The arguments, data and output of every peer: ``python -m benchmarks.peers.loop --workload W1 --seed 0 ...``."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.workloads import WORKLOADS, Workload


class Session(NamedTuple):
    """One training of a peer."""

    workload: Workload
    epochs: int
    seed: int
    folder: Path  # for its logs and checkpoints
    train: np.ndarray  # (N, 1, 28, 28) float32, brightness from 0 to 1
    valid: np.ndarray
    mean: np.ndarray  # (1, 28, 28): of the training images, each element
    std: float  # one number for the channel, about ``mean``


def begin() -> Session:
    """Read the command line and the images."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--workload", choices=WORKLOADS, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--limit", type=int, help="images of each split")
    parser.add_argument("--data", type=Path, required=True, help="folder with train.npy and valid.npy")
    parser.add_argument("--out", type=Path, required=True, help="folder for logs and checkpoints")
    arguments = parser.parse_args()
    train, valid = (images(arguments.data / f"{name}.npy", arguments.limit) for name in ("train", "valid"))
    mean = train.mean(axis=0, dtype=np.float64).astype(np.float32)
    std = float(np.sqrt(np.square(train - mean).mean(dtype=np.float64)))
    return Session(
        WORKLOADS[arguments.workload], arguments.epochs, arguments.seed, arguments.out, train, valid, mean, std
    )


def images(path: Path, limit: int | None) -> np.ndarray:
    """The first images of a split, converted once, so that no step has to."""
    return np.load(path, allow_pickle=False)[:limit].astype(np.float32) / np.float32(255)


class Clock:
    """Times the training pass of each epoch: from before its first batch is fetched until its last step is done."""

    def __init__(self, samples: int) -> None:
        self.samples = samples
        self.speeds: list[float] = []
        self._started = 0.0

    def start(self) -> None:
        """An epoch begins."""
        self._started = time.perf_counter()

    def stop(self) -> None:
        """Its last step is done."""
        self.speeds.append(self.samples / (time.perf_counter() - self._started))


def finish(clock: Clock, reconstruction: float, saturation: float, packages: Sequence[str]) -> None:
    """Print what came of it, as the last line.

    Args:
        clock: of the training.
        reconstruction: half the mean squared standardised error on noisy validation images.
        saturation: the penalty on these.
        packages: whose versions matter.
    """
    result = {
        "samples_per_s": clock.speeds,
        "reconstruction": reconstruction,
        "saturation": saturation,
        "versions": {name: version(name) for name in packages},
    }
    print(json.dumps(result), flush=True)
