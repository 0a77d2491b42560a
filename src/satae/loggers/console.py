"""What a user reads while a run goes on and when it ends."""

from __future__ import annotations

import logging
import os
import shlex
import sys
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from satae.runs.layout import OUTPUTS_FOLDER, PICTURES_FOLDER, shorten
from satae.training.energy import LOW

log = logging.getLogger(__name__)

LINES = 10  # plain lines a run, or more of a long one:
PATIENCE = 60  # seconds without one, at most, as far as epochs end
COLLAPSED = (
    "collapsed: the reconstruction says no more than the mean of the data, or every unit of some encoder layer is dead;"
    " it may need more epochs, another optim.lr or act, or a smaller alpha"
)
ROWS = {
    "total": "total loss",
    "reconstruction": "reconstruction loss",
    "fvu": "fraction of variance unexplained (fvu)",
    "psnr": "peak signal-to-noise ratio, dB",
    "saturation": "saturation penalty",
    "saturated_fraction": "saturated fraction",
    "dead_fraction": "dead fraction",
    "code_sensitivity": "sensitivity of the code to small noise",
    "energy": "energy ½‖x − x̂‖², without noise",
    "low_energy_area": f"share of the plane with energy below {LOW:g}",
}


class PatientConsole(Console):
    """A console that falls silent, instead of ending the program, when what reads it goes away."""

    def on_broken_pipe(self) -> None:
        """Print no more."""
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class Display:
    """A progress bar with the live numbers on a terminal; plain lines anywhere else. All but the bar goes to the log.

    In a sweep it is brief: one line a run, with its name.
    """

    def __init__(self, epochs: int, *, done: int = 0, name: str = "") -> None:
        self.console = PatientConsole(highlight=False, soft_wrap=True)
        self.epochs = epochs
        self.name, self.brief = name, bool(name)
        self._bar = Progress(
            TextColumn("epoch"),
            MofNCompleteColumn(),
            BarColumn(bar_width=24),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self.console,
            disable=self.brief or not self.console.is_terminal,
        )
        self._told = time.monotonic()
        self._task = self._bar.add_task("", total=epochs, completed=done)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._bar.stop()

    def say(self, line: str, *, shown: bool = True) -> None:
        """A line for the log, and the console."""
        log.info(line)
        if shown:
            self.console.print(line, markup=False)

    def warn(self, line: str) -> None:
        """A line that must not be missed."""
        log.warning(line)
        name = f"{self.name}: " if self.name else ""
        self.console.print(f"warning: {name}{line}", style="bold yellow", markup=False)

    def note(self, text: str) -> None:
        """What is trained, and from where to where."""
        self.say(text, shown=not self.brief)

    def epoch(self, number: int, metrics: Mapping[str, float]) -> None:
        """The numbers of an epoch."""
        numbers = live(metrics)
        self._bar.update(self._task, completed=number, description=numbers)
        due = number % max(1, self.epochs // LINES) == 0 or time.monotonic() - self._told > PATIENCE
        if number == self.epochs or due:
            self._told = time.monotonic()
            line = f"epoch {number:>{len(str(self.epochs))}}/{self.epochs}  alpha {metrics['alpha']:<7.3g} {numbers}"
            self.say(line, shown=not (self.brief or self.console.is_terminal))

    def result(self, metrics: Mapping[str, float], directory: Path, pictures: Collection[str] = ()) -> None:
        """The final measures of both splits side by side, and where everything is."""
        self._bar.stop()
        if metrics["valid/collapsed"]:
            self.warn(COLLAPSED)
        here = shorten(directory)
        if self.brief:
            self.say(f"{self.name}  {live(metrics)}")
            return
        self.console.print(_table(metrics))
        self.say(f"results      {here}")
        if pictures:
            self.say(f"pictures     {here / PICTURES_FOLDER}")
        board = here.parts[0] if here.parts[0] == OUTPUTS_FOLDER else str(here)
        self.say(f"TensorBoard  tensorboard --logdir {shlex.quote(board)}")


def live(metrics: Mapping[str, float]) -> str:
    """The two numbers that tell how a run goes."""
    return "valid fvu {valid/fvu:.3f}  saturated {valid/saturated_fraction:.2f}".format_map(metrics)


def _table(metrics: Mapping[str, float]) -> Table:
    table = Table("", box=None, pad_edge=False)
    table.add_column("train", justify="right")
    table.add_column("valid", justify="right")
    for key, name in ROWS.items():
        found = [m.removeprefix("valid/") for m in metrics if m == f"valid/{key}" or m.startswith(f"valid/{key}/")]
        for row in found:
            label = name if row == key else f"  {row.rpartition('/')[2]}"
            values = (metrics.get(f"{split}/{row}") for split in ("train", "valid"))
            table.add_row(label, *("" if value is None else f"{value:.4g}" for value in values))
    return table
