"""Train a saturated denoising autoencoder: ``satae-train alpha=0.1 act=relu``."""

from __future__ import annotations

import logging
import math
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from satae.command.ending import DIVERGED, FAILED, OK, say
from satae.command.execution import execute
from satae.command.interruption import Interrupted, held, number_of
from satae.command.launch import CommandLine, Program
from satae.command.ledger import Begun
from satae.command.stored_runs import RESUME
from satae.config import Config, validate
from satae.config.messages import first_line

PROGRAM: Final = "satae-train"

log = logging.getLogger(__name__)


def main() -> int:
    """The entry point; returns the exit code."""
    # OpenMP's threads wait by spinning, long by default: with other programs at work, steps took up to 20 times as long
    os.environ.setdefault("GOMP_SPINCOUNT", "2000")
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # an NVIDIA GPU cannot repeat a run exactly without
    return execute(Program(PROGRAM, check, ready, run_job, close))


def check(config: Config, resume: Path | None) -> str | None:
    """Refuse what cannot be run, before anything is written; a line to say where nothing is left to do."""
    ready()
    from satae import build
    from satae.session import nothing_left

    if resume is not None:
        return nothing_left(config, resume)
    build.check(config)
    return None


def ready() -> None:
    """Import what a run needs, which takes seconds; an interrupt would be lost in it."""
    with held():
        import satae.session  # noqa: F401


def run_job(composed: DictConfig, line: CommandLine) -> float:
    """One run of the command line, or of a sweep; returns the reconstruction loss on the validation split."""
    from satae.session import train
    from satae.tracking.console import shorten
    from satae.tracking.record import Record
    from satae.training.fit import NonFinite

    job, config = HydraConfig.get(), validate(composed)
    directory, in_sweep = Path(job.runtime.output_dir), job.mode == RunMode.MULTIRUN
    if line.resume:
        record = Record.resume(directory, line.text, exit_code)
    else:
        record = Record.begin(directory, config, line.text, list(job.overrides.task), exit_code)
    line.ledger.add(Begun(directory, Path(job.runtime.cwd, job.sweep.dir) if in_sweep else None))
    go_on = f"{PROGRAM} {RESUME}={shlex.quote(str(shorten(directory)))}"
    try:
        with record:
            return train(config, record, line.share, brief=in_sweep)
    except Interrupted as error:
        raise Interrupted(error.number, "" if in_sweep else f"; go on with: {go_on}") from None
    except NonFinite as error:
        log.error("%s", error)
        say(PROGRAM, f"{directory}: {first_line(error)}", DIVERGED)
    except Exception as error:
        log.exception("the run failed")
        log_file = directory / f"{job.job.name}.log"
        say(PROGRAM, f"{_told(error)}; go on with: {go_on}; the traceback is in {log_file}", FAILED)
    return math.nan


def exit_code(error: BaseException) -> int:
    """Of a run that an error ends."""
    from satae.training.fit import NonFinite

    if isinstance(error, KeyboardInterrupt):
        return 128 + number_of(error)
    return DIVERGED if isinstance(error, NonFinite) else FAILED


def _told(error: Exception) -> str:
    """A fault of the program or the machine, in one line with what can be done about it."""
    if isinstance(error, MemoryError) or "can't allocate memory" in str(error) or "OutOfMemory" in type(error).__name__:
        return "out of memory; take a smaller batch_size, arch or n_jobs, or make room"
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: cannot be written or read ({error.strerror}); see to it"
    return f"{type(error).__name__}: {first_line(error)}"


def close(begun: Sequence[Begun], error: BaseException | None) -> int:
    """End the runs that could not end themselves, and show the table of each sweep; the exit code of all."""
    if not begun:
        return OK
    from satae.tracking import record, sweep

    if error is not None:
        for run in begun:
            record.close_unended(run.directory, error, exit_code(error))
    for folder in {run.sweep for run in begun if run.sweep}:
        sweep.summarise(folder)
    return max(int(record.read(run.directory).get("exit_code", FAILED)) for run in begun)


if __name__ == "__main__":
    from satae.train import main as installed_main  # the module that worker processes import too

    sys.exit(installed_main())
