"""What a user should know before a training begins."""

from __future__ import annotations

from typing import Final

import torch

from satae.experiment.experiment import Experiment
from satae.experiment.observation import shown
from satae.training import precision

ADDED: Final = ("gaussian", "uniform")  # noise whose level is in the data's own units
SLIGHT: Final = 0.01  # level of noise, as a share of the data's range, that hardly shows
NEARLY_ALL: Final = 0.95  # share of saturated units with which a layer hardly learns


def caveats(experiment: Experiment) -> list[str]:
    """A line for each."""
    looks = (_penalty, _precision, _noise)
    return [line for look in looks if (line := look(experiment))] + _saturated(experiment)


def _penalty(experiment: Experiment) -> str:
    if not experiment.config.alpha or experiment.objective.complement.trains:
        return ""
    return (
        f"complement=slope has no gradient for act={experiment.config.act.name}, whose slope is constant between its"
        " kinks: the penalty is reported but trains nothing; choose output or input"
    )


def _precision(experiment: Experiment) -> str:
    chosen = experiment.config.precision
    if not precision.is_slow(chosen, experiment.device):
        return ""
    return f"precision={chosen}: this processor has no bfloat16 products; fp32 is quicker here"


def _noise(experiment: Experiment) -> str:
    noise, (low, high) = experiment.config.noise, experiment.data.span
    if noise.name not in ADDED or not 0 < noise.level < SLIGHT * (high - low):
        return ""
    return (
        f"noise.level={noise.level:g} is hardly any noise for data from {low:g} to {high:g}: it is in the data's own"
        " units; choose a higher one, or save brightness as uint8"
    )


@torch.no_grad()
def _saturated(experiment: Experiment) -> list[str]:
    zs, f_c = experiment.model.eval().trace(shown(experiment)[1]).zs, experiment.objective.complement
    shares = {layer: f_c.is_flat(z).float().mean().item() for layer, z in zs.items()}
    return [
        f"{layer} begins with {share:.0%} of its units saturated and may never learn; see init"
        for layer, share in shares.items()
        if share > NEARLY_ALL
    ]
