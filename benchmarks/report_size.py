"""Measures the time and memory of satae-report for many runs: ``make report-bench``.

The runs are synthetic: each has the files that satae-train writes, with random numbers, and pictures of noise.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import struct
import sys
import tempfile
import zlib
from collections.abc import Iterator
from itertools import islice, product
from pathlib import Path
from typing import Any, Final

from benchmarks import machine
from benchmarks.evaluated import write_evaluation
from benchmarks.report import table
from benchmarks.tools import ROOT

SIZES: Final = (200, 2_000)
ALPHAS: Final = (0, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1)
ACTS: Final = ("relu", "satlin", "tanh", "sigmoid", "shrink")
LEVELS: Final = (0.1, 0.2, 0.3, 0.5, 1.0)
SIDE: Final = 96  # pixels of a picture
CONFIG: Final = """\
act: {{name: {act}}}
arch: {{name: mlp, widths: [512, 64], tied: false, batch_norm: false}}
data: {{name: digits, valid: 0.15, split_seed: 0, limit: null, test: 0.15}}
noise: {{name: gaussian, level: {level}}}
optim: {{name: adam, lr: 0.001, weight_decay: 0.0}}
alpha: {alpha}
alpha_schedule: linear
complement: output
eps: 0.05
epochs: 30
batch_size: 128
seed: {seed}
device: auto
checkpoint: {{every_minutes: 1.0, every_epochs: null, every_steps: null, keep: 2}}
"""
RECORD: Final[dict[str, Any]] = {
    **{"status": "finished", "exit_code": 0, "command": "satae-train -m alpha=... act=... seed=...", "folder": "/"},
    **{"overrides": [], "device": "cpu", "threads": 1, "jobs": 2, "versions": {"satae": "0.1.0", "torch": "2.13.0"}},
    **{"started": "2026-01-31T12:00:00.000+00:00", "ended": "2026-01-31T12:00:05.000+00:00", "wall_s": 5.0},
}
FAILED: Final = {"status": "failed", "exit_code": 3, "error": "NonFiniteLoss: the loss is nan at step 12"}
SHARE_FAILED: Final = 0.02


def write_runs(sweep: Path, count: int, seed: int = 0, *, evaluated: bool = False) -> None:
    """Write run directories into the folder of a sweep.

    Args:
        sweep: the folder; created if needed.
        count: number of runs.
        seed: of the random numbers.
        evaluated: whether each run also has the files that satae-eval writes.
    """
    draw = random.Random(seed)
    for choices in islice(_choices(count), count):
        name = ",".join(f"{key}={value}" for key, value in choices.items())
        write_run(sweep / name, choices, draw)
        if evaluated:
            write_evaluation(sweep / name, choices["alpha"], draw)


def _choices(count: int) -> Iterator[dict[str, Any]]:
    seeds = -(-count // (len(ACTS) * len(LEVELS) * len(ALPHAS)))
    for act, level, alpha, seed in product(ACTS, LEVELS, ALPHAS, range(seeds)):
        yield {"act": act, "level": level, "alpha": alpha, "seed": seed}


def write_run(directory: Path, choices: dict[str, Any], draw: random.Random) -> None:
    """Write the directory of one run."""
    (directory / "pictures").mkdir(parents=True)
    (directory / "config.yaml").write_text(CONFIG.format_map(choices), "utf-8")
    failed = draw.random() < SHARE_FAILED
    (directory / "run.json").write_text(json.dumps(RECORD | (FAILED if failed else {})), "utf-8")
    if not failed:
        (directory / "metrics.json").write_text(json.dumps(_metrics(choices, draw)), "utf-8")
        for name in ("reconstructions", "encoder_filters", "decoder_atoms"):
            (directory / "pictures" / f"{name}.png").write_bytes(png(draw))


def _metrics(choices: dict[str, Any], draw: random.Random) -> dict[str, float]:
    alpha = choices["alpha"]
    measures = {
        "fvu": 0.3 + 0.1 * choices["level"] + 0.15 * alpha + draw.gauss(0, 0.004),
        "saturated_fraction": 0.5 + 0.35 * alpha / (alpha + 0.1) + draw.gauss(0, 0.005),
        "dead_fraction": abs(draw.gauss(0, 0.01)),
        **{key: abs(draw.gauss(1, 0.1)) for key in ("total", "reconstruction", "saturation", "psnr")},
        **{f"saturated_fraction/layer{layer}": draw.random() for layer in (1, 2)},
        "collapsed": 0.0,
    }
    both = {f"{split}/{key}": value for split in ("train", "valid") for key, value in measures.items()}
    return {"alpha": alpha, "lr": 1e-3, **both, "valid/code_sensitivity": draw.random(), "wall_s": 5.0}


def png(draw: random.Random, side: int = SIDE) -> bytes:
    """A grey picture of noise."""
    rows = b"".join(b"\0" + draw.randbytes(side) for _ in range(side))
    head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def measure(count: int, folder: Path, evaluated: bool) -> list[str]:
    """Measure the report of ``count`` runs; returns a row of the table.

    Raises:
        RuntimeError: satae-report failed.
    """
    sweep = folder / str(count)
    write_runs(sweep, count, evaluated=evaluated)
    program = str(Path(sys.executable).with_name("satae-report"))
    ran = machine.run([program, str(sweep)], ROOT, folder / "log", patience=0)
    if ran.code:
        raise RuntimeError((folder / "log.err").read_text("utf-8"))
    page = (sweep / "report" / "index.html").stat().st_size
    shutil.rmtree(sweep)
    return [f"{count:,}", f"{ran.wall_s:.1f}", f"{ran.peak_mb:,.0f}", f"{page / 1e6:.1f}"]


def main() -> None:
    """Measure each size and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sizes", nargs="*", type=int, default=SIZES, help="numbers of runs; default: %(default)s")
    parser.add_argument("--evaluated", action="store_true", help="give every run an evaluation of all parts")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = [measure(count, Path(folder), given.evaluated) for count in given.sizes]
    print(table(["runs", "seconds", "peak memory, MB", "page, MB"], rows))


if __name__ == "__main__":
    main()
