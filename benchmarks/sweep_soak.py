"""Kill a sweep of 40 runs at random moments, go on with it, and compare: ``make soak-sweep``.

The program and its worker processes are killed together, as when the power goes. Gone on with, the sweep must end with
the table, the metrics, the weights and the TensorBoard steps of one that nobody disturbed, to the last bit.
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
from benchmarks.ways import ROOT
from satae.sweeps.table import CSV_FACTS, RUNS_CSV_FILE, metric_column

WORDS: Final = (
    *("sweep=soak", "act=relu,satlin", "alpha=0,0.01,0.1,1", "seed=range(5)", "threads=1", "epochs=4"),
    *("data.limit=600", "checkpoint.every_steps=5", "checkpoint.every_minutes=null", "hydra/launcher=joblib"),
)
RUNS: Final = 40
PLACE: Final = Path("outputs", "soak")


def main() -> None:
    """Kill as many times as is asked, and tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kill", type=int, default=20, help="sweeps that are killed; default %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--out", type=Path, help="folder; default outputs/soak-sweep-<date>")
    chosen = parser.parse_args()
    out = (chosen.out or ROOT / "outputs" / f"soak-sweep-{datetime.now(UTC):%Y-%m-%d-%H-%M}").resolve()
    (out / "whole").mkdir(parents=True)
    begun = time.perf_counter()
    make(out / "whole").wait()
    seconds = time.perf_counter() - begun
    check(out / "whole", out / "whole")
    draw = random.Random(chosen.seed)
    counts = Counter(killed(out, number, draw.uniform(0, seconds)) for number in range(chosen.kill))
    rows = [[str(done), str(times)] for done, times in sorted(counts.items())]
    text = f"# Sweeps of {RUNS} runs that were killed\n\n{table(['runs begun when it was killed', 'times'], rows)}\n"
    (out / "soak.md").write_text(text, encoding="utf-8")
    print(text)


def make(folder: Path) -> subprocess.Popen[bytes]:
    """Begin a sweep, or go on with it."""
    with (folder / "log").open("ab") as log:
        return subprocess.Popen([PROGRAM, *WORDS], cwd=folder, stdout=log, stderr=log, process_group=0)


def killed(out: Path, number: int, patience: float) -> int:
    """A sweep that is killed once and gone on with; how many of its runs had begun."""
    folder = out / f"killed-{number}"
    folder.mkdir()
    program = make(folder)
    try:
        program.wait(patience)
    except subprocess.TimeoutExpired:
        os.killpg(program.pid, signal.SIGKILL)
        program.wait()
    begun = len(list(folder.glob(f"{PLACE}/*/run.json")))
    if code := make(folder).wait():
        raise SystemExit(f"{folder}: {code}:\n{(folder / 'log').read_text()}")
    check(folder, out / "whole")
    shutil.rmtree(folder)
    print(f"{number + 1}: killed after {patience:.1f} s, {begun} of {RUNS} runs begun: the same", flush=True)
    return begun


def check(folder: Path, undisturbed: Path) -> None:
    """Stop at the first difference."""
    ours, theirs = (rows(one / PLACE) for one in (folder, undisturbed))
    if ours != theirs or len(ours) != RUNS:
        raise SystemExit(f"{folder}: the tables differ")
    for row in ours:
        compare(folder / PLACE / row["run"], undisturbed / PLACE / row["run"])


def rows(sweep: Path) -> list[dict[str, str]]:
    """The table of all runs, but for their times and where they were made."""
    apart = {*CSV_FACTS, *map(metric_column, TIMED)}
    with (sweep / RUNS_CSV_FILE).open(encoding="utf-8", newline="") as file:
        return [{key: value for key, value in row.items() if key not in apart} for row in csv.DictReader(file)]


if __name__ == "__main__":
    main()
