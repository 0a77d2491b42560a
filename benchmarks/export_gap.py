"""Measure how far exported models are from the model: ``make export-gap``.

The largest difference between an output of the exported file and of the model, as a share of the largest output, or of
1 if that is less; for each activation, in fully connected and convolutional networks, as programs and as ONNX.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.report import table
from benchmarks.soak import PROGRAM

ARCHS: Final = {
    "mlp": ("arch.widths=[512,64]",),
    "conv": ("arch=conv", "arch.channels=[16,32]", "arch.code=32"),
}
COMMON: Final = ("alpha=0.1", "epochs=2", "threads=1")
FORMATS: Final = ("torch_export", "onnx")


class Gap(NamedTuple):
    """The largest difference of one model in one format."""

    arch: str
    act: str
    form: str
    size: float


def main() -> None:
    """Print the largest difference of each kind of network and format."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--act", nargs="*", help="activations; default all")
    gaps = list(measure(parser.parse_args().act))
    rows = []
    for arch in ARCHS:
        for form in FORMATS:
            largest = max((gap for gap in gaps if (gap.arch, gap.form) == (arch, form)), key=lambda gap: gap.size)
            rows += [[arch, form, f"{largest.size:.2g}", largest.act]]
    print(table(["network", "format", "largest difference", "of act"], rows))


def measure(acts: list[str] | None) -> Iterator[Gap]:
    """Train and export each model in each format."""
    from satae.config.schema import GROUPS

    for act in acts or GROUPS["act"].names():
        for arch, words in ARCHS.items():
            with tempfile.TemporaryDirectory() as folder:
                run = train(Path(folder), act, words)
                for form in FORMATS:
                    yield (gap := Gap(arch, act, form, export_difference(run, form)))
                    print(f"{arch} {act} {form}: {gap.size:.2g}", flush=True)


def train(folder: Path, act: str, words: tuple[str, ...]) -> Path:
    """Train a network and return its run directory; activations without flat levels use another complement."""
    for complement in ("output", "input"):
        command = [PROGRAM, *COMMON, *words, f"act={act}", f"complement={complement}", "hydra.run.dir=run"]
        if subprocess.run(command, cwd=folder, capture_output=True, check=False).returncode == 0:
            return folder / "run"
    raise SystemExit(f"{act} cannot be trained")


def export_difference(run: Path, form: str) -> float:
    """Export a run and return the largest difference that the program prints."""
    from satae.export import run_command

    line = run_command([f"run={run}", f"format={form}"])
    return float(line.partition("difference from the model ")[2].partition(",")[0])


if __name__ == "__main__":
    main()
