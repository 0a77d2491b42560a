"""A sweep, from before its first run to after its last: what is shown of all of them together."""

from __future__ import annotations

import logging
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from satae.config import Config, ConfigError
from satae.page.writing import write
from satae.printable import brief_line
from satae.runs.layout import RECORD_FILE, shorten
from satae.sweeps import board, results, table
from satae.sweeps.notes import Runs
from satae.sweeps.results import Result, Unreadable

log = logging.getLogger(__name__)


def begin(sweep: Path, configs: Sequence[Config], asked: Runs) -> None:
    """Show what the runs of a sweep choose, those that are there too.

    Args:
        sweep: its folder.
        configs: of the runs that are to be made.
        asked: all that it is to have.
    """
    there = [*results.below(sweep)]
    board.show_sweep(sweep, [*(run.choices for run in there), *(results.chosen(config) for config in configs)])
    board.grow(sweep, there, asked)


def follow(directory: Path) -> None:
    """Show a run as it stands beside the others of its sweep; a run does not end for want of that."""
    if (directory / RECORD_FILE).exists():
        try:
            board.follow(directory)
        except Exception as error:  # whatever stands in the directory of another run
            log.warning("not shown beside the others of its sweep: %s", _why(error))


def end(sweep: Path, asked: Sequence[Path], launcher: Sequence[str] = (), *, report: bool) -> None:
    """Show all that there is of a sweep; the table comes also where TensorBoard cannot be shown it.

    Args:
        sweep: its folder.
        asked: the folders of the runs that were to be made.
        launcher: the words that chose one.
        report: whether to write the page, too.
    """
    found = _finished(sweep)
    table.summarise(sweep, found, asked, launcher)
    if report:
        _report(sweep, found)


def _finished(sweep: Path) -> list[Result | Unreadable]:
    """All that was read of a sweep, shown in TensorBoard as far as it can be."""
    try:
        return board.finish(sweep)
    except Exception as error:
        print(f"not shown in TensorBoard, or not all of it: {_why(error)}", file=sys.stderr)  # noqa: T201
        return [results.attempted(path) for path in results.directories(sweep)]


def _why(error: Exception) -> str:
    return brief_line(error) or type(error).__name__


def _report(sweep: Path, found: Sequence[Result | Unreadable]) -> None:
    try:
        page = write([sweep], known=found)
        print(f"report       {shorten(page)}")  # noqa: T201
        print(f"TensorBoard  tensorboard --logdir {shlex.quote(str(shorten(sweep)))}", flush=True)  # noqa: T201
    except (OSError, ConfigError) as error:
        print(f"no report: {error}", file=sys.stderr)  # noqa: T201
