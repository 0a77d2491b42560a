"""How far small noise moves the code: measures of the part ``code`` that do not depend on the scale of the code."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, NamedTuple

import torch
from torch import Tensor

from satae.evaluation.part import Track
from satae.evaluation.subject import Subject
from satae.training.metrics import PERTURBATION, which_vary

INPUT, CODE, RECONSTRUCTION = "input", "code", "reconstruction"
CLIPPED, UNCLIPPED = "clipped", "unclipped"
MEASURES: Final = ("sensitivity", "ratio to input", "per unit", "constant units", "identified")
SENSITIVITY_COLUMNS: Final = ("of", "noise", *MEASURES, "n")


class Sensitivity(NamedTuple):
    """How far noise moves an output; all but the count are nan if no unit varies or a value is not finite."""

    overall: float  # squared change over the variance, each a sum over the units
    per_unit: float  # squared change over the variance of each unit that varies, their mean
    constant_units: int  # units that do not vary; ``per_unit`` leaves them out
    identified: float  # share of the inputs whose moved output is nearest to their own output


class SensitivityRow(NamedTuple):
    """A row of the table, in the order of ``SENSITIVITY_COLUMNS``."""

    of: str
    noise: str
    sensitivity: float
    ratio_to_input: float
    per_unit: float
    constant_units: int
    identified: float
    n: int


def spread(outputs: Tensor) -> float:
    """The root mean squared distance of outputs (n, units...) from their mean; nan if no unit varies."""
    x = outputs.flatten(1)
    return x.var(dim=0, correction=0).sum().sqrt().item() if which_vary(x).any() else math.nan


def measure_sensitivity(before: Tensor, after: Tensor) -> Sensitivity:
    """How far noise moves an output g, in units of what g varies over the inputs.

        overall     mean |g(x + s n) - g(x)|^2 / mean |g(x) - mean g|^2
        per_unit    mean over units j of  mean (g_j(x + s n) - g_j(x))^2 / mean (g_j(x) - mean g_j)^2

    ``overall`` stays equal if g is multiplied by a constant, ``per_unit`` also if one of its units is. If several
    inputs have the same output, each of them is identified with an equal share.

    Args:
        before: g(x), (n, units...).
        after: g(x + s n), of the same shape.
    """
    from sklearn.metrics import pairwise_distances_argmin

    before, after = (x.flatten(1).cpu() for x in (before, after))
    usable = which_vary(before)
    constant = int((~usable).sum())
    if not usable.any() or not (before.isfinite().all() and after.isfinite().all()):
        return Sensitivity(math.nan, math.nan, constant, math.nan)
    change, variance = (after - before).square().mean(dim=0), before.var(dim=0, correction=0)
    different, own, counts = torch.unique(before, dim=0, return_inverse=True, return_counts=True)
    nearest = torch.from_numpy(pairwise_distances_argmin(after.numpy(), different.numpy()))
    return Sensitivity(
        (change.sum() / variance.sum()).item(),
        (change / variance)[usable].mean().item(),
        constant,
        ((nearest == own).double() / counts[own]).mean().item(),
    )


def sensitivity_rows(subject: Subject, track: Track) -> list[SensitivityRow]:
    """The sensitivity of the input itself, the code and the reconstruction, to the same noise unclipped and clipped."""
    outputs: dict[str, Callable[[Tensor], Tensor]] = {INPUT: lambda x: x, CODE: subject.model.encode}
    outputs[RECONSTRUCTION] = subject.model
    draw = torch.empty_like(subject.x).normal_(generator=subject.generator("sensitivity"))
    x_noisy = subject.x + PERTURBATION * subject.range_width * draw
    rows = list[SensitivityRow]()
    for name, output in track([*outputs.items()]):
        before = subject.map_batches(output, subject.x)
        for noise, moved in ((UNCLIPPED, x_noisy), (CLIPPED, x_noisy.clamp(*subject.data.span))):
            found = measure_sensitivity(before, subject.map_batches(output, moved))
            rows.append(SensitivityRow(name, noise, found.overall, math.nan, *found[1:], len(subject.x)))
    of_input = {row.noise: row.sensitivity for row in rows if row.of == INPUT}
    return [row._replace(ratio_to_input=row.sensitivity / (of_input[row.noise] or math.nan)) for row in rows]
