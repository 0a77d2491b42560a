"""Measures how far a small perturbation moves the code and the reconstruction: found by attack, and certified."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

import torch
from torch import Tensor, nn

from satae.evaluation.baselines import train_baseline
from satae.evaluation.part import BASELINE, OWN
from satae.evaluation.result import Cell, PartResult, ResultTable
from satae.evaluation.subject import Subject
from satae.model.autoencoder import DenoisingAutoencoder
from satae.plots.charts import Curve, Panel, draw_picture
from satae.plots.style import COLORS, MARKERS
from satae.robustness.ibp import Encoder, certified_bound
from satae.robustness.largest_change import largest_change
from satae.robustness.norm_ball import NORMS, Norm, RandomStreams, vector_norm

if TYPE_CHECKING:
    from satae.evaluation.part import Track
    from satae.evaluation.parts.perturbation import Perturbation

COLUMNS: Final = (
    *("model", "output", "norm", "epsilon", "change", "change share", "largest change", "slope"),
    *("certified", "by norms", "by intervals", "n"),
)
SHOWN_COLUMNS: Final = ("model", "output", "norm", "epsilon", "change", "change share", "slope", "certified", "n")
NOTES: Final = (
    "change: the largest that an attack finds in the ball; share: of the mean distance between two outputs",
    "certified: no perturbation in the ball can change more; epsilon: a share of the range of the data",
    "slope: of the largest change over that of the input, a local Lipschitz estimate; another one than in code",
)
CODE: Final = "code"
OUTPUTS: Final[dict[str, Callable[[DenoisingAutoencoder], nn.Module]]] = {
    CODE: Encoder,
    "reconstruction": lambda model: model,
}


class PerturbedOutput(NamedTuple):
    """An output of a model, and the ball around its inputs."""

    model: str
    output: str
    norm: Norm
    epsilon: float  # as a share of the range of the data


class PerturbationRow(NamedTuple):
    """An output, measured on each input: (n,) each."""

    of: PerturbedOutput
    change: Tensor  # the largest change that was found
    slope: Tensor  # the largest ratio of the change to that of the input
    certified: Tensor  # no change can be larger
    by_norms: Tensor
    by_intervals: Tensor
    output_distance: float  # mean distance between the outputs of two inputs

    def relative(self, change: Tensor) -> float:
        """The mean of a change (n,), in distances between the outputs of two inputs."""
        return change.mean().item() / self.output_distance if self.output_distance else math.nan

    def cells(self) -> list[Cell]:
        """The row in the order of ``COLUMNS``."""
        change = [self.change.mean().item(), self.relative(self.change), self.change.max().item()]
        bounds = [bound.mean().item() for bound in (self.certified, self.by_norms, self.by_intervals)]
        return [*self.of, *change, self.slope.mean().item(), *bounds, len(self.change)]


def measure_perturbation(subject: Subject, options: Perturbation, track: Track) -> PartResult:
    """Find and certify the largest change of the code and of the reconstruction in a ball around each input.

    Projected gradient ascent finds a lower bound on the largest change, the certificate is an upper bound. A change
    is measured in the norm of its ball, and as a share of the mean distance between the outputs of two inputs, so
    that models of different scales can be compared. The unregularized baseline is measured beside the model.
    """
    subject = subject.first(options.samples)
    models = {OWN: subject.model}
    if subject.config.alpha > 0:
        models[BASELINE] = train_baseline(subject.config, subject.steps, subject.x.device)
    radii: dict[Norm, Sequence[float]] = {"linf": options.linf, "l2": options.l2}
    cases = [
        PerturbedOutput(model, output, norm, epsilon)
        for norm in NORMS
        for epsilon in sorted({*radii[norm]})
        for output in OUTPUTS
        for model in models
    ]
    rows = [measure_output(subject, OUTPUTS[case.output](models[case.model]), case, options) for case in track(cases)]
    if not rows:
        return PartResult([], {}, notes=["no perturbation: no radius is given"])
    largest = {
        row.of.model: row.relative(row.change)
        for row in rows
        if row.of.output == CODE and row.of.norm == rows[0].of.norm
    }
    names = {OWN: "code change", BASELINE: "of its twin"}
    baseline = f"; {BASELINE}: the same trained with alpha=0" if BASELINE in models else ""
    by_curve: dict[tuple[str, str, str], list[PerturbationRow]] = {}
    for row in rows:
        by_curve.setdefault((row.of.model, row.of.norm, row.of.output), []).append(row)
    return PartResult(
        tables=[ResultTable("perturbation", COLUMNS, [row.cells() for row in rows], SHOWN_COLUMNS)],
        headline={name: largest[model] for model, name in names.items() if model in largest},
        notes=[*NOTES, f"{OWN}: the model of the run{baseline}"],
        curves={
            f"{model}/{norm}_{output}": [(row.of.epsilon, row.relative(row.change)) for row in found]
            for (model, norm, output), found in by_curve.items()
        },
        pictures={"curves": draw_picture(_panels(by_curve), 2)},
    )


def measure_output(subject: Subject, f: nn.Module, of: PerturbedOutput, options: Perturbation) -> PerturbationRow:
    """Attack and certify one output ``f`` of a model on every input."""
    ball = subject.norm_ball(of.norm, of.epsilon)
    examples = torch.arange(len(subject.x), device=subject.x.device)

    def on_batch(x: Tensor, examples: Tensor) -> Tensor:
        draws = RandomStreams.for_examples(subject.seed, examples)
        moved = largest_change(f, x, ball, draws, steps=options.steps, restarts=options.restarts)
        bound = certified_bound(f, x, ball)
        by_norms = torch.full_like(bound.change, bound.by_norms)
        columns = [moved.change, moved.slope, bound.change, by_norms, bound.by_intervals]
        return torch.stack([values.double() for values in columns], dim=1)

    change, slope, bound, by_norms, by_intervals = subject.map_batches(on_batch, subject.x, examples).unbind(1)
    with torch.no_grad():
        outputs = subject.map_batches(f, subject.x)
    distance = vector_norm(outputs - outputs.roll(1, 0), of.norm).mean().item()  # of each input and the next one
    return PerturbationRow(of, change, slope, bound, by_norms, by_intervals, distance)


def _panels(by_curve: dict[tuple[str, str, str], list[PerturbationRow]]) -> list[Panel]:
    """A panel for each output and norm: what was found and what is certified, for each model."""
    curves: dict[str, list[Curve]] = {}
    for (model, norm, output), rows in by_curve.items():
        radii = [row.of.epsilon for row in rows]
        found = [row.relative(row.change) for row in rows]
        bound = [row.relative(row.certified) for row in rows]
        some = curves.setdefault(f"{output}, {norm}", [])
        color, marker = COLORS[len(some) // 2], MARKERS[len(some) // 2]
        some.append(Curve(radii, found, f"{model}: found", color, marker=marker, marker_size=4))
        some.append(Curve(radii, bound, f"{model}: certified", color, "--", marker, 4, is_hollow=True))
    x_label, y_label = "epsilon, as a share of the range", "change / distance of two outputs"
    return [Panel(some, x_label, y_label, title, has_log_y=True) for title, some in curves.items()]
