"""Data of any size."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

NUMBERS: Final = 2**22  # drawn at a time


def write_array(path: Path, samples: int, features: int) -> None:
    """Points near a plane of four dimensions, (samples, features) float32, as a ``.npy`` file.

    It is written piece by piece: what this process has held is counted as memory of the programs that it starts.
    """
    draw = np.random.default_rng(0)
    basis = draw.standard_normal((4, features), dtype=np.float32) / 2
    with path.open("wb") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": (samples, features)}
        np.lib.format.write_array_header_1_0(file, header)
        for start in range(0, samples, NUMBERS // features):
            rows = min(NUMBERS // features, samples - start)
            file.write((draw.standard_normal((rows, 4), dtype=np.float32) @ basis).tobytes())
