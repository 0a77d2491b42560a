"""What a sweep prints at its end: a table with a row for each configuration, its failures, and how to resume it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from operator import attrgetter
from pathlib import Path
from typing import Final

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from satae import atomic_write
from satae.config.schema import SEED
from satae.loggers.console import COLLAPSE_REMEDY, WARNING_STYLE, PipeSafeConsole, finished_line
from satae.messages import brief, count_words, format_compact, one_line, quote_word
from satae.runs.layout import FAILED, FINISHED, LOG_FILE, RUNS_CSV_FILE, show_path
from satae.sweeps.aggregate import SeedStatistics, group_runs, in_typed_order, varying_keys
from satae.sweeps.csv_files import runs_csv
from satae.sweeps.manifest import read_manifest_or_empty, sweep_argument
from satae.sweeps.results import RunResult, UnreadableRun
from satae.sweeps.text import format_deviation
from satae.training.metric_titles import COLLAPSE, TABLE_METRICS, column_title

PIPED_WIDTH: Final = 140  # letters of a line if the output is not a terminal
NARROWEST_OPTION: Final = 12  # letters of a column of options whose values are longer
COLUMN_GAP: Final = 2  # letters


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
        table, left_out = _table(runs, manifest.varied, console.width)
        console.print(table)
        if left_out:
            console.print(f"not shown here for lack of width: {', '.join(left_out)} (see {RUNS_CSV_FILE})")
        deviation = "±: standard deviation over the seeds; " if len({run.seed for run in runs}) > 1 else ""
        console.print(f"{deviation}every run: {show_path(sweep / RUNS_CSV_FILE)}", markup=False)
    if collapsed := sum(run.is_collapsed for run in runs):
        of = count_words(sum(run.is_finished for run in runs), "finished run")
        console.print(f"warning: {collapsed} of {of} collapsed: {COLLAPSE}; {COLLAPSE_REMEDY}", style=WARNING_STYLE)
    if failed := [run for run in runs if run.status == FAILED]:
        console.print(_failures(failed), markup=False)
        if any((run.directory / LOG_FILE).exists() for run in failed):  # hydra/job_logging may write none
            console.print(f"each has its log: {show_path(sweep)}/<run>/{LOG_FILE}", markup=False)
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


def result_line(run: RunResult) -> str:
    """One line with the name of a run and how it ended."""
    if run.is_finished:
        return finished_line(one_line(run.name), run.metrics)
    return brief(f"{run.name}  {run.status}: {run.record.get('error', '-')}")


def _table(runs: Sequence[RunResult], typed: Sequence[str], width: int) -> tuple[Table, list[str]]:
    """One row for each configuration; the first columns are the options that vary.

    Returns:
        The table, and the titles of the metrics that have no room in ``width`` letters; numbers are never wrapped.
    """
    differ = dict.fromkeys([*varying_keys([run.choices for run in runs]), *typed])
    varied = [key for key in in_typed_order(differ, typed) if key != SEED and any(key in run.choices for run in runs)]
    groups = group_runs(runs, typed)
    options = {
        brief(key): [brief(format_compact(group.runs[0].choices.get(key, "-"))) for group in groups] for key in varied
    }
    metrics = {
        column_title(key): [_mean_and_deviation(group.statistics(key)) for group in groups]
        for key in TABLE_METRICS
        if any(key in run.metrics for run in runs)
    }
    finished = {"finished": [str(len(group.finished_runs)) for group in groups]}
    counts = {"collapsed": [sum(run.is_collapsed for run in group.runs) for group in groups]}
    for status in dict.fromkeys(run.status for run in runs if not run.is_finished):
        counts[brief(status)] = [sum(run.status == status for run in group.runs) for group in groups]
    others = {title: [str(n or "") for n in column] for title, column in counts.items() if any(column)}

    def is_too_wide() -> bool:
        widths = [_narrowest(*column) for column in options.items()]
        widths += [_width(*column) for column in (finished | metrics | others).items()]
        return sum(widths) + COLUMN_GAP * (len(widths) - 1) > width

    if is_too_wide():
        options = {title.replace(".", ".\n"): column for title, column in options.items()}
    left_out = list[str]()
    while len(metrics) > 1 and is_too_wide():
        left_out.insert(0, metrics.popitem()[0])
    table = Table(box=None, pad_edge=False, header_style="bold")  # filled with Text, in which rich reads no markup
    for title, cells in options.items():
        table.add_column(Text(title), overflow="fold", min_width=_narrowest(title, cells))
    for title, cells in (finished | metrics | others).items():
        table.add_column(Text(title), justify="right", min_width=_width(title, cells))
    columns = [*options.values(), *finished.values(), *metrics.values(), *others.values()]
    for row in zip(*columns, strict=True):
        table.add_row(*map(Text, row))
    return table, left_out


def _narrowest(title: str, cells: Sequence[str]) -> int:
    """The letters that a column of options needs: longer values go on in the next line."""
    return min(NARROWEST_OPTION, _width(title, cells))


def _width(title: str, cells: Sequence[str]) -> int:
    return max(map(cell_len, [*title.splitlines(), *cells]))


def _failures(failed: Sequence[RunResult]) -> str:
    """A line for each failed run; a table of rich would cut long reasons."""
    names = [one_line(run.name) for run in failed]
    width = max(map(cell_len, names))
    lines = [f"{'failed':{width}}  exit code  why"]
    for run, name in zip(failed, names, strict=True):
        code, reason = (brief(run.record.get(key, "-")) for key in ("exit_code", "error"))
        lines.append(f"{name}{' ' * (width - cell_len(name))}  {code:>9}  {reason}")
    return "\n".join(lines)


def _mean_and_deviation(statistics: SeedStatistics) -> str:
    text = format_deviation(statistics.mean, statistics.deviation) if statistics.n else "-"
    return text.replace("\N{NO-BREAK SPACE}", " ")
