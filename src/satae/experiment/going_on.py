"""Whether a run can go on: with the configuration, the data and the checkpoint that are there now."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from satae.config import Config, ConfigError, saved_config
from satae.config.schema import all_path_options
from satae.config.validation import check_changes
from satae.experiment import build
from satae.experiment.experiment import Experiment
from satae.experiment.same_data import check_data
from satae.printable import brief, brief_line, first_line, one_line
from satae.runs import record
from satae.runs.layout import FINISHED, shorten
from satae.training import checkpoint, checkpoint_folder
from satae.training.checkpoint import State
from satae.training.fit import steps_per_epoch
from satae.training.schedule import alpha_schedule


def check(config: Config, run: Path) -> str | None:
    """Look whether a run can go on; a line that says so where nothing is left to do.

    Args:
        config: as it is to go on.
        run: its directory.

    Raises:
        ConfigError: it cannot.
    """
    finished = record.read_record(run)["status"] == FINISHED
    try:
        state = checkpoint_folder.latest(run, lambda line: print(f"warning: {one_line(line)}", file=sys.stderr))  # noqa: T201
        if state is None and finished:
            raise ConfigError(f"{run}: is finished, but its checkpoints are gone; begin anew with rerun={run}")
        if state is not None:
            begun = saved_config.restore_config(state.facts["config"], f"{run}: the configuration in its checkpoint")
            check_changes(begun, config, all_path_options())  # of files and folders only the numbers in them count
            if (least := _least(config, state, run)) == config.epochs and finished:
                more = "to train further, give more (epochs=...)"
                return f"{shorten(run)}: already finished, after {least} epochs; {more}"
        build.check(config)
        if state is not None:
            check_data(state.facts, build.dataset(config), build.fingerprint(config))
            _try(config, state, run)
    except ConfigError:
        raise
    except OSError as error:
        raise ConfigError(f"{error.filename or run}: cannot be read ({error.strerror}); see to it") from None
    except ValueError as error:
        raise ConfigError(f"{run}: cannot go on ({first_line(error)}); begin anew with rerun={run}") from None
    except (KeyError, TypeError, ArithmeticError) as error:
        raise ConfigError(f"{run}: cannot go on ({brief_line(error)}); begin anew with rerun={run}") from None
    return None


def _least(config: Config, state: State, run: Path) -> int:
    """How many epochs have begun, which can only be more."""
    least = -(-state.step // steps_per_epoch(int(state.facts["samples"]), config.batch_size))
    if config.epochs < least:
        raise ConfigError(f"epochs={config.epochs}: {least} have begun; give at least that, or use rerun={run}")
    return least


def _try(config: Config, state: State, run: Path) -> None:
    """Go on from a state as training does, as far as the first step, for what is wrong with it to be found."""
    experiment = Experiment.of(config)
    experiment.restore(state)
    alpha_jump(experiment, state)
    best_so_far(run, state, experiment, lambda line: None)


def alpha_jump(experiment: Experiment, state: State) -> str:
    """What other ``epochs`` do to alpha where a run goes on from a state; nothing if they do nothing."""
    config = experiment.config
    before, now = state.facts["config"]["epochs"], config.epochs
    schedule = alpha_schedule(config.alpha, config.alpha_schedule)
    per_epoch = steps_per_epoch(len(experiment.data.train.x), config.batch_size)
    was, is_now = (schedule(state.step / (epochs * per_epoch)) for epochs in (before, now))
    if was == is_now:
        return ""
    rises = f"it rises over half of {now} epochs now, not of {brief(before)}"
    return f"alpha goes from {was:.3g} to {is_now:.3g} here: {rises}"


def best_so_far(run: Path, state: State, experiment: Experiment, tell: Callable[[str], object]) -> float | None:
    """The lowest loss so far, if the weights that had it are there.

    Args:
        run: its directory.
        state: that it goes on from.
        experiment: that the weights are to fit.
        tell: called with a line where they are not there, or cannot be used.
    """
    if state.best is None:
        return None
    try:
        experiment.check_weights(checkpoint.load(checkpoint_folder.best(run)))
    except (FileNotFoundError, ValueError) as error:
        tell(f"{one_line(error)}; the best weights so far are lost: the next epoch with all of alpha is the best now")
        return None
    return state.best
