"""Train a saturated denoising autoencoder: ``satae-train alpha=0.1 act=relu``."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from satae import signals as interruption
from satae.cli.exit_codes import FAILED, OK
from satae.signals import held

if TYPE_CHECKING:
    from satae.cli.launch import CommandLine
    from satae.config import Config
    from satae.sweeps.notes import Runs


def main() -> int:
    """The entry point; returns the exit code."""
    interruption.die_quietly()  # imports take a while
    from satae.cli.execution import execute
    from satae.cli.job import PROGRAM, run_job
    from satae.cli.launch import Program

    # OpenMP's threads wait by spinning, long by default: with other programs at work, steps took up to 20 times as long
    os.environ.setdefault("GOMP_SPINCOUNT", "2000")
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # an NVIDIA GPU cannot repeat a run exactly without
    return execute(Program(PROGRAM, check, ready, open_sweep, run_job, close))


def check(config: Config, resume: Path | None) -> str | None:
    """Refuse what cannot be run, before anything is written; a line to say where nothing is left to do."""
    ready()
    from satae.experiment import build, going_on

    if resume is not None:
        return going_on.check(config, resume)
    build.check(config)
    return None


def ready() -> None:
    """Import what a run needs, which takes seconds; an interrupt would be lost in it."""
    with held():
        import satae.cli.session  # noqa: F401


def open_sweep(sweep: Path, configs: Sequence[Config], asked: Runs) -> None:
    """Show what the runs of a sweep choose."""
    from satae.cli import sweep_session

    sweep_session.begin(sweep, configs, asked)


def close(line: CommandLine, folders: Sequence[Path], error: BaseException | None) -> int:
    """End the runs that could not end themselves, and show the table of a sweep; the exit code of all.

    Args:
        line: that asked for the runs.
        folders: of the runs.
        error: that ended the program before its time.
    """
    from satae.cli import sweep_session
    from satae.cli.job import exit_code
    from satae.cli.making import Killed
    from satae.config import ConfigError
    from satae.runs import record
    from satae.sweeps import results

    cause = error or Killed()
    for folder in folders:
        # a run that could not write its own end has told why; one that cannot be read is told of in the table
        with suppress(OSError, ConfigError):
            if results.status(folder) == results.RUNNING:
                record.close_unfinished(folder, cause, exit_code(cause))
    if line.sweep is not None and line.sweep.is_dir():
        sweep_session.end(line.sweep, folders, line.launcher, report=error is None)
    lost = error is None and not line.is_stopped and any(results.status(folder) is None for folder in folders)
    return max(results.worst_exit_code(folders), FAILED if lost else OK)


if __name__ == "__main__":
    from satae.train import main as installed_main  # the module that worker processes import too

    sys.exit(installed_main())
