"""A sweep at a glance: one row for each configuration, its seeds taken together; failures; a CSV file of all runs."""

from __future__ import annotations

import csv
import io
import shlex
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from rich.table import Table
from rich.text import Text

from satae import files
from satae.run_directory import LOG, shorten
from satae.shown import brief
from satae.sweep.groups import SEED, Group, Spread, axes, grouped, shown
from satae.sweep.results import FAILED, FINISHED, Result, below
from satae.tracking.console import PatientConsole

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


def summarise(sweep: Path, asked: Sequence[Path]) -> None:
    """Print the tables of a sweep and write its CSV file.

    Args:
        sweep: its folder.
        asked: the folders of the runs that were to be made.
    """
    runs = list(below(sweep))
    console = PatientConsole(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else PIPED_WIDTH)
    if runs:
        write_csv(sweep / FILE, runs)
        console.print(_table(runs))
        console.print(f"mean ± standard deviation over the seeds; every run: {shorten(sweep / FILE)}", markup=False)
    if failed := [run for run in runs if run.status == FAILED]:
        console.print(_failures(failed), markup=False)
        console.print(f"each has its log: {shorten(sweep)}/<run>/{LOG}", markup=False)
    if line := _left(sweep, runs, asked):
        console.print(line, markup=False)


def write_csv(path: Path, runs: Iterable[Result]) -> None:
    """A row for each run: how it ended, its choices and its final measures."""
    rows = [_row(run) for run in runs]
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, names)
    writer.writeheader()
    writer.writerows(rows)
    files.replace(path, text.getvalue().encode())


def _row(run: Result) -> dict[str, Any]:
    ending = {key: run.record.get(key, "") for key in ("exit_code", "error")}
    measures = {key: value for key, value in run.metrics.items() if key not in run.choices}  # alpha as it was at last
    return {"run": run.name, "status": run.status, **ending, **run.choices, **measures}


def _table(runs: Sequence[Result]) -> Table:
    """One row for each configuration; what the runs differ in comes first."""
    varied = [key for key in axes(runs) if key != SEED]
    shown = [key for key in COLUMNS if any(key in run.metrics for run in runs)]
    states = [status for status in dict.fromkeys(run.status for run in runs) if status != FINISHED]
    titles = ["runs", *(COLUMNS[key] for key in shown), "collapsed", *states]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for key in varied:
        table.add_column(_cell(key))
    for title in titles:
        table.add_column(_cell(title), justify="right")
    for group in grouped(runs):
        counts = [sum(run.status == status for run in group.runs) for status in states]
        collapsed = sum(bool(run.metrics.get("valid/collapsed")) for run in group.runs)
        numbers = [_spread(group.spread(key)) for key in shown]
        told = [str(count or "") for count in (collapsed, *counts)]
        table.add_row(*_values(group, varied), str(len(group.runs)), *numbers, *told)
    return table


def _values(group: Group, varied: Sequence[str]) -> list[Text]:
    return [_cell(shown(group.values[key]) if key in group.values else "-") for key in varied]


def _cell(text: object) -> Text:
    """What stands in a file, without the signs that rich would take for its own."""
    return Text(brief(text))


def _failures(failed: Sequence[Result]) -> str:
    """A line for each; a table of rich's would cut long reasons."""
    width = max(len(run.name) for run in failed)
    lines = [f"{'failed':{width}}  exit code  why"]
    for run in failed:
        code, why = (brief(run.record.get(key, "-")) for key in ("exit_code", "error"))
        lines.append(f"{run.name:{width}}  {code:>9}  {why}")
    return "\n".join(lines)


def _left(sweep: Path, runs: Sequence[Result], asked: Sequence[Path]) -> str:
    """What is still to be made, and how."""
    begun = {run.name for run in runs}
    cut_off = sum(run.status not in (FINISHED, FAILED) for run in runs)
    waiting = sum(folder.name not in begun for folder in asked)
    told = [f"{cut_off} were cut off" if cut_off else "", f"{waiting} have not begun" if waiting else ""]
    if not any(told):
        return ""
    return f"{' and '.join(filter(None, told))}; go on with: satae-train sweep={shlex.quote(str(shorten(sweep)))}"


def _spread(spread: Spread) -> str:
    if not spread.n:
        return "-"
    return f"{spread.mean:.3f} ± {spread.deviation:.3f}" if spread.n > 1 else f"{spread.mean:.3f}"
