"""Train a saturated denoising autoencoder: ``satae-train alpha=0.1 act=relu``."""

from __future__ import annotations

import logging
import math
import os
import sys
from pathlib import Path
from typing import Final

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from satae import command
from satae.command.interruption import undisturbed
from satae.config import Config, validate
from satae.config.messages import first_line

PROGRAM: Final = "satae-train"

log = logging.getLogger(__name__)
_sweeps: set[Path] = set()  # directories of the sweeps that this process has run


def main() -> int:
    """The entry point; returns the exit code."""
    # OpenMP's threads wait by spinning: two of them on two busy cores made a step four to fifteen times as slow
    os.environ.setdefault("GOMP_SPINCOUNT", "100")
    _sweeps.clear()
    return command.execute(PROGRAM, run_job, check, summarise_sweeps)


def check(config: Config) -> None:
    """Refuse what cannot be run, before anything is written."""
    from satae import build

    build.check(config)


def summarise_sweeps() -> None:
    """Close each sweep with its table."""
    for sweep in _sweeps:
        from satae.tracking.sweep import summarise

        summarise(sweep)


@hydra.main(config_path="pkg://satae.conf", config_name="config", version_base="1.3")
def run_job(composed: DictConfig) -> float:
    """One run of the command line, or of a sweep; returns the reconstruction loss on the validation split."""
    from satae.training.fit import NonFiniteLoss

    job = HydraConfig.get()
    directory, in_sweep = Path(job.runtime.output_dir), job.mode == RunMode.MULTIRUN
    if in_sweep:
        _sweeps.add(Path(job.sweep.dir))
    try:
        return train(validate(composed), directory, list(job.overrides.task), brief=in_sweep)
    except NonFiniteLoss as error:
        log.error("%s", error)
        return command.fail(PROGRAM, f"{directory}: {first_line(error)}", command.DIVERGED)
    except Exception as error:
        log.exception("the run failed")
        line = f"{type(error).__name__}: {first_line(error)}; the traceback is in {directory / job.job.name}.log"
        return command.fail(PROGRAM, line)


def train(config: Config, directory: Path, overrides: list[str], *, brief: bool = False) -> float:
    """Build, fit, measure, show; returns the final reconstruction loss on the validation split.

    Raises:
        NonFiniteLoss: the loss was nan or infinite; the last good checkpoint is kept.
    """
    from satae.experiment import Experiment
    from satae.tracking.board import Board
    from satae.tracking.console import Display
    from satae.tracking.pictures import save
    from satae.tracking.record import Record
    from satae.training import checkpoint, engine
    from satae.training.fit import NonFiniteLoss

    with (
        Record(directory, config, overrides) as record,
        Board(directory) as board,
        Display(config.epochs, brief=brief) as display,
    ):
        threads = engine.prepare(config.threads)
        experiment = Experiment.of(config)
        record.note(threads=threads, device=str(experiment.device), data=experiment.facts())
        board.text("run", " ".join(overrides) if brief else record.command)
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
