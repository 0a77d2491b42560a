"""Train a saturated denoising autoencoder: ``satae-train alpha=0.1 act=relu``."""

from __future__ import annotations

import logging
import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from satae.command.ending import DIVERGED, FAILED, INTERRUPTED, OK, say
from satae.command.execution import execute
from satae.command.interruption import undisturbed
from satae.command.launch import CommandLine, Program
from satae.command.ledger import Begun
from satae.command.parallel import Share
from satae.config import Config, validate
from satae.config.messages import first_line

if TYPE_CHECKING:
    from satae.tracking.record import Record

PROGRAM: Final = "satae-train"

log = logging.getLogger(__name__)


def main() -> int:
    """The entry point; returns the exit code."""
    # OpenMP's threads wait by spinning, long by default: with other programs at work, steps took up to 20 times as long
    os.environ.setdefault("GOMP_SPINCOUNT", "2000")
    return execute(Program(PROGRAM, check, ready, run_job, close))


def check(config: Config) -> None:
    """Refuse what cannot be run, before anything is written."""
    from satae import build

    build.check(config)


def ready() -> None:
    """Import what a run needs, which takes seconds."""
    import satae.experiment
    import satae.tracking.board
    import satae.tracking.console
    import satae.tracking.pictures
    import satae.tracking.record  # noqa: F401


def run_job(composed: DictConfig, line: CommandLine) -> float:
    """One run of the command line, or of a sweep; returns the reconstruction loss on the validation split."""
    from satae.tracking.record import Record
    from satae.training.fit import NonFiniteLoss

    job, config = HydraConfig.get(), validate(composed)
    directory, in_sweep = Path(job.runtime.output_dir), job.mode == RunMode.MULTIRUN
    codes = {NonFiniteLoss: DIVERGED, KeyboardInterrupt: INTERRUPTED}
    record = Record(directory, config, line.text, list(job.overrides.task), codes)
    line.ledger.add(Begun(directory, Path(job.runtime.cwd, job.sweep.dir) if in_sweep else None))
    try:
        return train(config, record, line.share, brief=in_sweep)
    except NonFiniteLoss as error:
        log.error("%s", error)
        say(PROGRAM, f"{directory}: {first_line(error)}", DIVERGED)
    except Exception as error:
        log.exception("the run failed")
        told = f"{type(error).__name__}: {first_line(error)}; the traceback is in {directory / job.job.name}.log"
        say(PROGRAM, told, FAILED)
    return math.nan


def close(begun: Sequence[Begun], error: BaseException | None) -> int:
    """End the runs that could not end themselves, and show the table of each sweep; the exit code of all."""
    if not begun:
        return OK
    from satae.tracking import record, sweep

    if error is not None:
        code = INTERRUPTED if isinstance(error, KeyboardInterrupt) else FAILED
        for run in begun:
            record.close_unended(run.directory, error, code)
    for folder in {run.sweep for run in begun if run.sweep}:
        sweep.summarise(folder)
    return max(int(record.read(run.directory).get("exit_code", FAILED)) for run in begun)


def train(config: Config, record: Record, share: Share | None = None, *, brief: bool = False) -> float:
    """Build, fit, measure, show; returns the final reconstruction loss on the validation split.

    Args:
        config: what to train.
        record: of its run, begun here.
        share: what the run gets of the machine, where several go on at once.
        brief: say no more than a line.

    Raises:
        NonFiniteLoss: the loss was nan or infinite; the last good checkpoint is kept.
    """
    from satae.experiment import Experiment
    from satae.tracking.board import Board
    from satae.tracking.console import Display
    from satae.tracking.pictures import save
    from satae.training import checkpoint, engine
    from satae.training.fit import NonFiniteLoss

    directory = record.directory
    with (
        record,
        Board(directory) as board,
        Display(config.epochs, brief=brief, name=record.name if share else "") as display,
    ):
        threads = engine.prepare(config.threads, share.threads if share else None)
        experiment = Experiment.of(config)
        jobs = {"jobs": share.jobs} if share else {}
        record.note(threads=threads, **jobs, device=str(experiment.device), data=experiment.facts())
        board.text("run", " ".join(record.overrides) if brief else record.command)
        display.start(experiment.summary())
        for caveat in experiment.caveats():
            display.warn(caveat)
        keeper = checkpoint.Keeper(directory / checkpoint.NAME)
        for epoch in experiment.fit():
            with undisturbed():
                last = epoch.number == config.epochs
                # pictures and the rarer measures cost more than an epoch's numbers: after 1, 10, 100, ... epochs
                closer = last or math.log10(epoch.number).is_integer()
                metrics = epoch.scalars() | experiment.measures(epoch.alpha)
                if not math.isfinite(metrics["valid/total"]):  # the last step spoilt the weights
                    raise NonFiniteLoss(epoch.step, metrics["valid/total"], epoch.loss)
                if closer:
                    metrics |= experiment.rare_measures()
                    pictures = experiment.pictures()
                    board.pictures(pictures, epoch.number)
                    board.histograms(experiment.distributions(), epoch.number)
                record.epoch(epoch.number, metrics)
                board.scalars(metrics, epoch.number)
                display.epoch(epoch.number, metrics)
                if last or keeper.due():
                    keeper.keep(experiment.state() | {"epoch": epoch.number})
        save(pictures, directory / "pictures")
        record.finish(metrics)
        display.result(metrics, directory, list(pictures))
    return metrics["valid/reconstruction"]


if __name__ == "__main__":
    from satae.train import main as installed_main  # the module that worker processes import too

    sys.exit(installed_main())
