"""How far a small perturbation moves the code and the reconstruction: what is found, and what can be at most."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, NamedTuple

import torch
from torch import Tensor, nn

from satae.config.evaluation import Perturbation
from satae.evaluation.findings import Cell, Findings, Table, Track
from satae.evaluation.subject import Subject
from satae.evaluation.trained import twin_of
from satae.evaluation.victims import OWN, TWIN
from satae.model.autoencoder import DenoisingAutoencoder
from satae.plots.charts import Curve, Panel, draw_picture
from satae.plots.style import COLORS, MARKERS
from satae.robustness.ibp import Encoder, certified_bound
from satae.robustness.largest_change import largest_change
from satae.robustness.norm_ball import NORMS, Norm, vector_norm
from satae.robustness.random_streams import RandomStreams

COLUMNS: Final = (
    *("model", "output", "norm", "epsilon", "change", "change share", "largest change", "slope"),
    *("certified", "by norms", "by intervals", "n"),
)
SHOWN: Final = ("model", "output", "norm", "epsilon", "change", "change share", "slope", "certified", "n")
MEANING: Final = (
    "change: the largest that an attack finds in the ball; share: of the mean distance between two outputs",
    "certified: no perturbation in the ball can change more; epsilon: a share of the range of the data",
    "slope: of the largest change over that of the input, a local Lipschitz estimate; another one than in code",
)
CODE: Final = "code"
OUTPUTS: Final[dict[str, Callable[[DenoisingAutoencoder], nn.Module]]] = {
    CODE: Encoder,
    "reconstruction": lambda model: model,
}


class Case(NamedTuple):
    """An output of a model, and the perturbations of its input."""

    model: str
    output: str
    norm: Norm
    epsilon: float  # as a share of the range of the data


class Row(NamedTuple):
    """A case, measured on each input: (n,) each."""

    case: Case
    change: Tensor  # the largest that was found
    slope: Tensor  # the largest change over that of the input
    certified: Tensor  # the largest that there can be
    by_norms: Tensor
    by_intervals: Tensor
    apart: float  # how far the outputs of two inputs are from each other, on average

    @property
    def share(self) -> float:
        """The mean change, in distances between the outputs of two inputs."""
        return self._relative(self.change)

    @property
    def certified_share(self) -> float:
        """The mean of the bound, likewise."""
        return self._relative(self.certified)

    def _relative(self, change: Tensor) -> float:
        return change.mean().item() / self.apart if self.apart else math.nan

    def cells(self) -> list[Cell]:
        """As ``COLUMNS`` has them."""
        found = [self.change.mean().item(), self.share, self.change.max().item(), self.slope.mean().item()]
        bounds = [bound.mean().item() for bound in (self.certified, self.by_norms, self.by_intervals)]
        return [*self.case, *found, *bounds, len(self.change)]


def perturbation(subject: Subject, chosen: Perturbation, track: Track) -> Findings:
    """The largest change of the code and of the reconstruction in a ball around each input, found and certified.

    What projected gradient ascent finds is a lower bound on the largest change that there is; the certified figure is
    an upper one. A change is told in the norm of its ball, and as a share of the mean distance between the outputs of
    two inputs, so that models with other scales can be compared. The unregularised twin is measured beside the model.
    An extension beyond the paper.
    """
    subject = subject.first(chosen.samples)
    models = {OWN: subject.model}
    if subject.config.alpha > 0:
        models[TWIN] = twin_of(subject.config, subject.steps, subject.x.device)
    radii: dict[Norm, list[float]] = {"linf": chosen.linf, "l2": chosen.l2}
    cases = [
        Case(model, output, norm, epsilon)
        for norm in NORMS
        for epsilon in sorted({*radii[norm]})
        for output in OUTPUTS
        for model in models
    ]
    rows = [_row(subject, OUTPUTS[case.output](models[case.model]), case, chosen) for case in track(cases)]
    if not rows:
        return Findings([], {}, notes=["no perturbation: no radius is given"])
    return Findings(
        tables=[Table("perturbation", COLUMNS, [row.cells() for row in rows], SHOWN)],
        headline=_headline(rows),
        notes=[
            *MEANING,
            f"{OWN}: the model of the run{f'; {TWIN}: the same trained with alpha=0' if TWIN in models else ''}",
        ],
        curves={
            f"{name}/{row.case.norm}_{row.case.output}": [
                (like.case.epsilon, like.share) for like in _like(rows, row.case, name)
            ]
            for row in rows
            for name in models
        },
        pictures={"curves": draw_picture(_panels(rows), 2)},
    )


def _row(subject: Subject, f: nn.Module, case: Case, chosen: Perturbation) -> Row:
    ball = subject.ball(case.norm, case.epsilon)
    examples = torch.arange(len(subject.x), device=subject.x.device)

    def on_batch(x: Tensor, examples: Tensor) -> Tensor:
        draws = RandomStreams.for_examples(subject.seed, examples)
        moved = largest_change(f, x, ball, draws, steps=chosen.steps, restarts=chosen.restarts)
        bound = certified_bound(f, x, ball)
        by_norms = torch.full_like(bound.change, bound.by_norms)
        found = [moved.change, moved.slope, bound.change, by_norms, bound.by_intervals]
        return torch.stack([values.double() for values in found], dim=1)

    found = subject.mapped(on_batch, subject.x, examples)
    change, slope, bound, by_norms, by_intervals = found.unbind(1)
    return Row(case, change, slope, bound, by_norms, by_intervals, _apart(subject, f, case.norm))


@torch.no_grad()
def _apart(subject: Subject, f: nn.Module, norm: Norm) -> float:
    """The mean distance between the outputs of two inputs: of each and the one after it."""
    outputs = subject.mapped(f, subject.x)
    return vector_norm(outputs - outputs.roll(1, 0), norm).mean().item()


def _headline(rows: list[Row]) -> dict[str, Cell]:
    """The change of the code in the largest ball of the first norm, and that of the twin, where it is another model."""
    first = rows[0].case.norm
    largest = {row.case.model: row.share for row in rows if row.case.output == CODE and row.case.norm == first}
    names = {OWN: "code change", TWIN: "of its twin"}
    return {name: largest[model] for model, name in names.items() if model in largest}


def _like(rows: list[Row], case: Case, model: str) -> list[Row]:
    """Those of the same output and norm, of a model."""
    return [row for row in rows if row.case._replace(epsilon=0) == case._replace(model=model, epsilon=0)]


def _panels(rows: list[Row]) -> list[Panel]:
    """A panel for each output and norm: what was found, and what is certified, for each model."""
    curves: dict[str, list[Curve]] = {}
    for case in dict.fromkeys(row.case._replace(epsilon=0) for row in rows):
        found = _like(rows, case, case.model)
        radii = [row.case.epsilon for row in found]
        some = curves.setdefault(f"{case.output}, {case.norm}", [])
        color, marker = COLORS[len(some) // 2], MARKERS[len(some) // 2]
        certified = [row.certified_share for row in found]
        some.append(
            Curve(radii, [row.share for row in found], f"{case.model}: found", color, marker=marker, marker_size=4)
        )
        some.append(Curve(radii, certified, f"{case.model}: certified", color, "--", marker, 4, is_hollow=True))
    x_label, y_label = "epsilon, as a share of the range", "change / distance of two outputs"
    return [Panel(some, x_label, y_label, title, has_log_y=True) for title, some in curves.items()]
