"""The table of a sweep on the console, and its runs as a CSV file."""

from __future__ import annotations

import csv
import io
import math
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from operator import attrgetter
from pathlib import Path
from typing import Final

from rich.table import Table
from rich.text import Text

from satae import atomic_write
from satae.config.messages import count_words, format_value
from satae.config.schema import SEED
from satae.loggers.console import PipeSafeConsole, summary_line
from satae.printable import brief
from satae.runs.layout import FAILED, FINISHED, LOG_FILE, shorten
from satae.sweeps.aggregate import TOO_LARGE, SeedStatistics, display_value, group_runs, in_typed_order, varying_keys
from satae.sweeps.manifest import read_manifest_or_empty
from satae.sweeps.results import METRIC_COLUMNS, RunResult, UnreadableRun
from satae.sweeps.run_names import sweep_argument

PIPED_WIDTH: Final = 140  # letters of a line if the output is not a terminal
RUNS_CSV_FILE: Final = "runs.csv"
CSV_FACTS: Final = ("wall_s", "started", "ended", "device", "threads", "jobs", "folder", "command")
UNREADABLE: Final = "unreadable"  # stands for the status of an unreadable run


def print_sweep(
    sweep: Path, found: Sequence[RunResult | UnreadableRun], requested: Sequence[Path], launcher: Sequence[str] = ()
) -> None:
    """Print the tables of a sweep and write ``runs.csv``.

    Args:
        sweep: folder of the sweep.
        found: its runs.
        requested: directories of the runs that the command line asked for.
        launcher: the words of the command line that chose a launcher.
    """
    runs = [run for run in found if isinstance(run, RunResult)]
    console = PipeSafeConsole(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else PIPED_WIDTH)
    if found:
        atomic_write.replace(sweep / RUNS_CSV_FILE, runs_csv(found, attrgetter("name")))
    manifest = read_manifest_or_empty(sweep)
    if runs:
        console.print(_table(runs, manifest.varied))
        deviation = "sd: standard deviation over the seeds; " if _has_several_seeds(runs) else ""
        console.print(f"{deviation}every run: {shorten(sweep / RUNS_CSV_FILE)}", markup=False)
    if failed := [run for run in runs if run.status == FAILED]:
        console.print(_failures(failed), markup=False)
        console.print(f"each has its log: {shorten(sweep)}/<run>/{LOG_FILE}", markup=False)
    for run in found:
        if isinstance(run, UnreadableRun):
            console.print(brief(f"{run.name}: {run.reason}; it is in no mean"), markup=False)
    started = {run.name for run in found}
    interrupted = sum(run.status not in (FINISHED, FAILED) for run in runs)
    waiting = len({*(directory.name for directory in requested), *manifest.run_names} - started)
    rest = [f"{count_words(interrupted, 'was', 'were')} interrupted"] if interrupted else []
    rest += [f"{count_words(waiting, 'has', 'have')} not started"] if waiting else []
    if rest:
        command = shlex.join(["satae-train", sweep_argument(sweep), *launcher])
        console.print(f"{' and '.join(rest)}; resume with: {command}", markup=False)


def result_line(run: RunResult) -> str:
    """One line with the name of a run and how it ended."""
    if run.is_finished:
        return f"{run.name}  {summary_line(run.metrics)}"
    return brief(f"{run.name}  {run.status}: {run.record.get('error', '-')}")


def runs_csv(found: Iterable[RunResult | UnreadableRun], name: Callable[[RunResult | UnreadableRun], str]) -> bytes:
    """A CSV file with one row for each run: status, facts, choices and final metrics.

    Args:
        found: the runs.
        name: returns the name of a run.
    """
    every = [*found]
    known = [run for run in every if isinstance(run, RunResult)]
    choices = [*dict.fromkeys(key for run in known for key in run.choices)]
    metrics = [*dict.fromkeys(key for run in known for key in run.metrics)]
    facts = [f"{fact}_used" if fact in ("device", "threads") else fact for fact in CSV_FACTS]  # also names of options
    head = ["run", "status", "exit_code", "error", *facts, *choices, *map(metric_column, metrics)]

    def rows() -> Iterator[list[object]]:
        for run in every:
            if isinstance(run, UnreadableRun):
                yield [name(run), UNREADABLE, None, run.reason]
                continue
            known_facts = [run.record.get(key) for key in ("exit_code", "error", *CSV_FACTS)]
            chosen = [format_value(run.choices[key]) if key in run.choices else None for key in choices]
            yield [name(run), run.status, *known_facts, *chosen, *(run.metrics.get(key) for key in metrics)]

    return csv_file(head, rows())


def metric_column(metric: str) -> str:
    """The CSV column of a final metric; without a split, such as ``alpha``, it could be mistaken for an option."""
    return metric if "/" in metric else f"final/{metric}"


def csv_file(head: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    """A CSV file with a header; rows may be shorter than it."""
    return csv_rows(chain([head], rows), len(head))


def csv_rows(rows: Iterable[Sequence[object]], width: int) -> bytes:
    """Rows of a CSV file, each filled up to ``width`` columns."""
    file = io.StringIO(newline="")
    writer = csv.writer(file)
    for row in rows:
        writer.writerow([_csv_cell(value) for value in [*row, *[None] * (width - len(row))]])
    return file.getvalue().encode("utf-8", "backslashreplace")


def _csv_cell(value: object) -> object:
    """A value that no spreadsheet takes for a formula; nothing for nan."""
    if value is None or isinstance(value, int | float):
        return None if isinstance(value, float) and math.isnan(value) else value
    text = str(value)
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") and not _is_number(text) else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _table(runs: Sequence[RunResult], typed: Sequence[str]) -> Table:
    """One row for each configuration; the first columns are the options that vary."""
    differ = dict.fromkeys([*varying_keys([run.choices for run in runs]), *typed])
    varied = [key for key in in_typed_order(differ, typed) if key != SEED and any(key in run.choices for run in runs)]
    metrics = [key for key in METRIC_COLUMNS if any(key in run.metrics for run in runs)]
    statuses = [status for status in dict.fromkeys(run.status for run in runs) if status != FINISHED]
    deviation = " ± sd" if _has_several_seeds(runs) else ""  # the page of the report shows intervals instead
    table = Table(box=None, pad_edge=False, header_style="bold")
    for key in varied:
        table.add_column(_text(key))
    for title in ["finished", *(f"{METRIC_COLUMNS[key]}{deviation}" for key in metrics), "collapsed", *statuses]:
        table.add_column(_text(title), justify="right")
    for group in group_runs(runs, typed):
        choices = group.runs[0].choices
        values = [_text(display_value(choices[key]) if key in choices else "-") for key in varied]
        numbers = [_format_statistics(group.statistics(key)) for key in metrics]
        counts = [sum(run.is_collapsed for run in group.runs)]
        counts += [sum(run.status == status for run in group.runs) for status in statuses]
        table.add_row(*values, str(len(group.finished)), *numbers, *(str(count or "") for count in counts))
    return table


def _has_several_seeds(runs: Sequence[RunResult]) -> bool:
    return len({run.seed for run in runs}) > 1


def _text(text: object) -> Text:
    """Text from a file, in which rich must not read markup."""
    return Text(brief(text))


def _failures(failed: Sequence[RunResult]) -> str:
    """A line for each failed run; a table of rich would cut long reasons."""
    width = max(len(run.name) for run in failed)
    lines = [f"{'failed':{width}}  exit code  why"]
    for run in failed:
        code, reason = (brief(run.record.get(key, "-")) for key in ("exit_code", "error"))
        lines.append(f"{run.name:{width}}  {code:>9}  {reason}")
    return "\n".join(lines)


def _format_statistics(statistics: SeedStatistics) -> str:
    if not statistics.n:
        return "-"
    mean = _format_number(statistics.mean)
    return f"{mean} ± {_format_number(statistics.deviation)}" if statistics.n > 1 else mean


def _format_number(value: float) -> str:
    """Three decimals, or a power of ten for a large number."""
    if math.isinf(value):
        return TOO_LARGE
    return f"{value:.3f}" if abs(value) < 1e6 else f"{value:.3e}"
