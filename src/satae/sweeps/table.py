"""What a sweep prints at its end: a table with a row for each configuration, its failures, and how to resume it."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from satae.config.schema import SEED
from satae.loggers.console import COLLAPSE_REMEDY, WARNING_STYLE, PipeSafeConsole, finished_line
from satae.messages import brief, count_words, format_compact, join_words, one_line, quote_word
from satae.runs.layout import FAILED, FINISHED, RUNS_CSV_FILE, find_log, show_path
from satae.sweeps.aggregate import COVERAGE_NOTE, SeedGroup, group_runs, in_typed_order, varying_keys
from satae.sweeps.manifest import read_manifest_or_empty, sweep_argument
from satae.sweeps.results import RunResult, UnreadableRun
from satae.sweeps.text import format_deviation
from satae.training.metric_titles import COLLAPSE, TABLE_METRICS, column_title

PIPED_WIDTH: Final = 140  # letters of a line if the output is not a terminal
FOLDED_OPTION: Final = 12  # letters of a column of options whose values are longer
COLUMN_GAP: Final = 2  # letters


def print_sweep(
    sweep: Path, found: Sequence[RunResult | UnreadableRun], requested: Sequence[Path], launcher: Sequence[str] = ()
) -> None:
    """Print the tables of a sweep.

    Args:
        sweep: folder of the sweep.
        found: its runs.
        requested: directories of the runs that the command line asked for.
        launcher: the words of the command line that chose a launcher.
    """
    runs = [run for run in found if isinstance(run, RunResult)]
    console = table_console()
    manifest = read_manifest_or_empty(sweep)
    groups = group_runs(runs, manifest.varied)
    if runs:
        for table in _tables(groups, manifest.varied, console.width):
            console.print(table)
        if any(group.coverage(metric) for group in groups for metric in TABLE_METRICS):
            console.print(COVERAGE_NOTE)
        deviation = (
            "±: standard deviation over the seeds (page: 95 % interval); "
            if any(len(group.finished_runs) > 1 for group in groups)
            else ""
        )
        console.print(f"{deviation}every run: {show_path(sweep / RUNS_CSV_FILE)}", markup=False)
    if early := sum(run.is_early for run in runs):
        of = count_words(sum(run.is_finished for run in runs), "finished run")
        console.print(f"{early} of {of} stopped early: no lower validation loss within their patience")
    if collapsed := sum(group.collapsed_runs for group in groups):
        of = count_words(sum(len(group.finished_runs) for group in groups), "finished run")
        console.print(f"warning: {collapsed} of {of} collapsed: {COLLAPSE}; {COLLAPSE_REMEDY}", style=WARNING_STYLE)
    if failed := [run for run in runs if run.status == FAILED]:
        console.print(_failures(failed), markup=False)
        logs = [log for run in failed if (log := find_log(run.directory))]  # hydra/job_logging may write none
        if logs:
            have = "each has" if len(logs) == len(failed) else count_words(len(logs), "of them has", "of them have")
            names = join_words(dict.fromkeys(one_line(log.name) for log in logs))
            console.print(f"{have} its log: {show_path(sweep)}/<run>/{names}", markup=False)
    for run in found:
        if isinstance(run, UnreadableRun):
            console.print(brief(f"{run.name}: {run.reason}; left out of all means"), markup=False)
    started = {run.name for run in found}
    interrupted = sum(run.status not in (FINISHED, FAILED) for run in runs)
    waiting = len({*(directory.name for directory in requested), *manifest.run_names} - started)
    rest = [f"{count_words(interrupted, 'was', 'were')} interrupted"] if interrupted else []
    rest += [f"{count_words(waiting, 'has', 'have')} not started"] if waiting else []
    if rest:
        command = " ".join(map(quote_word, ["satae-train", sweep_argument(sweep), *launcher]))
        console.print(f"{' and '.join(rest)}; resume with: {command}", markup=False)


def table_console() -> PipeSafeConsole:
    """The console that prints tables: as wide as the terminal, or of a fixed width if there is none."""
    return PipeSafeConsole(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else PIPED_WIDTH)


def result_line(run: RunResult) -> str:
    """One line with the name of a run and how it ended."""
    if run.is_finished:
        return finished_line(one_line(run.name), run.metrics)
    return brief(f"{run.name}  {run.status}: {run.record.get('error', '-')}")


class Column(NamedTuple):
    """A column of a printed table."""

    title: str  # may have several lines
    cells: list[str]
    folds_at: int | None = None  # letters; longer text goes on in the next line; None for numbers, which stay whole

    @property
    def width(self) -> int:
        """The letters that the column needs."""
        whole = max(map(cell_len, [*self.title.splitlines(), *self.cells]))
        return whole if self.folds_at is None else min(self.folds_at, whole)


def total_width(columns: Sequence[Column], gap: int) -> int:
    """The letters that some columns need side by side."""
    return sum(column.width + gap for column in columns) - gap


def fit_columns(
    keys: Sequence[Column],
    columns: Sequence[Column],
    width: int,
    gap: int,
    *,
    first: Sequence[Column] = (),
    last: Sequence[Column] = (),
) -> Iterator[Table]:
    """One table, or several below each other if the columns do not fit side by side; no number is cut.

    Args:
        keys: the columns that say what a row is, in every table.
        columns: the other columns; each table has at least one of them.
        width: letters of a line.
        gap: letters between two columns.
        first: columns of the first table alone, after the keys.
        last: columns of the first table alone, at its end.
    """
    before, after = [*keys, *first], [*last]
    while True:
        counts = range(1, len(columns) + 1)
        fitting = [n for n in counts if total_width([*before, *columns[:n], *after], gap) <= width]
        count = max(fitting, default=1)
        table = Table(box=None, pad_edge=False, padding=(0, gap, 0, 0), header_style="bold")
        shown = [*before, *columns[:count], *after]
        for column in shown:  # in Text, rich reads no markup
            if column.folds_at is None:
                table.add_column(Text(column.title), justify="right", min_width=column.width, no_wrap=True)
            else:
                table.add_column(Text(column.title), overflow="fold")
        for row in zip(*(column.cells for column in shown), strict=True):
            table.add_row(*map(Text, row))
        yield table
        columns, before, after = columns[count:], [*keys], []
        if not columns:
            return


def _tables(groups: Sequence[SeedGroup], typed: Sequence[str], width: int) -> Iterator[Table]:
    """The table with one row for each configuration; the first columns are the options that vary.

    The metrics that have no room in ``width`` letters follow in a second table, or in several.
    """
    runs = [run for group in groups for run in group.runs]
    differ = dict.fromkeys([*varying_keys([run.choices for run in runs]), *typed])
    varied = [key for key in in_typed_order(differ, typed) if key != SEED and any(key in run.choices for run in runs)]
    choices = [group.runs[0].choices for group in groups]
    options = [
        Column(brief(key), [brief(format_compact(one.get(key, "-"))) for one in choices], FOLDED_OPTION)
        for key in varied
    ]
    metrics = [
        Column(column_title(key), [_mean_and_deviation(group, key) for group in groups])
        for key in TABLE_METRICS
        if any(key in run.metrics for run in runs)
    ]
    finished = Column("finished", [str(len(group.finished_runs)) for group in groups])
    counts = [Column("collapsed", [str(group.collapsed_runs or "") for group in groups])]
    for status in dict.fromkeys(run.status for run in runs if not run.is_finished):
        numbers = [sum(run.status == status for run in group.runs) for group in groups]
        counts.append(Column(brief(status), [str(number or "") for number in numbers]))
    counts = [column for column in counts if any(column.cells)]

    if total_width([*options, finished, *metrics, *counts], COLUMN_GAP) > width:
        options = [column._replace(title=column.title.replace(".", ".\n")) for column in options]
    return fit_columns(options, metrics, width, COLUMN_GAP, first=[finished], last=counts)


def _failures(failed: Sequence[RunResult]) -> str:
    """A line for each failed run; a table of rich would cut long reasons."""
    names = [one_line(run.name) for run in failed]
    width = max(map(cell_len, names))
    lines = [f"{'failed':{width}}  exit code  why"]
    for run, name in zip(failed, names, strict=True):
        code, reason = brief(run.record.get("exit_code", "-")), brief(run.failure or "-")
        lines.append(f"{name}{' ' * (width - cell_len(name))}  {code:>9}  {reason}")
    return "\n".join(lines)


def _mean_and_deviation(group: SeedGroup, metric: str) -> str:
    statistics = group.statistics(metric)
    text = format_deviation(statistics.mean, statistics.deviation) if statistics.n else "-"
    return text.replace("\N{NO-BREAK SPACE}", " ") + group.coverage(metric)
