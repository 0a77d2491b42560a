"""How far exported models are from the model: ``make export-gap``.

For each activation, fully connected and convolutional, as programs and as ONNX: the largest difference between an
output of what was written and of the model, as a share of the largest output, or of 1 if that is less.
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
    """Train, export and compare, and tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--act", nargs="*", help="activations; default all")
    gaps = list(measured(parser.parse_args().act))
    rows = []
    for arch in ARCHS:
        for form in FORMATS:
            largest = max((gap for gap in gaps if (gap.arch, gap.form) == (arch, form)), key=lambda gap: gap.size)
            rows += [[arch, form, f"{largest.size:.2g}", largest.act]]
    print(table(["network", "format", "largest difference", "of act"], rows))


def measured(acts: list[str] | None) -> Iterator[Gap]:
    """The difference of each model in each format."""
    from satae.config.schema import GROUPS

    for act in acts or GROUPS["act"].names():
        for arch, words in ARCHS.items():
            with tempfile.TemporaryDirectory() as folder:
                run = trained(Path(folder), act, words)
                for form in FORMATS:
                    yield (gap := Gap(arch, act, form, difference_of(run, form)))
                    print(f"{arch} {act} {form}: {gap.size:.2g}", flush=True)


def trained(folder: Path, act: str, words: tuple[str, ...]) -> Path:
    """The directory of a run; activations that are flat nowhere in their values have another complement."""
    for reading in ("output", "input"):
        command = [PROGRAM, *COMMON, *words, f"act={act}", f"complement={reading}", "hydra.run.dir=run"]
        if subprocess.run(command, cwd=folder, capture_output=True, check=False).returncode == 0:
            return folder / "run"
    raise SystemExit(f"{act} cannot be trained")


def difference_of(run: Path, form: str) -> float:
    """The largest difference, on some validation inputs and on one."""
    from satae import export

    return export.export(export.Choices(run, form, run / f"model{export.FORMATS[form].suffix}", best=False)).gap


if __name__ == "__main__":
    main()
