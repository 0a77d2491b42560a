"""Write the images as satae-train splits them, for the peers: ``python -m benchmarks.export FOLDER``."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np


def main() -> None:
    """Write train.npy and valid.npy: (N, 1, 28, 28), uint8."""
    from satae.data.mnist import fashion_mnist

    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    data = fashion_mnist()
    for name in ("train", "valid"):
        np.save(folder / f"{name}.npy", getattr(data, name).x.numpy())


if __name__ == "__main__":
    main()
