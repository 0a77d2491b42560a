"""A sweep at a glance: one row for each configuration, its seeds taken together, and a CSV file of all runs."""

from __future__ import annotations

import csv
import json
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from rich.console import Console
from rich.table import Table

from satae.run_directory import METRICS, RUN
from satae.tracking.console import shorten
from satae.tracking.record import read

COLUMNS: Final = {
    "valid/fvu": "valid fvu",
    "valid/saturated_fraction": "saturated",
    "valid/dead_fraction": "dead",
    "valid/code_sensitivity": "sensitivity",
    "valid/energy": "energy",
    "valid/low_energy_area": "low-energy area",
}
FILE: Final = "runs.csv"
PIPED_WIDTH: Final = 140


class Run(NamedTuple):
    """A run as it stands in its directory."""

    name: str
    status: str
    overrides: dict[str, str]
    metrics: dict[str, Any]


def read_runs(sweep: Path) -> list[Run]:
    """The runs below a sweep's directory, in the order of their names."""
    found = sorted(sweep.glob(f"*/{RUN}"), key=lambda path: (len(path.parent.name), path.parent.name))
    return [_read(path) for path in found]


def _read(path: Path) -> Run:
    run, metrics = read(path.parent), path.with_name(METRICS)
    overrides = dict(override.split("=", 1) for override in run["overrides"] if "=" in override)
    numbers = json.loads(metrics.read_text("utf-8")) if metrics.is_file() else {}
    return Run(path.parent.name, run["status"], overrides, numbers)


def summarise(sweep: Path) -> None:
    """Print the table of a sweep and write its CSV file."""
    if runs := read_runs(sweep):
        _write_csv(sweep / FILE, runs)
        console = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else PIPED_WIDTH)
        console.print(_table(runs))
        console.print(f"mean ± standard deviation over the seeds; every run: {shorten(sweep / FILE)}", markup=False)


def _write_csv(path: Path, runs: Sequence[Run]) -> None:
    rows = [{"run": run.name, "status": run.status, **run.overrides, **run.metrics} for run in runs]
    names = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)


def _table(runs: Sequence[Run]) -> Table:
    """One row for each configuration; the overrides in which the runs differ come first."""
    keys = dict.fromkeys(key for run in runs for key in run.overrides if key != "seed")
    varied = [key for key in keys if len({run.overrides.get(key) for run in runs}) > 1]
    groups: dict[tuple[str, ...], list[Run]] = {}
    for run in runs:
        groups.setdefault(tuple(run.overrides.get(key, "-") for key in varied), []).append(run)
    table = Table(*varied, box=None, pad_edge=False, header_style="bold")
    shown = [key for key in COLUMNS if any(key in run.metrics for run in runs)]
    for title in ("runs", *(COLUMNS[key] for key in shown), "collapsed", "failed"):
        table.add_column(title, justify="right")
    for values, group in groups.items():
        collapsed = sum(bool(run.metrics.get("valid/collapsed")) for run in group)
        failed = sum(run.status != "finished" for run in group)
        numbers = [_spread([run.metrics[key] for run in group if run.metrics.get(key) is not None]) for key in shown]
        table.add_row(*values, str(len(group)), *numbers, str(collapsed or ""), str(failed or ""))
    return table


def _spread(numbers: Sequence[float]) -> str:
    if not numbers:
        return "-"
    mean = f"{statistics.fmean(numbers):.3f}"
    return f"{mean} ± {statistics.stdev(numbers):.3f}" if len(numbers) > 1 else mean
