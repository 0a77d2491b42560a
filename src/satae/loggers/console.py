"""What the user reads while a run trains and when it ends."""

from __future__ import annotations

import errno
import logging
import os
import stat
import sys
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from satae.messages import one_line, printable
from satae.runs.layout import PICTURES_FOLDER, show_path
from satae.training import AVERAGE
from satae.training.metric_titles import COLLAPSED, SENSITIVITY, TITLES, collapse_reason

log = logging.getLogger(__name__)

EPOCH_LINES: Final = 10  # epochs printed for each run without a terminal; more for a long run
MAX_SILENT_SECONDS: Final = 60  # a program without a terminal is silent no longer, if epochs finish in that time
WARNING_STYLE: Final = "bold yellow"
COLLAPSE_REMEDY: Final = "try more epochs, another optim.lr or act, or a smaller alpha if it is above 0"


class PipeSafeConsole(Console):
    """A console that stops printing, instead of ending the program, when its pipe or terminal is closed."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        """Write what was printed."""
        try:
            super().__exit__(kind, error, _)
        except OSError as fault:
            if fault.errno != errno.EIO or not stat.S_ISCHR(os.fstat(sys.stdout.fileno()).st_mode):
                raise
            self.on_broken_pipe()

    def print(self, *objects: Any, **options: Any) -> None:
        """Print; text sends no control characters to a terminal, wherever it comes from."""
        super().print(*(printable(one) if isinstance(one, str) else one for one in objects), **options)

    def on_broken_pipe(self) -> None:
        """Print nothing from now on."""
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class RunConsole:
    """Prints a progress bar on a terminal, plain lines elsewhere; every line also goes to the run's log.

    A run of a sweep prints only warnings and one final line, each with its name.
    """

    def __init__(self, epochs: int, *, finished_epochs: int = 0, name: str = "") -> None:
        """Prepare the progress bar.

        Args:
            epochs: number of epochs that the run trains in all.
            finished_epochs: number of epochs finished earlier.
            name: name of a run of a sweep; empty for a run on its own.
        """
        self.epochs, self.name = epochs, one_line(name)
        self._console = PipeSafeConsole(highlight=False, soft_wrap=True)
        self._progress = Progress(
            TextColumn("epoch"),
            MofNCompleteColumn(),
            BarColumn(bar_width=24),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self._console,
            disable=bool(name) or not self._console.is_terminal,
        )
        self._last_line = time.monotonic()
        self._warnings = set[str]()  # printed already
        self._task = self._progress.add_task("", total=epochs, completed=finished_epochs)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._progress.stop()

    def info(self, line: str) -> None:
        """Log a line; print it too, except in a sweep."""
        self._write(line, printed=not self.name)

    def warn(self, line: str) -> None:
        """Log and print a warning, once in a run."""
        if line in self._warnings:
            return
        self._warnings.add(line)
        log.warning(line)
        name = f"{self.name}: " if self.name else ""
        self._console.print(f"warning: {name}{line}", style=WARNING_STYLE, markup=False)

    def show_epoch(self, number: int, metrics: Mapping[str, float]) -> None:
        """Show the numbers of an epoch in the progress bar; log them now and then."""
        numbers = summary_line(metrics)
        self._progress.update(self._task, completed=number, description=numbers)
        is_due = number % max(1, self.epochs // EPOCH_LINES) == 0
        if is_due or number == self.epochs or time.monotonic() - self._last_line > MAX_SILENT_SECONDS:
            self._last_line = time.monotonic()
            line = f"epoch {number:>{len(str(self.epochs))}}/{self.epochs}  alpha {metrics['alpha']:<7.3g} {numbers}"
            self._write(line, printed=not self.name and not self._console.is_terminal)

    def show_result(
        self, metrics: Mapping[str, float], directory: Path, pictures: Collection[str], end_message: str | None
    ) -> None:
        """Show the final metrics of both splits side by side, and where everything is; one line in a sweep.

        Args:
            metrics: final metrics of the run.
            directory: directory of the run.
            pictures: names of the pictures that were saved.
            end_message: what the logger says at the end of a run.
        """
        self._progress.stop()
        warning = f"collapsed: {collapse_reason(metrics, self.epochs)}; {COLLAPSE_REMEDY}" if metrics[COLLAPSED] else ""
        if self.name:
            if warning:
                log.warning(warning)  # the sweep says it once, for all its runs
            self._write(finished_line(self.name, metrics))
            return
        if warning:
            self.warn(warning)
        self._console.print(_final_table(metrics))
        self.info(f"results      {show_path(directory)}")
        if pictures:
            self.info(f"pictures     {show_path(directory / PICTURES_FOLDER)}")
        if end_message is not None:
            self.info(end_message)

    def _write(self, line: str, *, printed: bool = True) -> None:
        log.info(line)
        if printed:
            self._console.print(line, markup=False)


def summary_line(metrics: Mapping[str, float]) -> str:
    """The two numbers that say how well a run does."""
    return "valid fvu {valid/fvu:#.3g}  saturated {valid/saturated_fraction:#.3g}".format_map(metrics)


def finished_line(name: str, metrics: Mapping[str, float]) -> str:
    """The line for a finished run of a sweep."""
    collapsed = "  collapsed" if metrics.get(COLLAPSED, 0) > 0 else ""
    return f"{name}  {summary_line(metrics)}{collapsed}"


def _final_table(metrics: Mapping[str, float]) -> Table:
    """One row for each metric, with indented rows for its layers; one column for each split.

    All are measured on inputs with the noise of training, but those of ``measure_rare``, which are named clean.
    """
    table = Table("noisy inputs, as in training", box=None, pad_edge=False)
    table.add_column("train", justify="right")
    table.add_column("valid", justify="right")
    splits = ["train", "valid"]
    if any(metric.startswith(f"{AVERAGE}/") for metric in metrics):
        splits.append(AVERAGE)
        table.add_column("valid, averaged weights", justify="right")
    for key, title in TITLES.items():
        found = [m.removeprefix("valid/") for m in metrics if m == f"valid/{key}" or m.startswith(f"valid/{key}/")]
        for metric in found:
            clean = " (clean inputs)" if f"valid/{key}" == SENSITIVITY else ""
            label = f"{title.long}{clean}" if metric == key else f"  {metric.rpartition('/')[2]}"
            values = (metrics.get(f"{split}/{metric}") for split in splits)
            table.add_row(label, *("" if value is None else f"{value:.4g}" for value in values))
    return table
