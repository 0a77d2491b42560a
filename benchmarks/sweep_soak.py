"""Kill a sweep of 40 runs at random moments, resume it, and compare: ``make soak-sweep``.

The program and its worker processes are killed together, as in a power cut. The resumed sweep must end with the table,
the metrics, the weights and the TensorBoard steps of a sweep that was never killed, to the last bit.
"""

from __future__ import annotations

import argparse
import csv
import os
import random
import shutil
import signal
import subprocess
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from benchmarks.report import table
from benchmarks.soak import PROGRAM, TIMED, compare
from benchmarks.tools import ROOT
from satae.runs.layout import RUNS_CSV_FILE
from satae.sweeps.csv_files import RUN_COLUMNS, metric_column

WORDS: Final = (
    *("sweep=soak", "act=relu,satlin", "alpha=0,0.01,0.1,1", "seed=range(5)", "threads=1", "epochs=4"),
    *("data.limit=600", "checkpoint.every_steps=5", "checkpoint.every_minutes=null", "hydra/launcher=joblib"),
)
RUNS: Final = 40
PLACE: Final = Path("outputs", "soak")


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kill", type=int, default=20, help="number of sweeps to kill; default %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="seed of the moments")
    parser.add_argument("--out", type=Path, help="folder; default outputs/soak-sweep-<date>")
    chosen = parser.parse_args()
    out = (chosen.out or ROOT / "outputs" / f"soak-sweep-{datetime.now(UTC):%Y-%m-%d-%H-%M}").resolve()
    (out / "whole").mkdir(parents=True)
    started = time.perf_counter()
    run_sweep(out / "whole").wait()
    seconds = time.perf_counter() - started
    check(out / "whole", out / "whole")
    draw = random.Random(chosen.seed)
    counts = Counter(kill_and_resume(out, number, draw.uniform(0, seconds)) for number in range(chosen.kill))
    rows = [[str(done), str(times)] for done, times in sorted(counts.items())]
    text = f"# Sweeps of {RUNS} runs that were killed\n\n{table(['runs started when it was killed', 'times'], rows)}\n"
    (out / "soak.md").write_text(text, encoding="utf-8")
    print(text)


def run_sweep(folder: Path) -> subprocess.Popen[bytes]:
    """Start a sweep, or resume it."""
    with (folder / "log").open("ab") as log:
        return subprocess.Popen([PROGRAM, *WORDS], cwd=folder, stdout=log, stderr=log, process_group=0)


def kill_and_resume(out: Path, number: int, patience: float) -> int:
    """Kill a sweep after ``patience`` seconds, resume it and check it; returns how many runs had started."""
    folder = out / f"killed-{number}"
    folder.mkdir()
    program = run_sweep(folder)
    try:
        program.wait(patience)
    except subprocess.TimeoutExpired:
        os.killpg(program.pid, signal.SIGKILL)
        program.wait()
    count = len(list(folder.glob(f"{PLACE}/*/run.json")))
    if code := run_sweep(folder).wait():
        raise SystemExit(f"{folder}: {code}:\n{(folder / 'log').read_text()}")
    check(folder, out / "whole")
    shutil.rmtree(folder)
    print(f"{number + 1}: killed after {patience:.1f} s, {count} of {RUNS} runs started: the same", flush=True)
    return count


def check(folder: Path, undisturbed: Path) -> None:
    """Exit at the first difference between two sweeps."""
    ours, theirs = (rows(one / PLACE) for one in (folder, undisturbed))
    if ours != theirs or len(ours) != RUNS:
        raise SystemExit(f"{folder}: the tables differ")
    for row in ours:
        compare(folder / PLACE / row["run"], undisturbed / PLACE / row["run"])


def rows(sweep: Path) -> list[dict[str, str]]:
    """The rows of ``runs.csv`` without times and places."""
    apart = {*RUN_COLUMNS, *map(metric_column, TIMED)}
    with (sweep / RUNS_CSV_FILE).open(encoding="utf-8", newline="") as file:
        return [{key: value for key, value in row.items() if key not in apart} for row in csv.DictReader(file)]


if __name__ == "__main__":
    main()
