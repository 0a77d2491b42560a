"""How the time of an epoch and the peak memory of satae-train grow: ``make growth``.

With the number of samples, in an array that is mapped from its file; the width, the depth, the size of a batch; and
the runs of a sweep. Each series is fitted by a power law; the exponent between its last two points is what it tends to,
free of what a program costs anyway.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks import machine, satae_runs
from benchmarks.power_law import exponent
from benchmarks.report import table
from benchmarks.synthetic import write_array
from benchmarks.tools import ROOT

PATIENCE: Final = 10.0  # seconds to wait for an idle machine


class Series(NamedTuple):
    """One number varied."""

    name: str
    values: Sequence[int]
    samples: int | None  # None where they are what varies
    features: int
    words: str  # for satae-train; {n} is the value, {list} what there is one of for each
    one: str = "{i}"  # of these, the i-th
    whole: bool = False  # whether what is timed is the whole program, not an epoch

    def command(self, value: int) -> list[str]:
        """The words for one value."""
        # not for ten million samples: what this process holds is counted as memory of those that it starts
        listed = ",".join(self.one.format(i=i) for i in range(value)) if "{list}" in self.words else ""
        return self.words.format(n=value, list=listed).split()


SERIES: Final = (
    Series("samples", [10**3, 10**4, 10**5, 10**6, 10**7], None, 16, "arch.widths=[16] epochs=2"),
    Series("width", [64, 128, 256, 512, 1024, 2048], 100_000, 128, "arch.widths=[{n}] epochs=2"),
    Series("depth", [1, 2, 4, 8, 16], 100_000, 128, "arch.widths=[{list}] epochs=2", one="128"),
    Series("batch", [16, 64, 256, 1024, 4096], 100_000, 128, "arch.widths=[128] batch_size={n} epochs=2"),
    Series("runs", [1, 2, 4, 8, 16], 20_000, 16, "-m arch.widths=[16] epochs=1 seed={list}", whole=True),
)


class Point(NamedTuple):
    """One value, measured."""

    value: int
    seconds: float  # of the last epoch's training pass; of the whole for a sweep
    peak_mb: float
    quiet: machine.Quiet


def measure(series: Series, value: int, folder: Path, words: Sequence[str]) -> Point:
    """Train on data of its own.

    Raises:
        RuntimeError: it did not end well.
    """
    data, runs = folder / "x.npy", folder / "runs"
    write_array(data, series.samples or value, series.features)
    program = str(Path(sys.executable).with_name("satae-train"))
    places = [f"hydra.run.dir={runs / '0'}", f"hydra.sweep.dir={runs}"]
    command = [*series.command(value), "data=array", f"data.path={data}", *words, *places]
    ran = machine.run([program, *command], ROOT, folder / "log", patience=PATIENCE)
    if ran.code:
        raise RuntimeError((folder / "log.err").read_text("utf-8"))
    seconds = ran.wall_s if series.whole else satae_runs.read(runs / "0").epoch_s
    shutil.rmtree(runs)
    return Point(value, seconds, ran.peak_mb, ran.quiet)


def text(series: Series, points: Sequence[Point]) -> str:
    """The table of a series, with its exponents."""
    what = "whole sweep, s" if series.whole else "epoch, s"
    rows = [
        [f"{point.value:,}", f"{point.seconds:.3f}", f"{point.peak_mb:,.0f}", "yes" if point.quiet.disturbed else ""]
        for point in points
    ]
    constant = f"{series.samples:,} samples, " if series.samples else ""
    return (
        f"## {series.name}\n\n{constant}{series.features} features; satae-train {series.words}\n\n"
        + table([series.name, what, "peak memory, MB", "machine busy"], rows)
        + f"\n\nexponents: {fitted(points)}\n"
    )


def fitted(points: Sequence[Point]) -> str:
    """The exponents of time and memory, over all points and over the last two."""
    if len(points) < 2:
        return "none of a single point"
    found = {}
    for name in ("seconds", "peak_mb"):
        ends = [[getattr(point, key) for point in points] for key in ("value", name)]
        found[name] = f"{exponent(*ends):.2f} (last two {exponent(*(end[-2:] for end in ends)):.2f})"
    return f"time {found['seconds']}, memory {found['peak_mb']}"


def main() -> None:
    """Measure each series and write growth.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(series.name for series in SERIES), help="some of %(default)s")
    parser.add_argument("--most", type=int, help="leave out larger values of samples, for a smoke test")
    parser.add_argument("--out", type=Path, help="folder for the results; default outputs/growth-<date>")
    parser.add_argument("words", nargs="*", help="further words for satae-train")
    chosen = parser.parse_args()
    names = [series.name for series in SERIES]
    if unknown := set(chosen.only.split(",")) - {*names}:
        parser.error(f"--only: no {', '.join(sorted(unknown))}; choose of {', '.join(names)}")
    out = (chosen.out or ROOT / "outputs" / f"growth-{datetime.now(UTC):%Y-%m-%d-%H-%M}").resolve()
    (out / "work").mkdir(parents=True, exist_ok=True)
    parts = ["# How time and memory grow", "; ".join(f"{k} {v}" for k, v in machine.facts().items()) + ".\n"]
    for series in (series for series in SERIES if series.name in chosen.only.split(",")):
        values = [n for n in series.values if not (chosen.most and series.samples is None and n > chosen.most)]
        parts += [text(series, [measure(series, n, out / "work", chosen.words) for n in values])]
        print(parts[-1], flush=True)
        (out / "growth.md").write_text("\n\n".join(parts), encoding="utf-8")
    shutil.rmtree(out / "work")


if __name__ == "__main__":
    main()
