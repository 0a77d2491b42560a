"""Train a saturated denoising autoencoder: ``satae-train alpha=0.1 act=relu``."""

from __future__ import annotations

import math
import shlex
import sys
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from satae import library, signals

if TYPE_CHECKING:
    from satae.config import Config
    from satae.launchers.base import CoreShare
    from satae.runs.record import RunRecord


def main() -> int:
    """Run ``satae-train``; returns the exit code."""
    signals.end_without_traceback()  # until the program handles signals: imports take a while
    from satae.cli import app

    last_words = "ended at once; the last checkpoint is kept"
    return app.run("satae-train", run_command, last_words=last_words, pause_garbage_collector=True)


def run_command(words: Sequence[str]) -> int:
    """Train the runs that the words of a command line ask for, or show what they ask to see; returns the exit code."""
    from satae.cli import flags

    typed = flags.parse_flags(words)
    if flags.only_shows(typed):
        return flags.show(typed)
    from satae.cli import jobs, plan  # take longer than the help
    from satae.config import plugins

    runs = plan.make_plan(typed, shlex.join(["satae-train", *plugins.typed_words(), *words]))
    with plan.open_runs(runs) as (launcher, jobs_to_run):
        launcher.run(partial(jobs.run_job, train), jobs_to_run)
    return plan.overall_exit_code(runs)


def train(config: Config, record: RunRecord, share: CoreShare | None = None, name: str = "") -> float:
    """Build an autoencoder, train, measure, log and save it; returns its reconstruction error on validation data.

    Args:
        config: what to train.
        record: the run's record in its directory, new or resumed.
        share: the share of the machine, if several runs are made at once.
        name: the name of a run of a sweep, which prints one line only.

    Raises:
        NonFinite: the loss, or a weight, was nan or infinite; the last good checkpoint is kept.
        Interrupted: a signal asked for it; a checkpoint is written.
        ValueError: the run cannot resume from its checkpoints.
    """
    from satae.config.registry import LOGGERS
    from satae.experiment.before_training import checkpoint_manager, is_out_of_patience, startup_warnings
    from satae.experiment.experiment import Experiment
    from satae.loggers.console import RunConsole
    from satae.plots import pictures
    from satae.runs.loading import read_start
    from satae.training import torch_settings
    from satae.training.checkpoint import latest_checkpoint

    threads = torch_settings.configure_torch(config.threads or record.threads, share.threads if share else None)
    stored = latest_checkpoint(record.directory) if record.is_resumed else None
    experiment = Experiment.from_state(config, stored) if stored else Experiment.from_config(config, read_start(config))
    done = experiment.epochs_done
    metrics = record.rewind(done, config) if record.is_resumed else {}
    with (
        LOGGERS.build(config.logger, record.directory, done + 1 if record.is_resumed else None) as logger,
        RunConsole(config.epochs, finished_epochs=done, name=name) as console,
    ):
        warnings, jobs = startup_warnings(experiment, stored), {"jobs": share.jobs} if share else {}
        record.add(threads=threads, **jobs, **experiment.describe(), warnings=warnings)
        console.info(experiment.summary())
        if record.is_resumed:
            console.info(f"resuming from {experiment.describe_position() if stored else 'the start: no checkpoint'}")
        if not stored:
            logger.log_command(record.overrides if name else record.command)
        for warning in warnings:
            console.warn(warning)
        checkpoints = checkpoint_manager(experiment, stored, record.directory, console.warn)

        is_over = is_out_of_patience(config, checkpoints.waited) and experiment.step % experiment.steps_per_epoch == 0
        pauses = experiment.fit(lambda step: signals.pending_signal() is not None or checkpoints.should_save(step))
        for epoch in () if is_over else pauses:
            if epoch is not None:
                metrics = experiment.measure(epoch)
                if epoch.alpha == config.alpha:  # while alpha rises, the losses cannot be compared
                    checkpoints.offer_best(metrics["valid/total"], experiment.weights)
                    is_over = is_out_of_patience(config, checkpoints.waited)
            is_due = is_over or epoch is None or epoch.number == config.epochs
            if epoch is not None:
                if is_due or math.log10(epoch.number).is_integer():  # these cost more: at 1, 10, 100, ... epochs
                    metrics |= experiment.measure_rare()
                    logger.log_images(pictures.draw_examples(experiment, console.warn), epoch.number)
                    logger.log_histograms(experiment.distributions(), epoch.number)
                record.add_epoch(epoch.number, metrics)
                logger.log_scalars(metrics, epoch.number)
                console.show_epoch(epoch.number, metrics)
                is_due = is_due or checkpoints.should_save(experiment.step, epoch.number)
            interrupted_by = signals.pending_signal()
            if is_due or interrupted_by is not None:
                state = experiment.state()
                record.sync()  # what was logged before a checkpoint must be on the disk before it
                logger.flush()
                checkpoints.save(experiment.step, state)
            if interrupted_by is not None:
                console.info(f"interrupted: stopped at {experiment.describe_position()}")
                raise signals.Interrupted(interrupted_by)
            if is_over:
                break

        if experiment.epochs_done < config.epochs:
            early = f"after {experiment.epochs_done} of {config.epochs} epochs"
            early += f": no lower validation loss in the last {checkpoints.waited}"
            record.add(stopped_early=early)
            console.info(f"stopped early, {early}")
        if "valid/code_sensitivity" not in metrics:  # resumed with fewer epochs: none was left to train
            metrics |= experiment.measure_rare()
        drawn = pictures.save(pictures.draw_examples(experiment, console.warn), record.directory)
        record.write_final_metrics(metrics)
        console.show_result(metrics, record.directory, drawn, logger.end_message())
    return metrics["valid/reconstruction"]


sys.modules[__name__].__class__ = library.CallableModule  # ``satae.train(alpha=0.1)`` in Python makes a run, too

if __name__ == "__main__":
    sys.exit(main())
