"""What is measured and drawn of an experiment, at whatever point of its training; it learns nothing from that."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

from satae.data.dataset import Split
from satae.experiment import build
from satae.experiment.experiment import Experiment
from satae.plots.pictures import draw
from satae.plots.style import Picture
from satae.training.energy import energy, energy_map, low_energy_area
from satae.training.measure import measure
from satae.training.sensitivity import code_sensitivity

SEED: Final = 0  # of the noise: the same in every epoch and every run
MEASURED: Final = 10_000  # samples of a split that are measured after each epoch, at most
SHOWN: Final = 100  # samples in pictures and histograms, at most


def measures(experiment: Experiment, alpha: float) -> dict[str, float]:
    """The measures of the training and the validation split, under ``train/`` and ``valid/``.

    Both are taken on as many samples, since a unit is dead more often on fewer.

    Args:
        experiment: as it stands.
        alpha: with which the total loss is told.
    """
    data, model = experiment.data, experiment.model
    count = min(len(data.valid.x), len(data.train.x), MEASURED)
    values = dict[str, float]()
    for name, split in (("train", data.train), ("valid", data.valid)):
        noise = experiment.corrupt(build.stream(SEED, name, experiment.device))
        part = Split(split.x[:count])
        measured = measure(model, data, part, experiment.objective, noise, alpha, experiment.centre)
        values |= {f"{name}/{key}": value for key, value in measured.items()}
    return values | {f"encoder_norm/{name}": layer.weight_norm().item() for name, layer in model.layers()}


def rare_measures(experiment: Experiment) -> dict[str, float]:
    """Measures of clean validation data that take longer: sensitivity of the code and, in the plane, energies."""
    data = experiment.data
    x = data.batch(data.valid.x[: data.few(MEASURED)])
    width = data.span[1] - data.span[0]
    draws = build.stream(SEED, "perturbation", experiment.device)
    sensitivity = code_sensitivity(experiment.model, x, width, draws)
    return {"valid/code_sensitivity": sensitivity, **_plane_measures(experiment, x)}


def _plane_measures(experiment: Experiment, x: Tensor) -> dict[str, float]:
    model, data = experiment.model, experiment.data
    if data.shape != (2,):
        return {}
    area = low_energy_area(energy_map(model, data.span))
    return {"valid/energy": energy(model, x).mean().item(), "valid/low_energy_area": area}


def shown(experiment: Experiment) -> tuple[Tensor, Tensor]:
    """Validation data of which pictures and distributions are taken, clean and corrupted."""
    x = experiment.data.batch(experiment.data.valid.x[:SHOWN])
    return x, experiment.corrupt(build.stream(SEED, "shown", experiment.device))(x)


def drawn(experiment: Experiment) -> dict[str, Picture]:
    """The model's pictures on validation data, by name."""
    return draw(experiment.model.eval(), *shown(experiment), experiment.data.span)


@torch.no_grad()
def distributions(experiment: Experiment) -> dict[str, Tensor]:
    """Pre-activations of each encoder layer and the code, on corrupted validation data, by name."""
    trace = experiment.model.eval().trace(shown(experiment)[1])
    return {f"pre_activations/{name}": z for name, z in trace.zs.items()} | {"code": trace.code}
