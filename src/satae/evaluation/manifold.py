"""Whether the energy of inputs tells the data from what is not like them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import torch
from torch import Tensor

from satae.config.evaluation import NONE, Manifold
from satae.evaluation import other_data
from satae.evaluation.findings import Cell, Findings, Table, Track
from satae.evaluation.intervals import Estimate, auroc, mean
from satae.evaluation.subject import Subject, Trained
from satae.plots import pictures
from satae.plots.charts import draw_histograms
from satae.plots.style import Picture
from satae.training.metrics import energy, energy_map, low_energy_area

COLUMNS: Final = ("against", "auroc", "low", "high", "energy", "energy of data", "n", "n of data")
PLANE_COLUMNS: Final = ("measure", "value", "low", "high", "n")
PLANE: Final = (2,)  # shape of inputs in the plane
SHUFFLED: Final = "shuffled"
MEANING: Final = "energy: the median; auroc above 0.5: what is not data has the higher energy"
LEAST: Final = 1e-12  # energy that is shown, on a scale of powers of ten


class Row(NamedTuple):
    """The data against something else."""

    against: str
    area: Estimate
    energies: Tensor  # (m,)


def check_other(chosen: Manifold, trained: Trained) -> None:
    """Refuse another data set that cannot be had.

    Raises:
        ConfigError: it cannot.
    """
    other_data.taken(chosen.other, trained.config.data.name, trained.shape)


@torch.no_grad()
def manifold(subject: Subject, chosen: Manifold, track: Track) -> Findings:
    """The energy 1/2 |x - x_hat|^2 of clean inputs against that of others, which should be higher.

    AUROC is the probability that of one of either the other has the higher energy: 1/2 is chance, below it the others
    are reconstructed better than the data.
    """
    own = _energies(subject, subject.x)
    other = other_data.taken(chosen.other, subject.config.data.name, subject.data.shape)
    found = [(name, _energies(subject, draw())) for name, draw in track([*others(subject, other).items()])]
    rows = [Row(name, auroc(own, energies), energies) for name, energies in found]
    plane = _plane(subject, own)
    areas = {row.against: row.area.value for row in rows}
    return Findings(
        tables=[_table(own, rows), *([Table("plane", PLANE_COLUMNS, plane, PLANE_COLUMNS)] if plane else [])],
        headline={f"auroc {name}": areas[name] for name in (SHUFFLED, other) if name in areas},
        notes=[MEANING, *_left_out(other, chosen.other)],
        scalars={f"auroc/{name}": area for name, area in areas.items()} | {row.measure: row.value for row in plane},
        histograms={f"log10_energy/{name}": _scale(energies) for name, energies in [("data", own), *found]},
        pictures=_pictures(subject, own, rows),
    )


def others(subject: Subject, other: str) -> dict[str, Callable[[], Tensor]]:
    """What is not data, by name, each (m, *shape) when it is called.

    uniform        each element evenly from the range of the data
    gaussian       each element with its mean and deviation in training, clipped to the range
    shuffled       the inputs, the elements of each in an order of their own
    interpolated   the middle between each input and another one
    and images of another data set, by its name.
    """
    x, (low, high) = subject.x, subject.data.span
    centre = subject.centre

    def uniform() -> Tensor:
        return torch.empty_like(x).uniform_(low, high, generator=subject.draws("uniform"))

    def gaussian() -> Tensor:
        draw = torch.empty_like(x).normal_(generator=subject.draws("gaussian"))
        return (centre.mean + centre.std * draw).clamp(low, high)

    def shuffled() -> Tensor:
        flat = x.flatten(1)
        order = torch.empty_like(flat).uniform_(generator=subject.draws("shuffled")).argsort(dim=1)
        return flat.gather(1, order).view_as(x)

    def interpolated() -> Tensor:
        order = torch.randperm(len(x), generator=subject.draws("interpolated"), device=x.device)
        return (x[order] + x[order.roll(1)]) / 2  # of one input alone, itself

    drawn = {"uniform": uniform, "gaussian": gaussian, SHUFFLED: shuffled, "interpolated": interpolated}
    return drawn if other == NONE else {**drawn, other: lambda: other_data.images(other, subject)}


class Measure(NamedTuple):
    """A figure of the plane."""

    measure: str
    value: float
    low: float | None
    high: float | None
    n: int  # inputs, or places


def _energies(subject: Subject, x: Tensor) -> Tensor:
    return subject.mapped(lambda batch: energy(subject.model, batch), x).cpu()


def _plane(subject: Subject, own: Tensor) -> list[Measure]:
    """Of data in the plane: their mean energy, and the share of the box that is reconstructed (experiments E1, E2)."""
    if subject.data.shape != PLANE:
        return []
    places = energy_map(subject.model, subject.data.span)
    area = Measure("low_energy_area", low_energy_area(places), None, None, places.numel())
    return [Measure("energy", *mean(own)), area]


def _table(own: Tensor, rows: list[Row]) -> Table:
    middle = own.median().item()
    cells: list[list[Cell]] = [
        [row.against, *row.area[:3], row.energies.median().item(), middle, len(row.energies), len(own)] for row in rows
    ]
    return Table("manifold", COLUMNS, cells, COLUMNS)


def _left_out(other: str, chosen: str) -> list[str]:
    why = "manifold.other=none" if chosen == NONE else "the inputs are no images"
    return [f"no other data set: {why}"] if other == NONE else []


def _scale(energies: Tensor) -> Tensor:
    return energies.clamp_min(LEAST).log10()


def _pictures(subject: Subject, own: Tensor, rows: list[Row]) -> dict[str, Picture]:
    panels = {row.against: {"data": _scale(own), row.against: _scale(row.energies)} for row in rows}
    drawn = {"energies": draw_histograms(panels, "log10 of the energy ½‖x − x̂‖²", columns=3)}
    if subject.data.shape == PLANE:
        drawn["map"] = pictures.energy(subject.model, subject.x, subject.data.span)
    return drawn
