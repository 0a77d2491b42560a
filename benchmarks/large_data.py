"""Data larger than memory should take, and more files than one wants to open twice: peak memory and time to start.

python -m benchmarks.large_data array /tmp/large       # 4 GB of numbers: trains one epoch
python -m benchmarks.large_data folder /tmp/large      # 100,000 small images: starts twice
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

import numpy as np

from benchmarks import machine
from benchmarks.synthetic import write_array

ROWS, FEATURES = 1_310_720, 784  # 4.1 GB of float32
IMAGES, SHAPE = 100_000, (40, 48)


def write_images(folder: Path) -> None:
    """Smooth colour images in ten folders."""
    from PIL import Image

    draw = np.random.default_rng(0)
    for number in range(IMAGES):
        place = folder / str(number % 10)
        place.mkdir(parents=True, exist_ok=True)
        coarse = Image.fromarray(draw.integers(0, 256, (5, 6, 3), dtype=np.uint8))
        coarse.resize(SHAPE[::-1]).save(place / f"{number:06}.png", compress_level=1)


def train(folder: Path, *words: str) -> None:
    """Run satae-train; print the command, its time and its peak memory."""
    program = str(Path(sys.executable).with_name("satae-train"))
    told = [program, *words, f"hydra.run.dir={folder / 'run'}"]
    ran = machine.run(told, folder, folder / "log", {"SATAE_DATA_DIR": str(folder / "cache")})
    if ran.code:
        sys.exit((folder / "log.err").read_text("utf-8"))
    print(f"satae-train {' '.join(words)}\n    {ran.wall_s:.1f} s, peak memory {ran.peak_mb / 1e3:.2f} GB")
    shutil.rmtree(folder / "run")


def main() -> None:
    """Write the data, unless they are there, and train on them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=["array", "folder"])
    parser.add_argument("place", type=Path, help="a folder with 5 GB to spare")
    chosen = parser.parse_args()
    chosen.place = chosen.place.resolve()
    chosen.place.mkdir(parents=True, exist_ok=True)
    if chosen.kind == "array":
        path = chosen.place / "large.npy"
        if not path.exists():
            write_array(path, ROWS, FEATURES)
        train(chosen.place, "data=array", f"data.path={path}", "epochs=1", "arch.widths=[64]")
    else:
        path = chosen.place / "images"
        if not path.exists():
            write_images(path)
        shutil.rmtree(chosen.place / "cache", ignore_errors=True)
        for _ in range(2):
            train(chosen.place, "data=folder", f"data.path={path}", "data.limit=1000", "epochs=1", "arch.widths=[64]")


if __name__ == "__main__":
    main()
