"""The part ``perturbation``: how far a small perturbation moves code and reconstruction, by attack and certified."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final, NamedTuple

from satae.config.option_types import Count, Norm, Positive
from satae.config.registry import EVALUATION_PARTS
from satae.evaluation.part import BASELINE, NORM_TITLES, OWN, RADIUS_TITLE, EvaluationPart, Track
from satae.evaluation.reported_evaluations import PartSummary, ReportSection
from satae.evaluation.result import PartResult, ResultRow, ResultTable, StoredResult
from satae.evaluation.section_display import baseline_panels
from satae.messages import count_words
from satae.plots.charts import Chart, Curve, Panel, draw_picture
from satae.plots.style import COLORS, MARKERS, draw_each
from satae.sweeps.series import Comparison
from satae.sweeps.text import shorten_value

if TYPE_CHECKING:
    from torch import Tensor, nn

    from satae.evaluation.subject import Subject, TrainedRun

COLUMNS: Final = (
    "model",
    "output",
    "norm",
    "epsilon",
    "change",
    "change share",
    "largest change",
    "slope",
    "certified",
    "by norms",
    "by intervals",
    "n",
)
CERTIFIED_SHARE: Final = "certified share"  # in figures alone
UNMEASURED: Final = "unmeasured"  # inputs, in notes alone; the means over all inputs are nan then
SHOWN_COLUMNS: Final = ("model", "output", "norm", "epsilon", "change", "change share", "slope", "certified", "n")
NOTES: Final = (
    "change: the largest that an attack finds in the ball; share: of the mean distance between two outputs",
    "certified: no perturbation in the ball can change more; epsilon: a share of the {range_name}",
    "slope: the largest change of the output divided by the change of the input; not the slope of the part code",
)
CODE: Final = "code"
RECONSTRUCTION: Final = "reconstruction"
OUTPUTS: Final = (CODE, RECONSTRUCTION)
NUMBERS: Final[Mapping[str, tuple[str, str]]] = {  # of the report: the model's, and its baseline's
    CODE: (OWN, BASELINE),
    RECONSTRUCTION: (f"{OWN}, {RECONSTRUCTION}", f"{BASELINE}, {RECONSTRUCTION}"),
}


@EVALUATION_PARTS.register("perturbation")
@dataclass(frozen=True, kw_only=True)
class Perturbation(EvaluationPart):
    """How far an attack moves code and reconstruction, beside what is certified."""

    description = (
        "The largest change of the code that an attack finds, in mean distances between the codes of two"
        " inputs, in the largest ball that was tried; and that of the reconstruction, in mean distances between the"
        " reconstructions of two inputs. An attack may miss a larger one."
    )
    figures = ("perturbation_code", "perturbation_reconstruction")
    compared: ClassVar[Mapping[str, tuple[str, str]]] = {
        f"change of the {output}": names for output, names in NUMBERS.items()
    }
    repeated_picture = "perturbation_curves"
    pictures: ClassVar[Mapping[str, str]] = {
        repeated_picture: "largest change found, of the code and of the reconstruction, against epsilon"
    }

    linf: list[Positive]
    l2: list[Positive]
    samples: Count
    steps: Count
    restarts: Count

    def __post_init__(self) -> None:
        """Refuse radii in other units."""
        check_radii("linf", self.linf, 1.0)

    def check(self, run: TrainedRun) -> None:
        """Refuse radii of l2 beyond the change of every element by the whole range."""
        check_radii("l2", self.l2, math.sqrt(math.prod(run.shape)))

    def measure(self, subject: Subject, track: Track) -> PartResult:
        """Find and certify the largest change of the code and of the reconstruction in a ball around each input.

        Projected gradient ascent finds a lower bound on the largest change, the certificate is an upper bound. A change
        is measured in the norm of its ball, and as a fraction of the mean distance between the outputs of two inputs,
        so that models of different scales can be compared. The unregularized baseline is measured beside the model.
        """
        from satae.evaluation.baselines import load_baseline
        from satae.model.autoencoder import Encoder

        subject = subject.first(self.samples)
        models, origin = {OWN: subject.model}, ""
        if subject.config.alpha > 0:
            models[BASELINE], origin = load_baseline(subject)
        radii: dict[Norm, Sequence[float]] = {"linf": self.linf, "l2": self.l2}
        cases = [
            (PerturbedOutput(name, output, norm, epsilon), Encoder(model) if output == CODE else model)
            for norm in radii
            for epsilon in sorted({*radii[norm]})
            for output in OUTPUTS
            for name, model in models.items()
        ]
        rows = [measure_output(subject, f, at, self) for at, f in track(cases)]
        if not rows:
            return PartResult([], {}, notes=["no perturbation: no radius is given"])
        largest = {
            row["model"]: row["change share"]
            for row in rows
            if row["output"] == CODE and row["norm"] == rows[0]["norm"]
        }
        names = {OWN: "code change", BASELINE: "of its twin"}
        baseline = f"; {BASELINE}: {origin}" if origin else ""
        by_curve: dict[tuple[str, str, str], list[ResultRow]] = {}
        for row in rows:
            by_curve.setdefault((row.text("model"), row.text("norm"), row.text("output")), []).append(row)
        cells = [[row[column] for column in COLUMNS] for row in rows]
        return PartResult(
            tables=[ResultTable("perturbation", COLUMNS, cells, SHOWN_COLUMNS)],
            headline={
                "norm": rows[0]["norm"],
                "epsilon": max(row.number("epsilon") for row in rows if row["norm"] == rows[0]["norm"]),
                "unit": subject.range_name,
                **{name: largest[model] for model, name in names.items() if model in largest},
            },
            notes=[
                *(note.format(range_name=subject.range_name) for note in NOTES),
                f"{OWN}: the model of the run{baseline}",
                *_unmeasured_notes(rows),
            ],
            curves={
                f"{model}/{norm}_{output}": [(row.number("epsilon"), row.number("change share")) for row in found]
                for (model, norm, output), found in by_curve.items()
            },
            pictures=draw_each({"curves": lambda: draw_picture(_panels(by_curve), 2)}),
        )

    @classmethod
    def summarize(cls, stored: StoredResult) -> PartSummary:
        """The changes of the code and of the reconstruction in the largest ball of the first norm."""
        rows = [*stored.rows("perturbation")]
        rows = [row for row in rows if row["norm"] == rows[0]["norm"]]
        epsilon = max((row.number("epsilon") for row in rows), default=math.nan)
        unit = f" of the {shorten_value(stored.headline['unit'])}" if "unit" in stored.headline else ""
        label = f"largest change, {rows[0].text('norm')}, epsilon {epsilon:g}{unit}" if rows else ""
        summary = PartSummary.of(stored, label=label)
        for output, names in NUMBERS.items():
            for row in rows:
                model = row.text("model")
                if row.text("output") == output and model in (OWN, BASELINE) and row["epsilon"] == epsilon:
                    name = names[0] if model == OWN else names[1]
                    summary.add(name, row.number("change share"), row.count("n"))
        return summary

    @classmethod
    def charts(cls, section: ReportSection, comparison: Comparison) -> Iterator[Chart]:
        """The changes of the code and of the reconstruction, if a number varies."""
        if comparison.x is None:
            return
        for figure, (output, names) in zip(cls.figures, NUMBERS.items(), strict=True):
            if not any(series.points_with(names[0]) for series in comparison.series):
                continue
            y_label = f"largest change of the {output}, in mean distances"
            caption = (
                f"The change of the {output} that an attack finds ({section.label}), in mean distances between the"
                f" {output}s of two inputs; dashed: the twin trained with alpha=0. An attack may miss a larger one."
                f"{comparison.bars_caption()}{comparison.left_out_caption()}"
            )
            panels = baseline_panels(comparison, y_label, (0.0, math.inf), names=names)
            title = f"Change of the {output} against {shorten_value(comparison.x)}"
            yield Chart(figure, title, caption, panels, is_shared=True)


def check_radii(option: str, radii: Sequence[float], largest: float) -> None:
    """Refuse radii that are larger than any change can be.

    Args:
        option: name of the option.
        radii: chosen radii, as fractions of the range.
        largest: size of the largest change; in the norm linf that of the whole range, 1.

    Raises:
        ValueError: a radius is larger.
    """
    if max(radii, default=0) > largest:
        typed = ",".join(f"{radius:g}" for radius in radii)
        share = "a radius is a share of the range of the data, such as 8/255, which is 0.0314"
        raise ValueError(f"{option}=[{typed}]: each must be at most {largest:.4g}; {share}")


# The measurement


class PerturbedOutput(NamedTuple):
    """An output of a model, and the ball around its inputs."""

    model: str
    output: str
    norm: Norm
    epsilon: float  # as a fraction of the range of the data


def measure_output(subject: Subject, f: nn.Module, at: PerturbedOutput, options: Perturbation) -> ResultRow:
    """Attack and certify one output ``f`` of a model on every input.

    A share is a fraction of the mean distance between the outputs of two inputs.
    """
    import torch

    from satae.robustness.ibp import UnknownBoundError, certified_bound
    from satae.robustness.largest_change import largest_change
    from satae.robustness.norm_ball import RandomStreams, vector_norm

    ball = subject.norm_ball(at.norm, at.epsilon)
    numbers = torch.arange(len(subject.x), device=subject.x.device)

    def on_batch(x: Tensor, numbers: Tensor) -> Tensor:
        draws = RandomStreams.for_examples(subject.seed, numbers)
        moved = largest_change(f, x, ball, draws, steps=options.steps, restarts=options.restarts)
        try:
            bound = certified_bound(f, x, ball)
            bounds = [bound.change, torch.full_like(bound.change, bound.by_norms), bound.by_intervals]
        except UnknownBoundError:
            bounds = [torch.full_like(moved.change, math.nan)] * 3
        columns = [moved.change, moved.slope, *bounds]
        return torch.stack([values.double() for values in columns], dim=1)

    change, slope, bound, by_norms, by_intervals = subject.map_batches(on_batch, subject.x, numbers).unbind(1)
    outputs = subject.map_batches(f, subject.x)
    distance = vector_norm(outputs - outputs.roll(1, 0), at.norm).mean().item()  # from each input to the next one
    cells = {
        "change": change.mean().item(),
        "change share": change.mean().item() / distance if distance else math.nan,
        "largest change": change.max().item(),
        "slope": slope.mean().item(),
        "certified": bound.mean().item(),
        CERTIFIED_SHARE: bound.mean().item() / distance if distance else math.nan,
        "by norms": by_norms.mean().item(),
        "by intervals": by_intervals.mean().item(),
        "n": len(change),
        UNMEASURED: int(change.isnan().sum()),
    }
    return ResultRow({**at._asdict(), **cells})


def _unmeasured_notes(rows: Sequence[ResultRow]) -> Iterator[str]:
    """Say where no change could be measured, and on how many inputs."""
    for row in rows:
        if lost := row.count(UNMEASURED):
            place = f"{row['model']}, {row['output']}, {row['norm']}, epsilon {row.number('epsilon'):g}"
            reason = "an output or its gradient is not a finite number"
            yield f"{place}: could not be measured on {lost} of {count_words(row.count('n'), 'input')}: {reason}"
    if any(math.isnan(row.number("certified")) and not row.count(UNMEASURED) for row in rows):
        yield "certified: - where no bound is known for a layer or for the slope of the activation, such as a plugin's"


def _panels(by_curve: dict[tuple[str, str, str], list[ResultRow]]) -> list[Panel]:
    """A panel for each output and norm: what was found and what is certified, for each model."""
    curves: dict[str, list[Curve]] = {}
    for (model, norm, output), rows in by_curve.items():
        radii, found, bound = (
            [row.number(column) for row in rows] for column in ("epsilon", "change share", CERTIFIED_SHARE)
        )
        some = curves.setdefault(f"{output}, {NORM_TITLES[norm]} ball", [])
        color, marker = COLORS[len(some) // 2], MARKERS[len(some) // 2]
        title = "model" if model == OWN else "twin, alpha=0"
        some.append(Curve(radii, found, f"{title}: found", color, marker=marker, marker_size=4))
        some.append(Curve(radii, bound, f"{title}: certified", color, "--", marker, 4, is_hollow=True))
    y_label = "change, in mean distances between two outputs"
    return [Panel(some, RADIUS_TITLE, y_label, title, has_log_y=True) for title, some in curves.items()]
