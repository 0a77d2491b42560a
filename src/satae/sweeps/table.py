"""Runs and configurations as text: numbers for people, tables, CSV files, and what a sweep prints at its end."""

from __future__ import annotations

import csv
import io
import math
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from operator import attrgetter
from pathlib import Path
from typing import Any, Final, NamedTuple

from rich.table import Table
from rich.text import Text

from satae import atomic_write
from satae.config.schema import SEED
from satae.loggers.console import PipeSafeConsole, summary_line
from satae.messages import brief, count_words, format_compact, format_value
from satae.runs.layout import FAILED, FINISHED, LOG_FILE, shorten
from satae.sweeps.aggregate import SeedGroup, SeedStatistics, group_runs, in_typed_order, varying_keys
from satae.sweeps.manifest import read_manifest_or_empty, sweep_argument
from satae.sweeps.results import METRIC_COLUMNS, RunResult, UnreadableRun

PIPED_WIDTH: Final = 140  # letters of a line if the output is not a terminal
RUNS_CSV_FILE: Final = "runs.csv"
CSV_FACTS: Final = ("wall_s", "started", "ended", "device", "threads", "jobs", "folder", "command")
UNREADABLE: Final = "unreadable"  # stands for the status of an unreadable run
NOTHING: Final = "–"  # stands where a number is unknown
PLUS_MINUS: Final = "\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}"
ALL_RUNS: Final = "all runs"  # the name of the only configuration
MOST_KEY_COLUMNS: Final = 8  # options that have a column in a table
MOST_TABLE_ROWS: Final = 5_000  # in a table on the page; the CSV files hold all
FOLDED_ROWS: Final = 60  # a longer table is folded on the page
TOO_LARGE: Final = "too large"  # stands for a deviation that exceeds every float


def format_number(value: float | None) -> str:
    """A number with four significant digits."""
    return NOTHING if value is None or math.isnan(value) else f"{value:#.4g}" if value else "0"


def format_statistics(statistics: SeedStatistics) -> str:
    """``0.321 ± 0.007``: the mean and half of its interval, with two digits of the latter.

    For two seeds both values: ``0.32 (0.31, 0.33)``.
    """
    half, mean = statistics.half_width, statistics.mean
    if math.isnan(half):
        return format_number(mean)
    if half <= 1e-14 * abs(mean):  # equal numbers; what is left is rounding
        return f"{format_number(mean)}{PLUS_MINUS}0"
    if not half < 1e6 or abs(mean) >= 1e6:
        return f"{format_number(mean)}{PLUS_MINUS}{TOO_LARGE if math.isinf(half) else format_number(half)}"
    digits = min(6, max(0, 1 - math.floor(math.log10(half))))
    center, low, high = (f"{value:.{digits}f}" for value in (mean, mean - half, mean + half))
    text = f"{center} ({low}, {high})" if statistics.n == 2 else f"{center}{PLUS_MINUS}{half:.{digits}f}"
    return text.replace("-", "\N{MINUS SIGN}")


def format_change(statistics: SeedStatistics) -> str:
    """A difference with its sign: ``+0.02 ± 0.01``."""
    return format_statistics(statistics) if statistics.mean < 0 else f"+{format_statistics(statistics)}"


def format_configuration(values: Mapping[str, Any]) -> str:
    """A configuration: ``act=relu, alpha=0.1``."""
    return ", ".join(f"{shorten_value(key)}={shorten_value(value)}" for key, value in values.items()) or ALL_RUNS


def format_duration(seconds: float) -> str:
    """``1 h 02 min``, ``3 min 20 s`` or ``4.2 s``."""
    if not math.isfinite(seconds):
        return NOTHING
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = round(seconds) // 60
    return f"{minutes} min {round(seconds) % 60:02} s" if minutes < 60 else f"{minutes // 60:,} h {minutes % 60:02} min"


def shorten_value(value: object, most: int = 40) -> str:
    """A value as a user types it, cut after ``most`` characters."""
    text = " ".join(format_compact(value).split())
    return text if len(text) <= most else f"{text[: most - 1]}…"


class TextTable(NamedTuple):
    """A table of text; the first cell of a row names the row."""

    title: str
    head: list[str]
    rows: list[list[str]]
    numbers: int  # the last columns, which hold numbers
    left_out: int  # rows that the page does not show
    files: str = "runs.csv and groups.csv"  # hold all rows
    caption: str = ""

    @classmethod
    def from_rows(cls, title: str, head: Sequence[str], rows: Iterable[list[str]], numbers: int = 0) -> TextTable:
        """A table with at most ``MOST_TABLE_ROWS`` of the rows."""
        all_rows = [*rows]
        return cls(title, [*head], all_rows[:MOST_TABLE_ROWS], numbers, max(0, len(all_rows) - MOST_TABLE_ROWS))

    @property
    def is_folded(self) -> bool:
        """Whether the page shows the table only on demand."""
        return len(self.rows) > FOLDED_ROWS


def table_keys(axes: Sequence[str]) -> list[str]:
    """The varied options that get a column of their own: all but the seed, ``MOST_KEY_COLUMNS`` at most."""
    return [key for key in axes if key != SEED][:MOST_KEY_COLUMNS]


def table_values(group: SeedGroup, keys: Sequence[str]) -> list[str]:
    """The cells of a configuration in these columns."""
    return [shorten_value(group.values[key]) if key in group.values else NOTHING for key in keys]


# CSV files


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
                yield [name(run), UNREADABLE, None, run.reason, *[None] * (len(head) - 4)]
                continue
            known_facts = [run.record.get(key) for key in ("exit_code", "error", *CSV_FACTS)]
            chosen = [format_value(run.choices[key]) if key in run.choices else None for key in choices]
            yield [name(run), run.status, *known_facts, *chosen, *(run.metrics.get(key) for key in metrics)]

    return encode_csv(chain([head], rows()))


def metric_column(metric: str) -> str:
    """The CSV column of a final metric; without a split, such as ``alpha``, it could be mistaken for an option."""
    return metric if "/" in metric else f"final/{metric}"


def encode_csv(rows: Iterable[Sequence[object]]) -> bytes:
    """The rows of a CSV file, the first of which may be its head."""
    file = io.StringIO(newline="")
    csv.writer(file).writerows([_csv_cell(value) for value in row] for row in rows)
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


# the console


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
        has_deviations = len({run.seed for run in runs}) > 1
        console.print(_table(runs, manifest.varied, has_deviations))
        deviation = "sd: standard deviation over the seeds; " if has_deviations else ""
        console.print(f"{deviation}every run: {shorten(sweep / RUNS_CSV_FILE)}", markup=False)
    if failed := [run for run in runs if run.status == FAILED]:
        console.print(_failures(failed), markup=False)
        if any((run.directory / LOG_FILE).exists() for run in failed):  # hydra/job_logging may write none
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


def _table(runs: Sequence[RunResult], typed: Sequence[str], has_deviations: bool) -> Table:
    """One row for each configuration; the first columns are the options that vary."""
    differ = dict.fromkeys([*varying_keys([run.choices for run in runs]), *typed])
    varied = [key for key in in_typed_order(differ, typed) if key != SEED and any(key in run.choices for run in runs)]
    metrics = [key for key in METRIC_COLUMNS if any(key in run.metrics for run in runs)]
    statuses = [status for status in dict.fromkeys(run.status for run in runs) if status != FINISHED]
    deviation = " ± sd" if has_deviations else ""  # the page of the report shows intervals instead
    table = Table(box=None, pad_edge=False, header_style="bold")  # of Text, in which rich reads no markup
    for key in varied:
        table.add_column(Text(brief(key)))
    for title in ["finished", *(f"{METRIC_COLUMNS[key]}{deviation}" for key in metrics), "collapsed", *statuses]:
        table.add_column(Text(brief(title)), justify="right")
    for group in group_runs(runs, typed):
        choices = group.runs[0].choices
        values = [Text(brief(format_compact(choices[key]) if key in choices else "-")) for key in varied]
        numbers = [_mean_and_deviation(group.statistics(key)) for key in metrics]
        counts = [sum(run.is_collapsed for run in group.runs)]
        counts += [sum(run.status == status for run in group.runs) for status in statuses]
        table.add_row(*values, str(len(group.finished_runs)), *numbers, *(str(count or "") for count in counts))
    return table


def _failures(failed: Sequence[RunResult]) -> str:
    """A line for each failed run; a table of rich would cut long reasons."""
    width = max(len(run.name) for run in failed)
    lines = [f"{'failed':{width}}  exit code  why"]
    for run in failed:
        code, reason = (brief(run.record.get(key, "-")) for key in ("exit_code", "error"))
        lines.append(f"{run.name:{width}}  {code:>9}  {reason}")
    return "\n".join(lines)


def _mean_and_deviation(statistics: SeedStatistics) -> str:
    if not statistics.n:
        return "-"
    mean = _three_decimals(statistics.mean)
    return f"{mean} ± {_three_decimals(statistics.deviation)}" if statistics.n > 1 else mean


def _three_decimals(value: float) -> str:
    """Three decimals, or a power of ten for a large number."""
    if math.isinf(value):
        return TOO_LARGE
    return f"{value:.3f}" if abs(value) < 1e6 else f"{value:.3e}"
