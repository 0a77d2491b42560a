"""The unregularized baseline of a run: found beside it, or trained once and stored."""

from __future__ import annotations

import functools
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch

from satae import signals
from satae.config import Config, ConfigError, plugins
from satae.config.saved_config import read_config, read_config_values
from satae.config.schema import EXECUTION_OPTIONS, all_path_options, flatten, is_among
from satae.data.dataset import Dataset
from satae.evaluation.stored_models import train_once
from satae.evaluation.subject import Subject, prepare_to_measure
from satae.experiment.experiment import Experiment, check_data
from satae.experiment.weights import start_fingerprint
from satae.messages import first_line, one_line
from satae.model.autoencoder import DenoisingAutoencoder
from satae.model.products import library_for_processor
from satae.runs import provenance
from satae.runs.layout import CONFIG_FILE, FINISHED
from satae.runs.loading import read_start, read_state, restore_model
from satae.runs.record import read_record
from satae.sweeps.results import run_directories
from satae.training import checkpoint
from satae.training.checkpoint import State
from satae.training.loop import NonFinite


class Baseline(NamedTuple):
    """The unregularized baseline of a run."""

    model: DenoisingAutoencoder
    origin: str  # what it is, for notes


def load_baseline(subject: Subject) -> Baseline:
    """The unregularized baseline of a run: a run of the same sweep if it is there, or else trained and stored.

    Raises:
        ConfigError: it cannot be trained or stored.
        Interrupted: a signal arrived.
    """
    device = subject.x.device
    if (found := find_baseline_run(subject)) is not None:
        directory, state = found
        model = prepare_to_measure(restore_model(state, str(directory)), device)
        return Baseline(model, f"the run {directory.name} beside it, which has alpha=0")
    _check_start(subject)
    model = train_baseline(subject.config, subject.data, subject.steps, device, ema=subject.ema)
    return Baseline(model, "the same trained with alpha=0")


def find_baseline_run(subject: Subject) -> tuple[Path, State] | None:
    """A finished run beside the run of a subject that a training of its baseline would repeat.

    Its configuration is the same but for alpha=0, and so are seed, data, number of steps and program.
    """
    if subject.directory is None:
        return None
    folder, wanted = subject.directory.absolute().parent, _baseline_settings(replace(subject.config, alpha=0.0))
    started_from = _start_of(subject.directory) if subject.config.start else None
    for directory, settings in _plain_runs(folder, folder.stat().st_mtime_ns):
        with suppress(OSError, ValueError, KeyError, TypeError):  # it cannot be read, or is of other data
            if settings == wanted and _is_finished_by_this_program(directory) and _start_of(directory) == started_from:
                state = read_state(directory, ema=subject.ema)
                check_data(state.facts, subject.data)
                if state.step == subject.steps:
                    return directory, state
    return None


@functools.lru_cache(maxsize=8)
def _plain_runs(folder: Path, changed_ns: int) -> list[tuple[Path, dict[str, Any]]]:
    """The runs with alpha=0 in a folder, and their settings; ``changed_ns`` is when the folder has changed."""
    found = []
    for directory in run_directories(folder):
        with suppress(ConfigError, OSError):
            if read_config_values(directory / CONFIG_FILE).get("alpha") == 0:
                found.append((directory, _baseline_settings(read_config(directory / CONFIG_FILE))))
    return found


def _is_finished_by_this_program(directory: Path) -> bool:
    record = read_record(directory)
    programs = [record.get("program"), *(resumed.get("program") for resumed in record.get("resumed", []))]
    return record["status"] == FINISHED and all(program == provenance.program_version() for program in programs)


def _start_of(directory: Path) -> Any:
    """What the record of a run says of the weights from which it started; None if they were random."""
    return read_record(directory).get("start")


def _check_start(subject: Subject) -> None:
    """Refuse to train a baseline from other weights than those from which the run of a subject started."""
    start = read_start(subject.config)
    if start is None or subject.directory is None:
        return
    recorded = _start_of(subject.directory)
    if not isinstance(recorded, dict) or recorded.get("sha256") != start_fingerprint(start):
        where = one_line(subject.config.start)
        raise ConfigError(f"start={where}: its weights are not those from which {subject.directory.name} started")


def _baseline_settings(config: Config) -> dict[str, Any]:
    """Everything in a configuration that a baseline follows from."""
    left_out = (*EXECUTION_OPTIONS, *all_path_options())
    settings = {key: value for key, value in flatten(config.to_dict()).items() if not is_among(key, left_out)}
    return settings | plugins.digests(config.choices, config.plugins)


def train_baseline(
    config: Config, data: Dataset, steps: int, device: torch.device, *, ema: bool = False
) -> DenoisingAutoencoder:
    """The unregularized baseline of a run: the same autoencoder trained in the same way, with alpha=0.

    Args:
        config: configuration of the run.
        data: the data set as the run saw it.
        steps: optimizer steps behind the weights of the run; fewer than its configuration says if the run was
            interrupted, or with best=true.
        device: device to train on.
        ema: whether to take the averaged weights.

    Raises:
        ConfigError: it cannot be trained or stored.
        Interrupted: a signal arrived.
    """
    without = replace(config, alpha=0.0, device=device.type, compile=False)  # type: ignore[arg-type]
    made_of = {**_baseline_settings(without), "fingerprint": data.fingerprint, "steps": steps}
    if (start := read_start(config)) is not None:
        made_of["start"] = start_fingerprint(start)
    if ema:
        made_of["averaged"] = True
    made_of |= plugins.digests(config.choices)  # the plugins of today train it, not those of the run

    def make(part: Path) -> None:
        checkpoint.save(part, train_baseline_state(without, data, steps, ema=ema))

    file = train_once("twin", made_of, make)
    return prepare_to_measure(restore_model(checkpoint.load(file), str(file)), device)


def train_baseline_state(config: Config, data: Dataset, steps: int, *, ema: bool = False) -> State:
    """The state of a baseline after some optimizer steps.

    Raises:
        ValueError: it cannot be trained.
        Interrupted: a signal arrived.
    """
    facts = {"data": data.fingerprint, "products": library_for_processor()}
    experiment = Experiment.from_config(config, read_start(config), facts=facts)
    try:
        for _ in experiment.fit(lambda step: step == steps or signals.pending_signal() is not None):
            signals.raise_pending()
            if experiment.step >= steps:
                break
    except NonFinite as error:
        raise ValueError(f"its twin without the penalty cannot be trained ({first_line(error)})") from None
    state = experiment.weights()
    if ema:
        state = state.with_part("model", experiment.state().averaged().part("model"))
    if not state.is_finite:
        raise ValueError("its twin without the penalty cannot be trained (a weight is not finite)")
    return state
