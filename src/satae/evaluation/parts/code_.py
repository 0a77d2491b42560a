"""The part ``code``: how saturated, binary, steep and sensitive the code is, and how much of the labels it keeps.

The report shows it in numbers only.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, NamedTuple

from pydantic import Field

from satae.config.option_types import Count
from satae.config.registry import EVALUATION_PARTS
from satae.evaluation.part import EvaluationPart, Track
from satae.evaluation.reported_evaluations import BRACKETS, PartSummary
from satae.evaluation.result import PartResult, ResultTable, StoredResult
from satae.plots.charts import draw_histograms
from satae.plots.style import Picture, draw_each

if TYPE_CHECKING:
    from torch import Tensor

    from satae.evaluation.subject import Subject
    from satae.model.complement import Complement
    from satae.robustness.estimates import Estimate

Neighbors = Annotated[int, Field(ge=1, le=1000)]
Distance = Annotated[float, Field(gt=0, le=1)]


COLUMNS: Final = ("of", "measure", "value", "low", "high", "n")
LINEAR_PROBE, NEAREST_NEIGHBORS = "linear probe", "nearest neighbours"
HEADLINE_ESTIMATES: Final = {"slope": ("encoder", "slope"), "probe": ("code", LINEAR_PROBE)}  # the rows that they are
SLOPE_OVER_SPREAD: Final = "slope over spread"
PROBE_ITERATIONS: Final = 1000  # most iterations of the probe's optimizer
CLEAN_NOTE: Final = "saturated and dead: measured on clean inputs; what training prints is measured on noisy ones"
SLOPE_NOTE: Final = (
    "slope: ‖J‖, the Frobenius norm of the derivative of the code by the input, in the data's units; over spread:"
    " divided by the root mean squared distance of the codes from their mean"
)
SENSITIVITY_NOTES: Final = (
    "sensitivity: squared change under gaussian noise of 0.05 of the data's range, over the variance; clipped: to that"
    " range; ratio to input: over the sensitivity of the input itself",
    "per unit: each unit by its own variance, their mean; constant units, which do not vary, are left out; identified:"
    " share of noisy outputs whose nearest clean one is their own",
)
UNDEFINED_NOTE: Final = (
    "sensitivity of the {of}: not defined, because no unit varies over these inputs, or a value is not finite"
)
SENSITIVITY_NUMBERS: Final = {  # numbers of the report: their row and column in the table
    "sensitivity": (("code", "unclipped"), "sensitivity"),
    "clipped": (("code", "clipped"), "sensitivity"),
    "per unit": (("code", "clipped"), "per unit"),
    "input": (("input", "clipped"), "sensitivity"),
    "reconstruction": (("reconstruction", "clipped"), "sensitivity"),
    "identified": (("code", "clipped"), "identified"),
}
HEADLINE_SENSITIVITIES: Final = ("sensitivity", "clipped")


@EVALUATION_PARTS.register("code")
@dataclass(frozen=True, kw_only=True)
class Code(EvaluationPart):
    """Saturation, binarity, entropy, slope, sensitivity, and how much of the labels the code keeps."""

    description = (
        "What the last encoder layer does with clean inputs: the share of its units that is saturated, the slope of"
        " the code, and the accuracy of a linear probe of it, where there are labels. (The saturated fraction of the"
        " summary is another one: of all encoder layers, on validation data with the noise of the training.) In"
        f" brackets, of the slopes and the probe, the {BRACKETS}. slope over spread: the slope over the root mean"
        " squared distance of the codes from their mean. sensitivity: the squared change of the code under Gaussian"
        " noise of 0.05 of the data's range, over the variance of the code. clipped: the same with noise that stays in"
        " the range. With this noise, too, per unit: each unit by its own variance; input and reconstruction: their own"
        " change over their own variance; identified: the share of codes whose nearest clean code is their own."
    )
    pictures: ClassVar[Mapping[str, str]] = {
        "code_pre_activations": "distribution of what goes into the activation of each encoder layer; grey: where it"
        " is flat",
        "code_slope": "distribution over the inputs of the norm of the derivative of the code",
    }

    near: Distance
    jacobians: Count
    train: Count
    neighbours: Neighbors

    def find_missing(self, subject: Subject) -> dict[str, str]:
        """The probes, without labels."""
        return {"probes": why} if (why := _why_no_probes(subject, self)) else {}

    def measure(self, subject: Subject, track: Track) -> PartResult:
        """Describe each encoder layer and the code on clean inputs, and train probes on the code."""
        from satae.evaluation.parts.code_sensitivity import MEASURES, SENSITIVITY_COLUMNS, sensitivity_rows, spread
        from satae.robustness.estimates import fraction_estimate, mean_estimate
        from satae.robustness.largest_change import jacobian_norm

        layers, notes = encoder_layers(subject), [CLEAN_NOTE, SLOPE_NOTE]
        norms = subject.map_batches(partial(jacobian_norm, subject.model.encode), subject.x[: self.jacobians])
        if len(subject.complement.levels) < 2:
            notes.append(
                f"share at the levels: left out, {subject.config.act.name} has fewer than two levels; see bimodality"
            )
        slope_0 = fraction_estimate(int((norms == 0).sum()), len(norms))
        code, slope_of_input = [*layers.values()][-1].f_z, math.sqrt(subject.x[0].numel()) / spread(subject.x)
        rows = [
            *_layer_rows(subject, layers, self.near),
            CodeRow("encoder", "slope", *mean_estimate(norms)),
            CodeRow("encoder", SLOPE_OVER_SPREAD, *mean_estimate(norms / spread(code))),
            CodeRow("input", SLOPE_OVER_SPREAD, slope_of_input, None, None, len(subject.x)),
            CodeRow("encoder", "share with slope 0", *slope_0),
        ]
        rows += _probe_rows(subject, self, track, notes)
        of_outputs = sensitivity_rows(subject, track)
        sensitivity = ResultTable("sensitivity", SENSITIVITY_COLUMNS, of_outputs, SENSITIVITY_COLUMNS)
        by_output = {(row["of"], row["noise"]): row for row in sensitivity.dicts()}
        undefined = dict.fromkeys(of for (of, _), row in by_output.items() if math.isnan(row.number("sensitivity")))
        notes += [*SENSITIVITY_NOTES, *(UNDEFINED_NOTE.format(of=of) for of in undefined)]
        found = {(row.of, row.measure): row.value for row in rows}
        headline = {"saturated": ([*layers][-1], "saturated fraction"), **HEADLINE_ESTIMATES}
        headline_sensitivities = {name: SENSITIVITY_NUMBERS[name] for name in HEADLINE_SENSITIVITIES}
        return PartResult(
            tables=[ResultTable("code", COLUMNS, rows, COLUMNS), sensitivity],
            headline={
                **{name: found[key] for name, key in headline.items() if key in found},
                **{name: by_output[at][column] for name, (at, column) in headline_sensitivities.items()},
            },
            notes=notes,
            scalars={
                **{f"{of}/{measure.replace(' ', '_')}": value for (of, measure), value in found.items()},
                **{
                    f"{of}/{column.replace(' ', '_')}_{noise}": row.number(column)
                    for (of, noise), row in by_output.items()
                    for column in MEASURES
                },
            },
            histograms={**{f"pre_activations/{name}": layer.z for name, layer in layers.items()}, "slope": norms},
            pictures=_pictures(subject, layers, norms),
        )

    @classmethod
    def summarize(cls, stored: StoredResult) -> PartSummary:
        """Saturation, slope, probe and sensitivity, as far as they were measured."""
        summary, rows = PartSummary.of(stored), {(row["of"], row["measure"]): row for row in stored.rows("code")}
        headline = stored.headline
        if "saturated" in headline:
            inputs = next((row.count("n") for row in rows.values()), 0)
            summary.add("saturated", headline.number("saturated"), inputs)
        for name, of in HEADLINE_ESTIMATES.items():
            if name in headline:
                summary.add(name, headline.number(name), rows[of].count("n"), rows[of].interval())
        if row := rows.get(("encoder", SLOPE_OVER_SPREAD)):
            summary.add(SLOPE_OVER_SPREAD, row.number("value"), row.count("n"), row.interval())
        by_output = {(row["of"], row["noise"]): row for row in stored.rows("sensitivity")}
        for name, (at, column) in SENSITIVITY_NUMBERS.items():
            if row := by_output.get(at):
                summary.add(name, row.number(column), row.count("n"))
        return summary


# The measurement


class EncoderLayer(NamedTuple):
    """The pre-activations and activations of one encoder layer for all inputs, and its weights."""

    z: Tensor  # pre-activations (n, units)
    f_z: Tensor  # activations (n, units)
    weight: Tensor  # weights, as torch stores them


class CodeRow(NamedTuple):
    """One value; with an interval if it is an estimate, not a fact about these inputs."""

    of: str  # a layer, "encoder", "code" or "input"
    measure: str
    value: float
    low: float | None
    high: float | None
    n: int  # inputs, or weights, behind it


def encoder_layers(subject: Subject) -> Mapping[str, EncoderLayer]:
    """What each encoder layer does with the inputs, by the name of the layer."""
    import torch

    from satae.model.activations import evaluate

    def pre_activations(x: Tensor) -> Tensor:
        return torch.cat([z.flatten(1) for z in subject.model.trace(x).zs.values()], dim=1)

    widths = [z.numel() for z in subject.model.trace(subject.x[:1]).zs.values()]
    zs = subject.map_batches(pre_activations, subject.x).split(widths, dim=1)
    return {
        name: EncoderLayer(z, evaluate(layer.act, z), layer.affine.weight)
        for z, (name, layer) in zip(zs, subject.model.layers(), strict=True)
    }


def _layer_rows(subject: Subject, layers: Mapping[str, EncoderLayer], near: float) -> Iterator[CodeRow]:
    from satae.training.metrics import count_flat, saturation_shares

    f_c, n = subject.complement, len(subject.x)
    counts = {name: count_flat(f_c, layer.z) for name, layer in layers.items()}
    shares = saturation_shares(counts, n)
    for name, layer in layers.items():
        saturated = shares[f"saturated_fraction/{name}"]
        values = {
            "saturated fraction": saturated,
            "dead fraction": shares[f"dead_fraction/{name}"],
            "always on fraction": (counts[name].sum(dim=0) == 0).double().mean().item(),
            "active units": (1 - saturated) * layer.z.shape[1],
        }
        if len(f_c.levels) > 1:
            values["share at the levels"] = fraction_at_levels(f_c, layer.f_z, near)
        if len(found := bimodality(layer.f_z)):
            values["bimodality"] = found.mean().item()
        values["entropy"] = entropy(is_on(f_c, layer.z, layer.f_z)).mean().item()
        for measure, value in values.items():
            yield CodeRow(name, measure, value, None, None, n)
        yield CodeRow(name, "weight kurtosis", kurtosis(layer.weight), None, None, layer.weight.numel())


def _pictures(subject: Subject, layers: Mapping[str, EncoderLayer], norms: Tensor) -> dict[str, Picture]:
    zs = {f"{name}, {layer.z.shape[1]} units": {"z": layer.z} for name, layer in layers.items()}
    slopes = {f"encoder, {len(norms)} inputs": {"slope": norms}}
    return draw_each(
        {
            "pre_activations": lambda: draw_histograms(
                zs, "pre-activation z, grey: flat set", subject.complement.intervals
            ),
            "slope": lambda: draw_histograms(slopes, "‖J‖, slope of the code by the input"),
        }
    )


# Probes: classifiers that tell how much of the labels is in a representation


def _probe_labels(subject: Subject, options: Code) -> Tensor:
    """The labels of the training inputs that the probes learn from."""
    data = subject.data
    assert data.train.y is not None
    return data.train.y[: data.max_examples(min(options.train, len(data.train.y)))]


def _why_no_probes(subject: Subject, options: Code) -> str:
    """Why no probe can be trained; empty if one can."""
    if why := subject.why_no_labels():
        return why
    y = _probe_labels(subject, options)
    return f"the {len(y)} training inputs have one label" if len(y.unique()) < 2 else ""


def _probe_rows(subject: Subject, options: Code, track: Track, notes: list[str]) -> Iterator[CodeRow]:
    """The accuracies of equal probes on the code and on the inputs themselves; notes say what was left out."""
    if why := _why_no_probes(subject, options):
        notes.append(f"no accuracies: {why}")
        return
    data, y = subject.data, _probe_labels(subject, options)
    n = len(y)
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier

    neighbors = min(options.neighbours, n)
    notes.append(f"{LINEAR_PROBE} and {NEAREST_NEIGHBORS} ({neighbors}): accuracy after {n} training inputs")
    x = data.batch(data.train.x[:n]).to(subject.x.device)
    encode = partial(subject.map_batches, subject.model.encode)
    representations = {"code": (encode(x), encode(subject.x)), "input": (x, subject.x)}
    probes = {
        LINEAR_PROBE: partial(LogisticRegression, max_iter=PROBE_ITERATIONS),
        NEAREST_NEIGHBORS: partial(KNeighborsClassifier, neighbors),
    }
    for of, probe in track([*product(representations, probes)]):
        train, test = representations[of]
        accuracy, converged = probe_accuracy(probes[probe](), (train, y), (test, subject.labels))
        if not converged:
            notes.append(f"the linear probe of the {of} had not converged after {PROBE_ITERATIONS} passes")
        yield CodeRow(of, probe, *accuracy)


def probe_accuracy(classifier: Any, train: tuple[Tensor, Tensor], test: tuple[Tensor, Tensor]) -> tuple[Estimate, bool]:
    """Train a classifier of scikit-learn on standardized features.

    Args:
        classifier: an untrained one.
        train: representations (N, features...) and labels (N,).
        test: representations (M, features...) and labels (M,) on which the classifier is tried.

    Returns:
        The accuracy on ``test``, and whether the training converged.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from satae.robustness.estimates import fraction_estimate

    (x, y), (x_test, y_test) = ((x.flatten(1).cpu().numpy(), y.cpu().numpy()) for x, y in (train, test))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        correct = make_pipeline(StandardScaler(), classifier).fit(x, y).predict(x_test) == y_test
    converged = not any(issubclass(warning.category, ConvergenceWarning) for warning in caught)
    return fraction_estimate(int(correct.sum()), len(y_test)), converged


# Statistics of units


def bimodality(f_z: Tensor) -> Tensor:
    """Sarle's coefficient of each unit, between 0 and 1: 5/9 for a uniform distribution, more for two modes.

        b = (s^2 + 1) / (k + 3 (n - 1)^2 / ((n - 2)(n - 3)))

    with the sample skewness s and excess kurtosis k. Pfister et al. (2013), Frontiers in Psychology 4, 700. A long
    tail raises it, too.

    Args:
        f_z: (n, units...), n > 3.

    Returns:
        (units,), without units that do not vary.
    """
    from satae.training.metrics import which_vary

    x = f_z.flatten(1).double().cpu()
    n = len(x)
    if n <= 3:
        return x.new_empty(0)
    x = x[:, which_vary(x)]
    deviation = x - x.mean(dim=0)
    m2, m3, m4 = (deviation.pow(power).mean(dim=0) for power in (2, 3, 4))
    skewness = m3 / m2**1.5 * math.sqrt(n * (n - 1)) / (n - 2)
    excess = (n - 1) / ((n - 2) * (n - 3)) * ((n + 1) * (m4 / m2**2 - 3) + 6)
    return (skewness**2 + 1) / (excess + 3 * (n - 1) ** 2 / ((n - 2) * (n - 3)))


def entropy(on: Tensor) -> Tensor:
    """The entropy in bits of each unit that is on or off: (n, units...) booleans to (units,)."""
    import torch

    p = on.flatten(1).double().mean(dim=0)
    return -(torch.xlogy(p, p) + torch.xlogy(1 - p, 1 - p)) / math.log(2)


def kurtosis(weight: Tensor) -> float:
    """The excess kurtosis of all weights of a layer, m4 / m2^2 - 3: 0 for normal ones, more for sparse ones."""
    deviation = weight.detach().cpu().double().flatten()
    deviation = deviation - deviation.mean()
    variance = deviation.square().mean()
    return (deviation.pow(4).mean() / variance**2 - 3).item() if variance else math.nan


def is_on(complement: Complement, z: Tensor, f_z: Tensor) -> Tensor:
    """Whether each unit is on: nearer to the upper of two levels, or outside the flat set if there is one level.

    Args:
        complement: complementary function of the activation.
        z: pre-activations (n, units...).
        f_z: activations f(z), of the same shape.
    """
    if len(complement.levels) > 1:
        return f_z > (min(complement.levels) + max(complement.levels)) / 2
    return ~complement.is_flat(z)


def fraction_at_levels(complement: Complement, f_z: Tensor, near: float) -> float:
    """The fraction of units and inputs within ``near`` of a level of the activation: a value f(z) where f is flat."""
    return (complement.from_output(f_z) <= near).double().mean().item()
