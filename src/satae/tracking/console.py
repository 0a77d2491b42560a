"""What a user reads while a run goes on and when it ends."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

log = logging.getLogger(__name__)

LINES = 10  # plain lines a run
ROWS = {
    "total": "total loss",
    "reconstruction": "reconstruction loss",
    "fvu": "fraction of variance unexplained (fvu)",
    "psnr": "peak signal-to-noise ratio, dB",
    "saturation": "saturation penalty",
    "saturated_fraction": "saturated fraction",
    "dead_fraction": "dead fraction",
}


class Display:
    """A progress bar with the live numbers on a terminal; plain lines anywhere else. Both go to the log."""

    def __init__(self, epochs: int) -> None:
        self.console = Console(highlight=False, soft_wrap=True)
        self.epochs = epochs
        self._bar = Progress(
            TextColumn("epoch"),
            MofNCompleteColumn(),
            BarColumn(bar_width=24),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self.console,
            disable=not self.console.is_terminal,
        )
        self._task = self._bar.add_task("", total=epochs)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._bar.stop()

    def say(self, line: str) -> None:
        """A line for the console and the log."""
        log.info(line)
        self.console.print(line, markup=False)

    def warn(self, line: str) -> None:
        """A line that must not be missed."""
        log.warning(line)
        self.console.print(f"warning: {line}", style="bold yellow", markup=False)

    def epoch(self, number: int, metrics: Mapping[str, float]) -> None:
        """The numbers of an epoch."""
        live = "valid fvu {valid/fvu:.3f}  saturated {valid/saturated_fraction:.2f}".format_map(metrics)
        self._bar.update(self._task, completed=number, description=live)
        if number == self.epochs or number % max(1, self.epochs // LINES) == 0:
            line = f"epoch {number:>{len(str(self.epochs))}}/{self.epochs}  alpha {metrics['alpha']:.3g}  {live}"
            log.info(line)
            if not self.console.is_terminal:
                self.console.print(line, markup=False)

    def result(self, metrics: Mapping[str, float], directory: Path) -> None:
        """The final measures of both splits side by side, and where everything is."""
        self._bar.stop()
        self.console.print(_table(metrics))
        if metrics["valid/collapsed"]:
            self.warn(
                "collapsed: every unit of some encoder layer is saturated alike for every input; its code says"
                " nothing. Try a smaller alpha, or alpha_schedule=linear"
            )
        here = shorten(directory)
        self.say(f"results      {here}")
        self.say(f"pictures     {here / 'pictures'}")
        self.say(f"TensorBoard  tensorboard --logdir {shorten(directory.parents[1])}")


def _table(metrics: Mapping[str, float]) -> Table:
    table = Table("", box=None, pad_edge=False)
    table.add_column("train", justify="right")
    table.add_column("valid", justify="right")
    for key, name in ROWS.items():
        found = [m.removeprefix("valid/") for m in metrics if m == f"valid/{key}" or m.startswith(f"valid/{key}/")]
        for row in found:
            label = name if row == key else f"  {row.rpartition('/')[2]}"
            table.add_row(label, *(f"{metrics[f'{split}/{row}']:.4g}" for split in ("train", "valid")))
    return table


def shorten(path: Path) -> Path:
    """The path as seen from here, where it lies below."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
