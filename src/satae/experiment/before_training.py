"""Checks before a training starts or resumes, and warnings about what the user may not expect."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import torch

from satae.config import Config, ConfigError, saved_config
from satae.config.schema import all_path_options, check_changes
from satae.experiment import build
from satae.experiment.experiment import Experiment, check_data
from satae.messages import brief, brief_line, count_words, first_line, one_line, reason
from satae.training import checkpoint, torch_settings
from satae.training.checkpoint import CheckpointManager, State, best_path, latest_checkpoint
from satae.training.gradients import missing_compiler
from satae.training.loop import alpha_schedule, steps_per_epoch
from satae.training.machine import available_cores
from satae.training.optimizers import lr_schedule

NEARLY_ALL: Final = 0.95  # a layer with a larger share of saturated units hardly learns


def check_config(config: Config) -> None:
    """Build everything but the weights, so that what does not fit is reported before anything is written.

    Raises:
        ConfigError: something does not fit.
    """
    try:
        device = build.device(config.device)
        if config.compile and (compiler := missing_compiler(device)):
            raise ConfigError(f"compile=true: needs the C++ compiler {compiler}; install it, or set compile=false")
        if config.start_best and config.start is None:
            raise ConfigError("start_best=true: is for a run with start=RUN; leave it out, or name RUN")
        build.objective(config)
        data = build.dataset(config)
        last_batch = len(data.train.x) % config.batch_size or config.batch_size
        if getattr(config.arch, "batch_norm", False) and last_batch == 1:
            raise ConfigError(
                f"batch_size={config.batch_size}: leaves a batch of one of the {len(data.train.x)} training inputs,"
                " which arch.batch_norm=true cannot normalize; choose another"
            )
        if config.decoder_norm and getattr(config.arch, "tied", False):
            raise ConfigError(
                f"decoder_norm={config.decoder_norm}: a tied decoder has no weights of its own to normalize;"
                " set arch.tied=false, or decoder_norm=null"
            )
        if config.freeze and getattr(config.arch, "tied", False):
            raise ConfigError(
                f"freeze={config.freeze}: a tied decoder has the weights of the encoder; set arch.tied=false, or"
                " freeze=null"
            )
        if config.freeze == "decoder" and config.decoder_norm:
            raise ConfigError(
                f"freeze=decoder: keeps the weights that decoder_norm={config.decoder_norm} would change; set"
                " decoder_norm=null, or freeze=null"
            )
        with torch.device("meta"):
            model = build.model(config, data.shape)
            if config.decoder_norm:
                model.normalize_decoder()
    except ConfigError:
        raise
    except ValueError as error:
        raise ConfigError(str(error)) from None
    except OSError as error:
        raise ConfigError(f"{error.filename or 'data'}: cannot be read ({reason(error)})") from None


def check_new(config: Config) -> None:
    """Check the configuration of a new run, which must also keep rules that runs of earlier versions need not keep.

    Raises:
        ConfigError: something does not fit.
    """
    check_config(config)
    has_gaps = config.arch.name == "conv" and config.arch.stride > config.arch.kernel
    if has_gaps and (unread := build.unread_pixels(config, build.dataset(config).shape)):
        raise ConfigError(unread)


def check_resume(config: Config, run: Path, finished: bool, warn: Callable[[str], object]) -> int | None:
    """Check that a run can resume; returns the number of its finished epochs, None if no epoch is left to train.

    Args:
        config: the configuration with which it resumes.
        run: its directory.
        finished: whether its record says that it is finished.
        warn: called with one line for each checkpoint that is skipped.

    Raises:
        ConfigError: it cannot resume.
    """
    try:
        state = latest_checkpoint(run, warn)
        if state is None and finished:
            raise ConfigError(f"{run}: is finished, but its checkpoints are gone; start over with rerun={run}")
        if state is not None:
            before = saved_config.restore_config(state.facts["config"], f"{run}: the configuration in its checkpoint")
            check_changes(before, config, all_path_options())  # files may move; the numbers in them may not change
            started = -(-state.step // steps_per_epoch(int(state.facts["samples"]), config.batch_size))
            if config.epochs < started:
                raise ConfigError(
                    f"epochs={config.epochs}: this run has started {started} epochs; give epochs={started} or more, or"
                    f" start a new run with rerun={run}"
                )
            if finished and (config.epochs == started or is_out_of_patience(config, epochs_waited(config, state))):
                return None
        check_config(config)
        if state is None:
            return 0
        check_data(state.facts, build.dataset(config).as_seen_by(state.facts))
        experiment = Experiment.from_state(config, state)
        # raise here, before anything is written, what they would raise in train
        schedule_jumps(experiment, state)
        best_so_far(experiment, state, run, lambda line: None)
        return experiment.epochs_done
    except ConfigError:
        raise
    except OSError as error:
        raise ConfigError(f"{error.filename or run}: cannot be read ({error.strerror}); check it") from None
    except ValueError as error:
        raise ConfigError(f"{run}: cannot resume ({first_line(error)}); start over with rerun={run}") from None
    except (KeyError, TypeError, ArithmeticError) as error:
        raise ConfigError(f"{run}: cannot resume ({brief_line(error)}); start over with rerun={run}") from None


def schedule_jumps(experiment: Experiment, state: State) -> list[str]:
    """Say how alpha and the learning rate jump because a run resumes from ``state`` with another number of epochs."""
    config, lines = experiment.config, list[str]()
    before, now = state.facts["config"]["epochs"], config.epochs
    alpha, lr = alpha_schedule(config.alpha, config.alpha_schedule), lr_schedule(config.optim)
    for name, schedule, what in (("alpha", alpha, "rises over half"), ("the learning rate", lr, "follows a schedule")):
        shares = (state.step / (epochs * experiment.steps_per_epoch) for epochs in (before, now))
        old, new = map(schedule, shares) if schedule else (0.0, 0.0)
        if old != new:
            lines.append(
                f"{name} goes from {old:.3g} to {new:.3g} here: it {what} of {now} epochs now, not of {brief(before)}"
            )
    return lines


def epochs_waited(config: Config, state: State) -> int:
    """The number of epochs without a lower loss, of a run that resumes; with other ``epochs``, 0."""
    return state.waited if state.facts["config"]["epochs"] == config.epochs else 0


def checkpoint_manager(
    experiment: Experiment, state: State | None, run: Path, warn: Callable[[str], object]
) -> CheckpointManager:
    """The manager of a run's checkpoints; if the run resumes from ``state``, it knows the best loss and its age."""
    config = experiment.config
    best, waited = (best_so_far(experiment, state, run, warn), epochs_waited(config, state)) if state else (None, 0)
    return CheckpointManager(run, config.checkpoint, best, waited)


def is_out_of_patience(config: Config, waited: int) -> bool:
    """Whether a run stops after ``waited`` epochs without a lower validation loss."""
    return config.patience is not None and waited >= config.patience


def best_so_far(experiment: Experiment, state: State, run: Path, warn: Callable[[str], object]) -> float | None:
    """The lowest loss so far of a run that resumes from ``state``; None, with a warning, if its weights are lost."""
    if state.best is None:
        return None
    try:
        experiment.check_weights(checkpoint.load(best_path(run)))
    except (FileNotFoundError, ValueError) as error:
        warn(f"{one_line(error)}; the best weights are lost; the next epoch with the full alpha becomes the best")
        return None
    return state.best


@torch.no_grad()
def startup_warnings(experiment: Experiment, state: State | None = None) -> list[str]:
    """Warnings about what trains nothing, is not read, is slow, does not fit the data, or may never learn."""
    config, f_c, lines = experiment.config, experiment.objective.complement, list[str]()
    if state:
        lines += schedule_jumps(experiment, state)
    if config.alpha and not f_c.trains:
        lines.append(
            f"complement=slope has no gradient for act={config.act.name}, whose slope is constant between its"
            " kinks: the penalty is reported but trains nothing; choose output or input"
        )
    if config.alpha and config.freeze == "encoder":
        lines.append("freeze=encoder: the penalty depends on the encoder alone: it is reported but trains nothing")
    if unread := build.unread_pixels(config, experiment.data.shape):
        lines.append(unread)
    if torch_settings.is_slow(config.precision, experiment.device):
        lines.append(f"precision={config.precision}: this processor has no bfloat16 products; fp32 is quicker here")
    if doubt := build.noise_doubt(config, experiment.data):
        lines.append(doubt)
    if config.batch_size > (inputs := len(experiment.data.train.x)):
        lines.append(
            f"batch_size={config.batch_size} is more than the {inputs:,} training inputs: an epoch is a single update"
        )
    if config.threads and config.threads > (cores := available_cores()):
        lines.append(
            f"threads={config.threads} is more than the {count_words(cores, 'core')} that this process may use, which"
            " makes a run slower, not faster"
        )
    for layer, z in experiment.model.eval().trace(experiment.examples()[1]).zs.items():
        if (share := f_c.is_flat(z).float().mean().item()) > NEARLY_ALL:
            lines.append(f"{layer} starts with {share:.0%} of its units saturated and may never learn; see init")
    return lines
