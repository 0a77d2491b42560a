"""One sweep of 40 runs under each launcher, with the same metrics, and the cost of each: ``make launchers``.

The metrics of all runs must be the same to the last bit. The cost of a launcher is the seconds of a worker that each
run takes outside its record, which covers building, training, measuring, pictures and checkpoints.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import time
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, NamedTuple

from benchmarks import satae_runs
from benchmarks.report import table
from benchmarks.soak import PROGRAM, TIMED
from benchmarks.tools import ROOT

WORDS: Final = ("sweep=s", "act=relu,satlin", "alpha=0,0.01,0.1,1", "seed=range(5)", "epochs=20", "threads=1")
LAUNCHERS: Final = ("basic", "joblib", "submitit_local", "ray")
RUNS: Final = 40


class Sweep(NamedTuple):
    """What one sweep took and measured."""

    wall_s: float
    runs: dict[str, dict[str, Any]]  # by name: metrics.json
    records: list[dict[str, Any]]  # run.json of each

    @property
    def jobs(self) -> int:
        """Runs at once."""
        return int(self.records[0].get("jobs", 1))

    @property
    def outside_record_s(self) -> float:
        """Seconds of a worker that each run takes outside its record."""
        return satae_runs.overhead(self.wall_s, self.jobs, [run["wall_s"] for run in self.runs.values()])


def main() -> None:
    """Make the sweeps and print a table."""
    installed = [name for name in LAUNCHERS if name != "ray" or find_spec("ray")]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "launchers", nargs="*", default=installed, help=f"of {', '.join(LAUNCHERS)}; default: all that are installed"
    )
    chosen = parser.parse_args().launchers
    out = ROOT / "outputs" / f"launchers-{datetime.now(UTC):%Y-%m-%d-%H-%M}"
    made = {name: make(name, out / name) for name in chosen}
    first = made[chosen[0]]
    for name, sweep in made.items():
        if untimed(sweep) != untimed(first) or len(sweep.runs) != RUNS:
            raise SystemExit(f"{out / name}: the metrics differ from those of {chosen[0]}")
    rows = [
        [name, f"{sweep.wall_s:.1f}", f"{sweep.jobs} x {sweep.records[0]['threads']}", f"{sweep.outside_record_s:.2f}"]
        for name, sweep in made.items()
    ]
    print(table(["launcher", "wall time, s", "runs at once x threads", "outside the record of a run, s"], rows))
    print(f"the metrics of all {RUNS} runs are the same, to the last bit")


def make(launcher: str, folder: Path) -> Sweep:
    """Make the sweep under a launcher."""
    folder.mkdir(parents=True)
    start = time.perf_counter()
    with (folder / "log").open("wb") as log:
        words = [PROGRAM, *WORDS, f"hydra/launcher={launcher}"]
        subprocess.run(words, cwd=folder, stdout=log, stderr=log, check=True)
    wall = time.perf_counter() - start
    runs = sorted(path.parent for path in folder.glob("outputs/s/*/run.json"))
    metrics = {run.name: json.loads((run / "metrics.json").read_text("utf-8")) for run in runs}
    return Sweep(wall, metrics, [json.loads((run / "run.json").read_text("utf-8")) for run in runs])


def untimed(sweep: Sweep) -> dict[str, dict[str, Any]]:
    """The metrics of the runs without their times."""
    return {
        name: {key: value for key, value in metrics.items() if key not in TIMED} for name, metrics in sweep.runs.items()
    }


if __name__ == "__main__":
    main()
