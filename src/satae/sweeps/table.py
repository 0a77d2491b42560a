"""A sweep at a glance: one row for each configuration, its seeds taken together; failures; a CSV file of all runs."""

from __future__ import annotations

import math
import shlex
import sys
from collections.abc import Sequence
from operator import attrgetter
from pathlib import Path
from typing import Final

from rich.table import Table
from rich.text import Text

from satae import atomic_write as files
from satae.config.flat import SEED
from satae.config.messages import counted
from satae.loggers.console import PipeSafeConsole, summary_line
from satae.printable import brief
from satae.runs.layout import LOG_FILE, shorten
from satae.sweeps import csv_files, folders, notes
from satae.sweeps.groups import TOO_LARGE, Group, Spread, as_typed, axes, grouped, shown
from satae.sweeps.measures import COLUMNS
from satae.sweeps.results import FAILED, FINISHED, Result, Unreadable

PIPED_WIDTH: Final = 140
LARGEST: Final = 1e6  # number that is written out


def summarise(
    sweep: Path, found: Sequence[Result | Unreadable], asked: Sequence[Path], launcher: Sequence[str] = ()
) -> None:
    """Print the tables of a sweep and write its CSV file.

    Args:
        sweep: its folder.
        found: its runs.
        asked: the folders of the runs that were to be made.
        launcher: the words that chose one.
    """
    runs = [run for run in found if isinstance(run, Result)]
    console = PipeSafeConsole(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else PIPED_WIDTH)
    if found:
        files.replace(sweep / csv_files.RUNS, csv_files.runs(found, attrgetter("name")))
    if runs:
        console.print(_table(runs, notes.known(sweep).varied))
        spread = "sd: standard deviation over the seeds; " if _over_seeds(runs) else ""
        console.print(f"{spread}every run: {shorten(sweep / csv_files.RUNS)}", markup=False)
    if failed := [run for run in runs if run.status == FAILED]:
        console.print(_failures(failed), markup=False)
        console.print(f"each has its log: {shorten(sweep)}/<run>/{LOG_FILE}", markup=False)
    for run in found:
        if isinstance(run, Unreadable):
            console.print(brief(f"{run.name}: {run.reason}; it is in no mean"), markup=False)
    if line := _left(sweep, found, asked, launcher):
        console.print(line, markup=False)


def line(run: Result) -> str:
    """How a run has ended, in a line with its name."""
    if run.is_finished:
        return f"{run.name}  {summary_line(run.metrics)}"
    return brief(f"{run.name}  {run.status}: {run.record.get('error', '-')}")


def _table(runs: Sequence[Result], typed: Sequence[str]) -> Table:
    """One row for each configuration; what the runs differ in, or are to differ in, comes first."""
    differ = dict.fromkeys([*axes([run.choices for run in runs]), *typed])
    varied = [key for key in as_typed(differ, typed) if key != SEED and any(key in run.choices for run in runs)]
    shown = [key for key in COLUMNS if any(key in run.metrics for run in runs)]
    states = [status for status in dict.fromkeys(run.status for run in runs) if status != FINISHED]
    spread = " ± sd" if _over_seeds(runs) else ""  # which the page of the report has not
    titles = ["finished", *(f"{COLUMNS[key]}{spread}" for key in shown), "collapsed", *states]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for key in varied:
        table.add_column(_cell(key))
    for title in titles:
        table.add_column(_cell(title), justify="right")
    for group in grouped(runs, typed):
        counts = [sum(run.status == status for run in group.runs) for status in states]
        collapsed = sum(run.is_collapsed for run in group.runs)
        numbers = [_spread(group.spread(key)) for key in shown]
        told = [str(count or "") for count in (collapsed, *counts)]
        table.add_row(*_values(group, varied), str(len(group.finished)), *numbers, *told)
    return table


def _over_seeds(runs: Sequence[Result]) -> bool:
    return len({run.seed for run in runs}) > 1


def _values(group: Group, varied: Sequence[str]) -> list[Text]:
    choices = group.runs[0].choices
    return [_cell(shown(choices[key]) if key in choices else "-") for key in varied]


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


def _left(sweep: Path, found: Sequence[Result | Unreadable], asked: Sequence[Path], launcher: Sequence[str]) -> str:
    """What is still to be made, and how."""
    begun = {run.name for run in found}
    cut_off = sum(isinstance(run, Result) and run.status not in (FINISHED, FAILED) for run in found)
    waiting = len({*(folder.name for folder in asked), *notes.known(sweep).asked} - begun)
    told = [f"{counted(cut_off, 'was', 'were')} cut off"] if cut_off else []
    told += [f"{counted(waiting, 'has', 'have')} not begun"] if waiting else []
    if not told:
        return ""
    words = shlex.join([folders.word(sweep), *launcher])
    return f"{' and '.join(told)}; go on with: satae-train {words}"


def _spread(spread: Spread) -> str:
    if not spread.n:
        return "-"
    return f"{_number(spread.mean)} ± {_number(spread.deviation)}" if spread.n > 1 else _number(spread.mean)


def _number(value: float) -> str:
    """With three decimals, or where it is large as a power of ten."""
    if math.isinf(value):
        return TOO_LARGE
    return f"{value:.3f}" if abs(value) < LARGEST else f"{value:.3e}"
