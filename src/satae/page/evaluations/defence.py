"""What is left of the accuracy of a classifier under attack: read, and drawn with the verdicts."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from satae.page.evaluations import verdicts
from satae.page.evaluations.outcomes import BRACKETS, Outcome, Part, over_inputs
from satae.page.evaluations.panels import (
    MOST_PLACES,
    bars_caption,
    mean_curve,
    of_one_run,
    over_seeds,
    twin_panels,
    verdict_legend,
    verdict_marks,
)
from satae.page.evaluations.stored import Evaluation, count, interval, number, text
from satae.page.evaluations.verdicts import ALONE, OWN, PASSED, TWIN, VERDICTS, VICTIMS
from satae.plots.charts import Chart, Curve, Panel
from satae.plots.style import COLORS, DASHES, SMALL_PANEL_SIZE
from satae.sweeps.formatting import format_configuration, shorten_value
from satae.sweeps.series import SHARE, Comparison, examples

DEFENCE: Final = "defence"
WHAT: Final = (
    "The share of the inputs that a classifier still gets right against the worst attack for each: behind"
    " the autoencoder (own), behind the same trained with alpha=0 (twin), and alone, which is one classifier for all"
    " runs on the same data; with the radius, epsilon, as a share of the range of the data. An accuracy is worth no"
    " more than its verdict: holds; masked, where a check failed, so that it may be an illusion; inconclusive, where"
    f" one could not tell; over seeds, how often each. In brackets, Wilson's {BRACKETS}."
    " The classifier alone is the same for all seeds, so it has no ±."
    " Beside own stand the checks that it has not passed."
)
CLEAN: Final = "clean"
EPSILON, MIDDLE = FIGURES = ("defence_epsilon", "defence_middle")
REPEATED: Final = "defence_accuracy"
PICTURES: Final = {
    REPEATED: "accuracy against the worst of all attacks, against epsilon, with the verdicts in the legend",
}
DRAWN: Final = (OWN, TWIN, ALONE)
MARKED: Final = (
    "Marks are verdicts: a dot, holds; a hollow diamond, inconclusive; a cross, masked: a check failed, the accuracy"
    " may be an illusion. Of several seeds, the worst."
)


def read(found: Evaluation) -> Outcome:
    """The accuracy of each model against epsilon, with its verdict and the checks behind it."""
    told = Outcome.empty(found)
    for row in found.rows("defence"):
        victim, verdict = text(row["victim"]), text(row["verdict"])
        if victim not in VICTIMS or verdict not in VERDICTS:
            raise ValueError(
                f"{shorten_value(victim)}: {shorten_value(verdict)}: no model, or no verdict, that is known"
            )
        epsilon = number(row["epsilon"])
        told.curves.setdefault(victim, {})[epsilon] = number(row["accuracy"])
        told.ends.setdefault(victim, {})[epsilon] = interval(row)
        told.told[victim], told.inputs[victim] = verdict, count(row["n"])
    for row in found.rows("checks"):
        if row["victim"] == OWN and row["outcome"] != PASSED:
            told.checks[count(row["check"])] = text(row["outcome"])
    if told.curves:
        told.numbers["epsilon"] = number(found.headline["epsilon"])
    if OWN in told.inputs:
        told.inputs[CLEAN] = told.inputs[OWN]
    return told


def middle(outcomes: Iterable[Outcome]) -> float | None:
    """The radius that most of them have for the middle one, the smallest of several."""
    found = Counter(radius for each in outcomes if math.isfinite(radius := each.numbers["epsilon"]))
    return min(found, key=lambda radius: (-found[radius], radius), default=None)


def at(outcome: Outcome, epsilon: float) -> Outcome:
    """The accuracy of each model at a radius, and of its own on clean inputs."""
    places = {CLEAN: (OWN, 0.0)} | {victim: (victim, epsilon) for victim in VICTIMS}
    intervals = {name: known for name, place in places.items() if (known := outcome.interval(*place))}
    numbers = {name: outcome.value(*place) for name, place in places.items()}
    return outcome._replace(numbers=numbers, intervals=intervals, label=f"accuracy at epsilon {epsilon:g}")


def _ends(found: Sequence[Outcome], victim: str, epsilon: float) -> tuple[float, float] | None:
    """Of a bar that is of the inputs: of one run, and of the classifier alone, of which there is one for all seeds."""
    return over_inputs(found, victim, epsilon) if victim == ALONE else of_one_run(found, victim, epsilon)


def charts(part: Part, comparison: Comparison) -> Iterator[Chart]:
    """Accuracy against epsilon and, where a number varies, against that number at the middle epsilon."""
    yield _against_epsilon(part, comparison)
    if comparison.x is not None and part.epsilon is not None:
        yield _at_middle(part, comparison, part.epsilon)


def _against_epsilon(part: Part, comparison: Comparison) -> Chart:
    """A panel for each configuration, with the three models."""
    points = [point for row in examples(comparison) for point in row]
    radii = sorted({radius for found in part.outcomes.values() for curve in found.curves.values() for radius in curve})
    panels = []
    for point in points:
        found, curves = part.of(point), list[Curve]()
        for victim, color, dash in zip(DRAWN, COLORS, DASHES, strict=False):
            if statistics := over_seeds(found, victim):
                ends = [_ends(found, victim, x) for x, _ in statistics]
                curves.append(mean_curve(statistics, SHARE, ends, color=color, dash=dash, label=victim))
                curves += verdict_marks([(x, y.mean, verdicts.worst(found, victim)) for x, y in statistics], color)
        title = shorten_value(format_configuration(point.values), 44)
        panels.append(
            Panel(
                [*curves, *verdict_legend()],
                "epsilon",
                "accuracy",
                title,
                radii[:MOST_PLACES],
                y_possible=SHARE,
                shows_all_possible=True,
            )
        )
    left = len(comparison.points) - len(points)
    caption = (
        "Accuracy of a classifier against the worst attack for each input, within epsilon of it, as a share of the"
        " range of the data: behind the autoencoder (own), behind its twin trained with alpha=0, and alone. Epsilon is"
        f" logarithmic where it spans much, and linear from 0. {MARKED}"
        f"{f' {left} more configurations are in the table.' if left else ''}{bars_caption(comparison, [ALONE])}"
    )
    title = "Accuracy under attack against epsilon"
    return Chart(EPSILON, title, caption, panels, 3, SMALL_PANEL_SIZE, legend="all panels")


def _at_middle(part: Part, comparison: Comparison, epsilon: float) -> Chart:
    label = f"accuracy at epsilon {epsilon:g}"
    panels = twin_panels(
        comparison,
        label,
        SHARE,
        lambda point, victim: verdicts.worst(part.of(point), victim),
        lambda point, victim: _ends(part.of(point), victim, epsilon),
    )
    caption = (
        "Against the worst attack for each input; dashed: the twin trained with alpha=0, at 0 the model itself."
        f" {MARKED}{bars_caption(comparison)}{comparison.left_out_caption()}"
    )
    title = f"{label.capitalize()} against {shorten_value(comparison.x)}"
    return Chart(MIDDLE, title, caption, panels, is_shared=True)
