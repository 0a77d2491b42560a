"""One run, from where it begins or goes on to its end: fit, measure, show, keep."""

from __future__ import annotations

import math
from functools import partial
from typing import NamedTuple

from satae import signals as interruption
from satae.config import Config
from satae.config.registries import LOGGERS
from satae.experiment import build, going_on, observation
from satae.experiment.caveats import caveats
from satae.experiment.experiment import Experiment
from satae.launchers.share import Share
from satae.loggers.base import Logger
from satae.loggers.console import RunConsole
from satae.plots import pictures
from satae.runs.layout import PICTURES_FOLDER
from satae.runs.record import RunRecord
from satae.signals import Interrupted
from satae.training import checkpoint_folder, engine
from satae.training.checkpoint import State
from satae.training.fit import Epoch, NonFiniteLoss, NonFiniteWeights, Position
from satae.training.keeper import Keeper


class Session(NamedTuple):
    """A training and those who are told of it."""

    experiment: Experiment
    record: RunRecord
    logger: Logger
    display: RunConsole
    keeper: Keeper

    def finish(self, begin: Position, metrics: dict[str, float]) -> dict[str, float]:
        """Train to the end; the metrics of the last epoch.

        Args:
            begin: where to begin, or to go on.
            metrics: of the epoch before.

        Raises:
            NonFinite: the loss was nan or infinite, or a weight.
            Interrupted: a signal asked for it; a checkpoint is written.
        """
        for position, epoch in self.experiment.fit(begin, self._is_to_pause):
            if epoch is not None:
                metrics = self._tell(epoch, position.step)
            asked = interruption.asked()
            last = epoch is not None and epoch.number == self.experiment.config.epochs
            if epoch is None or last or asked is not None or self.keeper.due(position.step, epoch.number):
                self._keep(position)
            if asked is not None:
                done = self.experiment.epochs_until(position)
                self.display.info(f"asked to end: left at step {position.step:,}, after {done} epochs")
                raise Interrupted(asked)
        return metrics

    def close(self, metrics: dict[str, float]) -> float:
        """Write and show what it came to; the final reconstruction loss on the validation split."""
        if "valid/code_sensitivity" not in metrics:  # the epoch was not the last when it was measured
            metrics |= observation.rare_measures(self.experiment)
        drawn = observation.drawn(self.experiment)
        pictures.save(drawn, self.record.directory / PICTURES_FOLDER)
        self.record.write_final_metrics(metrics)
        self.display.show_result(metrics, self.record.directory, list(drawn), self.logger.end_message())
        return metrics["valid/reconstruction"]

    def _is_to_pause(self, step: int) -> bool:
        return interruption.asked() is not None or self.keeper.due(step)

    def _tell(self, epoch: Epoch, step: int) -> dict[str, float]:
        """Measure after an epoch, and write it down."""
        metrics = epoch.scalars() | observation.measures(self.experiment, epoch.alpha)
        if not math.isfinite(metrics["valid/total"]):  # the last step spoilt the weights
            raise NonFiniteLoss(step, metrics["valid/total"], epoch.loss)
        # pictures and the rarer measures cost more than an epoch's numbers: after 1, 10, 100, ... epochs
        if epoch.number == self.experiment.config.epochs or math.log10(epoch.number).is_integer():
            metrics |= observation.rare_measures(self.experiment)
            self.logger.log_images(observation.drawn(self.experiment), epoch.number)
            self.logger.log_histograms(observation.distributions(self.experiment), epoch.number)
        self.record.add_epoch(epoch.number, metrics)
        self.logger.log_scalars(metrics, epoch.number)
        self.display.show_epoch(epoch.number, metrics)
        if epoch.alpha == self.experiment.config.alpha:  # before, the loss is another one
            self.keeper.consider(metrics["valid/total"], partial(self.experiment.weights, step))
        return metrics

    def _keep(self, position: Position) -> None:
        """Write a checkpoint; what was told before it is on the disk then."""
        state = self.experiment.state(position)
        if not state.is_finite:
            raise NonFiniteWeights(position.step)
        self.record.sync()
        self.logger.flush()
        self.keeper.write(position.step, state)


def train(config: Config, record: RunRecord, share: Share | None = None, name: str = "") -> float:
    """Build, fit, measure, show; returns the final reconstruction loss on the validation split.

    Args:
        config: what to train.
        record: of its run, begun or resumed.
        share: what the run gets of the machine, where several go on at once.
        name: of a run of a sweep, which says no more than a line.

    Raises:
        NonFinite: the loss was nan or infinite, or a weight; the last good checkpoint is kept.
        Interrupted: a signal asked for it.
        ValueError: the checkpoints that are there cannot be gone on from.
    """
    engine.repeat_exactly(build.device(config))
    threads = engine.prepare(config.threads or record.threads, share.threads if share else None)
    state = checkpoint_folder.latest(record.directory) if record.is_resumed else None
    experiment = Experiment.of(config)
    begin = experiment.restore(state) if state else experiment.beginning()
    done = experiment.epochs_until(begin)
    metrics = record.rewind(done, config) if record.is_resumed else {}
    with (
        LOGGERS.build(config.logger, record.directory, done + 1 if record.is_resumed else None) as logger,
        RunConsole(config.epochs, finished_epochs=done, name=name) as display,
    ):
        jobs = {"jobs": share.jobs} if share else {}
        record.add_facts(threads=threads, **jobs, device=str(experiment.device), data=experiment.facts())
        if state is None:
            logger.log_command(record.overrides if name else record.command)
        session = _opened(experiment, record, logger, display, begin, state)
        return session.close(session.finish(begin, metrics))


def _opened(
    experiment: Experiment, record: RunRecord, logger: Logger, display: RunConsole, begin: Position, state: State | None
) -> Session:
    """A session of which is told what is trained, from where, and what a user should know before."""
    display.info(experiment.summary())
    if record.is_resumed:
        after = f"from step {begin.step:,}, after {experiment.epochs_until(begin)} epochs"
        display.info(f"going on {after if state else 'from the beginning: no checkpoint'}")
    if state and (jump := going_on.alpha_jump(experiment, state)):
        display.warn(jump)
    for caveat in caveats(experiment):
        display.warn(caveat)
    best = going_on.best_so_far(record.directory, state, experiment, display.warn) if state else None
    keeper = Keeper(record.directory, **vars(experiment.config.checkpoint), best=best)
    return Session(experiment, record, logger, display, keeper)
