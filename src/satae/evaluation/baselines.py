"""The models that an evaluation trains to compare with.

Each model is trained once and stored under a name that depends on everything it follows from.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Adam

from satae import signals
from satae.config import Config, ConfigError
from satae.config.saved_config import read_config, read_config_values
from satae.config.schema import EXECUTION_OPTIONS, all_path_options, flatten, is_among
from satae.data.dataset import Dataset, Statistics
from satae.data.local_files import cache_folder, make_once
from satae.evaluation.parts.code_sensitivity import which_vary
from satae.evaluation.subject import Subject, prepare_to_measure, sha256
from satae.experiment.experiment import Experiment, check_data
from satae.messages import first_line
from satae.model.autoencoder import DenoisingAutoencoder, Dense, Encoder, use_library
from satae.model.products import library_for_processor
from satae.runs import provenance
from satae.runs.layout import CONFIG_FILE, FINISHED
from satae.runs.loading import read_state, restore_model
from satae.runs.record import read_record
from satae.sweeps.results import run_directories
from satae.training import checkpoint
from satae.training.checkpoint import State
from satae.training.loop import NonFinite
from satae.training.metrics import MAX_BATCH

CACHE_FOLDER: Final = "evaluation"  # in the folder of downloaded data sets
HIDDEN_UNITS: Final = 200  # in each hidden layer of a classifier


# The baseline


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
    model = train_baseline(subject.config, subject.data, subject.steps, device)
    return Baseline(model, "the same trained with alpha=0")


def find_baseline_run(subject: Subject) -> tuple[Path, State] | None:
    """A finished run beside the run of a subject that a training of its baseline would repeat.

    Its configuration is the same but for alpha=0, and so are seed, data, number of steps and program.
    """
    if subject.directory is None:
        return None
    folder, wanted = subject.directory.absolute().parent, _baseline_settings(replace(subject.config, alpha=0.0))
    for directory, settings in _plain_runs(folder, folder.stat().st_mtime_ns):
        with suppress(OSError, ValueError, KeyError, TypeError):  # it cannot be read, or is of other data
            if settings == wanted and _is_finished_by_this_program(directory):
                state = read_state(directory)
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


def _baseline_settings(config: Config) -> dict[str, Any]:
    """Everything in a configuration that a baseline follows from."""
    left_out = (*EXECUTION_OPTIONS, *all_path_options())
    return {key: value for key, value in flatten(config.to_dict()).items() if not is_among(key, left_out)}


def train_baseline(config: Config, data: Dataset, steps: int, device: torch.device) -> DenoisingAutoencoder:
    """The unregularized baseline of a run: the same autoencoder trained in the same way, with alpha=0.

    Args:
        config: configuration of the run.
        data: the data set as the run saw it.
        steps: optimizer steps behind the weights of the run; fewer than its configuration says if the run was
            interrupted, or with best=true.
        device: device to train on.

    Raises:
        ConfigError: it cannot be trained or stored.
        Interrupted: a signal arrived.
    """
    without = replace(config, alpha=0.0, device=device.type, compile=False)  # type: ignore[arg-type]
    made_of = {**_baseline_settings(without), "fingerprint": data.fingerprint, "steps": steps}

    def make(part: Path) -> None:
        checkpoint.save(part, train_baseline_state(without, data, steps))

    file = _train_once("twin", made_of, make)
    return prepare_to_measure(restore_model(checkpoint.load(file), str(file)), device)


def train_baseline_state(config: Config, data: Dataset, steps: int) -> State:
    """The state of a baseline after some optimizer steps.

    Raises:
        ValueError: it cannot be trained.
        Interrupted: a signal arrived.
    """
    facts = {"data": data.fingerprint, "products": library_for_processor()}
    experiment = Experiment.from_config(config, facts)
    try:
        for _ in experiment.fit(lambda step: step == steps or signals.pending_signal() is not None):
            signals.raise_pending()
            if experiment.step >= steps:
                break
    except NonFinite as error:
        raise ValueError(f"its twin without the penalty cannot be trained ({first_line(error)})") from None
    state = experiment.weights()
    if not state.is_finite:
        raise ValueError("its twin without the penalty cannot be trained (a weight is not finite)")
    return state


# Classifiers


class Recipe(NamedTuple):
    """How a classifier is trained."""

    steps: int
    batch: int
    lr: float


RECIPE = Recipe(steps=2000, batch=128, lr=1e-3)


class Classifier(nn.Module):
    """Logits (N, labels) of inputs (N, *shape) in the data's own units, which it standardizes itself."""

    mean: Tensor
    std: Tensor

    def __init__(self, layers: nn.Sequential, shape: tuple[int, ...], labels: int) -> None:
        """Add buffers for the statistics of the data to the layers.

        Args:
            layers: from standardized inputs to logits.
            shape: shape of one input.
            labels: number of classes.
        """
        super().__init__()
        self.layers, self.labels = layers, labels
        self.register_buffer("mean", torch.zeros(shape))
        self.register_buffer("std", torch.ones((shape[0], 1, 1) if len(shape) == 3 else shape))

    def standardize(self, x: Tensor) -> Tensor:
        """(x - mean) / std."""
        return (x - self.mean).div_(self.std)

    def forward(self, x: Tensor) -> Tensor:
        """The logits."""
        logits: Tensor = self.layers(self.standardize(x))
        return logits


def plain_classifier(shape: tuple[int, ...], labels: int) -> Classifier:
    """An untrained classifier with two hidden layers of relu units; color images pass two convolutions first."""
    if len(shape) != 3 or shape[0] == 1:
        layers = nn.Sequential(
            nn.Flatten(),
            Dense(shape, [HIDDEN_UNITS]),
            nn.ReLU(),
            Dense([HIDDEN_UNITS], [HIDDEN_UNITS]),
            nn.ReLU(),
            Dense([HIDDEN_UNITS], [labels]),
        )
        return Classifier(layers, shape, labels)
    places = math.prod(-(-side // 4) for side in shape[1:])  # two strides of 2
    layers = nn.Sequential(
        nn.Conv2d(shape[0], 32, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(32, 64, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        Dense([64 * places], [HIDDEN_UNITS]),
        nn.ReLU(),
        Dense([HIDDEN_UNITS], [labels]),
    )
    return Classifier(layers, shape, labels)


def load_classifier(data: Dataset, seed: int, features: nn.Module | None = None) -> Classifier:
    """A classifier trained on the clean training data of a run; it is trained if it is not stored yet.

    Args:
        data: data with labels, as the run saw them; all runs on the same data, with the same seed, meet the same
            classifier of inputs.
        seed: of its initial weights and its batches.
        features: what it classifies, (N, *shape) to (N, *features), in evaluation mode; None for the inputs.

    Raises:
        ConfigError: it cannot be stored.
    """
    assert data.train.y is not None
    made_of = {
        "data": data.fingerprint,
        "labels": sha256({"labels": data.train.y}),
        "layers": str(plain_classifier(data.shape, 1)),
        "features": "" if features is None else sha256(features.state_dict(), str(features)),
        "recipe": RECIPE._asdict(),
        "seed": seed,
    }

    def make(part: Path) -> None:
        model = train_classifier(data, seed, features)
        facts = {"labels": model.labels, "shape": [*model.mean.shape]}
        checkpoint.save(part, State(facts, {}).with_part("classifier", model.state_dict()))

    state = checkpoint.load(_train_once("classifier", made_of, make))
    model = plain_classifier(tuple(state.facts["shape"]), int(state.facts["labels"]))
    model.load_state_dict(state.part("classifier"))
    use_library(model, library_for_processor())
    return model.eval()


def train_classifier(data: Dataset, seed: int, features: nn.Module | None = None) -> Classifier:
    """Train a classifier on the clean training split with cross-entropy.

    Args:
        data: data with labels 0, 1, ... in the training split.
        seed: of its initial weights and its batches.
        features: what it classifies; None for the inputs.
    """
    x, y = data.train.x, data.train.y
    assert y is not None

    def read(rows: Tensor) -> Tensor:
        inputs = data.batch(x[rows])
        if features is None:
            return inputs
        with torch.no_grad():
            found: Tensor = features(inputs.to(next(features.parameters()).device))
        return found.to(x.device)

    statistics = data.statistics
    if isinstance(features, Encoder):
        codes = torch.cat([read(rows) for rows in torch.arange(len(x)).split(MAX_BATCH)])
        std, mean = torch.std_mean(codes, dim=0, correction=0)
        statistics = Statistics(mean, std.masked_fill(~which_vary(codes), 1.0))  # 1 if a unit changes by rounding only
    draws = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = plain_classifier(tuple(statistics.mean.shape), int(y.max()) + 1).to(x.device)
    use_library(model, library_for_processor())
    model.mean.copy_(statistics.mean)
    model.std.copy_(statistics.std)
    optimizer = Adam(model.parameters(), RECIPE.lr)
    for _ in range(RECIPE.steps):
        rows = torch.randint(len(x), (RECIPE.batch,), generator=draws).to(x.device)
        loss = F.cross_entropy(model(read(rows)), y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.eval()


def _train_once(kind: str, made_of: dict[str, Any], make: Callable[[Path], None]) -> Path:
    """The file of a model; it is trained unless a model of the same origin, program included, is stored."""
    key = json.dumps(made_of | provenance.program_version(), sort_keys=True)
    file = cache_folder() / CACHE_FOLDER / f"{kind}-{sha256({}, key)[:20]}.safetensors"
    try:
        if file.is_file() and checkpoint.is_damaged(file):
            file.unlink()
        return make_once(file, make)
    except ValueError as error:
        raise ConfigError(first_line(error)) from None
