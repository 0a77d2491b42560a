"""Models that an evaluation compares with: trained once, and kept by what they are made of."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import torch

from satae import signals
from satae.config import Config, ConfigError
from satae.config.schema import EXECUTION_OPTIONS, all_path_options, flatten, is_among
from satae.data.dataset import Dataset
from satae.data.local_files import cache_folder, make_once
from satae.evaluation import classifier
from satae.evaluation.classifier import Classifier
from satae.evaluation.subject import digest
from satae.experiment import build
from satae.experiment.experiment import Experiment
from satae.model.autoencoder import DenoisingAutoencoder
from satae.printable import first_line
from satae.runs import provenance
from satae.runs.loading import restore_model
from satae.training import checkpoint, precision
from satae.training.checkpoint import State
from satae.training.loop import NonFinite

FOLDER: Final = "evaluation"  # in the folder of what is made once and kept


def twin_of(config: Config, steps: int, device: torch.device) -> DenoisingAutoencoder:
    """The unregularised twin of a run: the same of everything, but for alpha=0.

    Args:
        config: of the run.
        steps: that the run was trained for; fewer than its configuration says where it was cut off, or best=true.
        device: to train it on.

    Raises:
        ConfigError: it cannot be trained, or kept.
        Interrupted: a signal asked for it.
    """
    without = replace(config, alpha=0.0, device=device.type, compile=False)  # type: ignore[arg-type]
    left_out = (*EXECUTION_OPTIONS, *all_path_options())
    settings = {key: value for key, value in flatten(without.to_dict()).items() if not is_among(key, left_out)}
    made_of = {**settings, "fingerprint": build.fingerprint(without), "steps": steps}
    file = _once("twin", made_of, lambda part: checkpoint.save(part, _trained(without, steps)))
    model = restore_model(checkpoint.load(file), str(file)).eval().to(device)
    precision.set_precision(model, "fp32", device)  # whatever it was trained with
    return model


def _trained(config: Config, steps: int) -> State:
    experiment = Experiment.build(config)
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


def classifier_of(config: Config, data: Dataset, kind: str = "plain") -> Classifier:
    """A classifier, trained on the clean training data of a run.

    Args:
        config: of the run; its seed has no part in it: all runs on the same data meet the same classifier.
        data: with labels, on any device.
        kind: one of ``classifier.KINDS``.

    Raises:
        ConfigError: it cannot be kept.
    """
    assert data.train.y is not None
    labels = digest({"labels": data.train.y})
    made_of = {
        "data": build.fingerprint(config),
        "labels": labels,
        "kind": kind,
        "layers": str(classifier.KINDS[kind](data.shape, 1)),
        "recipe": classifier.RECIPE._asdict(),
    }

    def make(part: Path) -> None:
        model = classifier.trained(kind, data, build.centre(config))
        checkpoint.save(part, State({"labels": model.labels}, {}).with_part("classifier", model.state_dict()))

    state = checkpoint.load(_once("classifier", made_of, make))
    model = classifier.KINDS[kind](data.shape, int(state.facts["labels"]))
    model.load_state_dict(state.part("classifier"))
    return model.eval()


def _once(kind: str, made_of: dict[str, Any], make: Callable[[Path], None]) -> Path:
    """The file of a model, named by all that it follows from, the program included."""
    key = json.dumps(made_of | provenance.program_version(), sort_keys=True)
    file = cache_folder() / FOLDER / f"{kind}-{digest({}, key)[:20]}.safetensors"
    try:
        if file.is_file() and checkpoint.is_damaged(file):
            file.unlink()  # and made anew
        return make_once(file, make)
    except ValueError as error:
        raise ConfigError(first_line(error)) from None
