"""The part ``defence``: what is left of the accuracy of a classifier under attack, and whether it can be believed."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Final, Literal

from pydantic import Field

from satae.config.option_types import MAX_VALUE, Count, Positive
from satae.config.registry import EVALUATION_PARTS
from satae.evaluation.part import ALONE, BASELINE, OWN, PIPELINE_TITLES, RADIUS_TITLE, EvaluationPart, Track
from satae.evaluation.parts.defence_trade_off import (
    CLEAN,
    has_several_configurations,
    trade_off_panels,
    trade_off_table,
)
from satae.evaluation.parts.perturbation import check_radii
from satae.evaluation.reported_evaluations import (
    BRACKETS,
    MASKED,
    PASSED,
    VERDICTS,
    PartSummary,
    ReportSection,
    worst_verdict,
)
from satae.evaluation.result import StoredResult
from satae.evaluation.section_display import (
    MAX_PLACES,
    bars_caption,
    baseline_panels,
    curve_over_seeds,
    interval_of_one_run,
    mean_curve,
    verdict_legend,
    verdict_marks,
)
from satae.messages import count_words
from satae.plots.charts import Chart, Panel
from satae.plots.style import COLORS, DASHES, SMALL_PANEL_SIZE
from satae.sweeps.series import SHARE, Comparison, examples
from satae.sweeps.text import TextTable, distinct_labels, format_configuration, shorten_value

if TYPE_CHECKING:
    from satae.evaluation.result import PartResult
    from satae.evaluation.subject import Subject, TrainedRun

PIPELINES: Final = (OWN, BASELINE, ALONE)
MAX_CONFIGURATIONS: Final = 4  # named in a warning
Temperature = Annotated[float, Field(gt=1, le=MAX_VALUE, allow_inf_nan=False)]

MARKS_CAPTION: Final = (
    "Marks are verdicts: a dot, holds; a hollow diamond, inconclusive; a cross, masked: gradients are hidden, and the"
    " accuracy may be an illusion. Of several seeds, the worst verdict is marked."
)


@EVALUATION_PARTS.register("defence")
@dataclass(frozen=True, kw_only=True)
class Defence(EvaluationPart):
    """A classifier behind the autoencoder under attack, and whether the result can be believed."""

    description = (
        "The share of the inputs that a classifier still gets right against the worst attack for each: behind the"
        " autoencoder (own), behind the same trained with alpha=0 (twin), and alone, which is one classifier for all"
        " runs with the same data and seed; with the radius, epsilon, as a share of the range of the data. An accuracy"
        " is worth no more than its verdict: holds, if several kinds of attack agree on it; masked, if not and"
        " gradients are hidden, so that it may be an illusion; else inconclusive; over seeds, how often each. In"
        f" brackets, Wilson's {BRACKETS}. Beside own stand both parts of its verdict and the checks that it has not"
        " passed."
    )
    figures = ("defence_epsilon", "defence_middle", "defence_trade_off")
    repeated_picture = "defence_accuracy"
    pictures: ClassVar[Mapping[str, str]] = {
        repeated_picture: "accuracy against the worst of all attacks, against epsilon, with the verdicts in the legend"
    }
    compared: ClassVar[Mapping[str, tuple[str, str]]] = {"accuracy": (OWN, BASELINE)}
    remark_after, remark_title = OWN, "remarks"

    classifier: Literal["plain", "on_reconstructions", "on_code"]
    norm: Literal["linf", "l2"]
    epsilons: list[Positive]
    samples: Count
    steps: Count
    restarts: Count
    queries: Count
    temperatures: list[Temperature]
    libraries: Literal["none", "autoattack", "foolbox", "all"]
    control: bool

    def __post_init__(self) -> None:
        """Refuse a choice without a radius, or radii in other units."""
        if not self.epsilons:
            raise ValueError("epsilons=[]: give a radius, or several, such as [0.02,0.1]")
        if self.norm == "linf":
            check_radii("epsilons", self.epsilons, 1.0)

    def check(self, run: TrainedRun) -> None:
        """Refuse radii that no change of the inputs can have, and libraries that are not installed."""
        from satae.evaluation.parts.defence_measure import check_libraries

        if self.norm == "l2":
            check_radii("epsilons", self.epsilons, math.sqrt(math.prod(run.shape)))
        check_libraries(self)

    def find_missing(self, subject: Subject) -> dict[str, str]:
        """All of it, without labels that a classifier can learn; a verdict that it holds, with too few inputs."""
        from satae.evaluation.parts.defence_measure import find_labels_fault, find_too_few

        if fault := find_labels_fault(subject):
            return {"": fault}
        too_few = find_too_few(min(self.samples, len(subject.x)))
        return {"verdict that gradients are visible": too_few} if too_few else {}

    def measure(self, subject: Subject, track: Track) -> PartResult:
        """Attack the classifier alone, behind the baseline and behind the autoencoder."""
        from satae.evaluation.parts.defence_measure import measure_defence

        return measure_defence(subject, self, track)

    @classmethod
    def summarize(cls, stored: StoredResult) -> PartSummary:
        """The accuracy of each model against epsilon, with its verdict and the checks behind it."""
        summary = PartSummary.of(stored)
        for row in stored.rows("defence"):
            victim, verdict = row.text("victim"), row.text("verdict")
            if victim not in PIPELINES or verdict not in VERDICTS:
                names = f"{shorten_value(victim)}: {shorten_value(verdict)}"
                raise ValueError(f"{names}: no model, or no verdict, that is known")
            epsilon = row.number("epsilon")
            summary.curves.setdefault(victim, {})[epsilon] = row.number("accuracy")
            summary.curve_intervals.setdefault(victim, {})[epsilon] = row.interval()
            summary.verdicts[victim], summary.inputs[victim] = verdict, row.count("n")
        for row in stored.rows("verdicts"):  # results of earlier versions have none
            if row["victim"] == OWN:
                summary.axes = f"gradients {row.text('gradients')}, level {row.text('level')}"
        for row in stored.rows("checks"):
            if row["victim"] == OWN and row["outcome"] != PASSED:
                summary.open_checks[row.count("check")] = row.text("outcome")
        if summary.curves:
            summary.numbers["epsilon"] = stored.headline.number("epsilon")
        if OWN in summary.inputs:
            summary.inputs[CLEAN[OWN]] = summary.inputs[OWN]
        return summary

    @classmethod
    def align(cls, summaries: Mapping[Path, PartSummary]) -> dict[Path, PartSummary]:
        """The accuracies at one radius: the middle one of most runs, and of several such the smallest."""
        radii = Counter(
            radius for each in summaries.values() if math.isfinite(radius := each.numbers.get("epsilon", math.nan))
        )
        epsilon = min(radii, key=lambda radius: (-radii[radius], radius), default=None)
        if epsilon is None:
            return dict(summaries)
        return {directory: _at_radius(summary, epsilon) for directory, summary in summaries.items()}

    @classmethod
    def remark(cls, summaries: Sequence[PartSummary]) -> str:
        """Both parts of the verdict, and the checks that were not passed: ``checks 2, 3 failed``, ``check 8 open``."""
        axes = Counter(summary.axes for summary in summaries if summary.axes)
        found = Counter((check, outcome) for summary in summaries for check, outcome in summary.open_checks.items())
        alike: dict[tuple[str, int], list[str]] = {}
        for (check, outcome), times in sorted(found.items()):
            alike.setdefault((outcome, times), []).append(str(check))
        said = {shorten_value(one): times for one, times in sorted(axes.items())}
        for (outcome, times), checks in alike.items():
            said[f"check{'s' * (len(checks) > 1)} {', '.join(checks)} {shorten_value(outcome)}"] = times
        return "\n".join(
            one + (f" in {times} of {len(summaries)}" if times < len(summaries) else "") for one, times in said.items()
        )

    @classmethod
    def warnings(cls, section: ReportSection) -> Iterator[str]:
        """In how many runs the gradients of a model are masked, and of which configurations."""
        for victim in PIPELINES:
            groups = {
                format_configuration(group.values): [section.summaries[run.directory] for run in group.finished_runs]
                for group in section.groups
            }
            counts = {name: sum(each.verdicts.get(victim) == MASKED for each in some) for name, some in groups.items()}
            named = [name for name, number in counts.items() if number]
            if named:
                left = len(named) - MAX_CONFIGURATIONS
                more = [f"{left} more"] if left > 0 else []
                which = f" ({'; '.join([*named[:MAX_CONFIGURATIONS], *more])})" if len(groups) > 1 else ""
                masked = f"{victim} is {MASKED} in {count_words(sum(counts.values()), 'run')}{which}"
                found = [each for some in groups.values() for each in some if each.verdicts.get(victim) == MASKED]
                if all(_has_no_accuracy_left(each, victim) for each in found):
                    why = "gradients are hidden, but no accuracy under attack is left that could be an illusion"
                else:
                    why = "gradients are hidden, so that its accuracy under attack may be an illusion"
                yield f"{section.title}: {masked}: {why}."

    @classmethod
    def charts(cls, section: ReportSection, comparison: Comparison) -> Iterator[Chart]:
        """Accuracy against epsilon and, if a number varies, against that number at the middle epsilon."""
        yield _accuracy_against_epsilon(section, comparison)
        if comparison.x is not None and section.radius is not None:
            yield _accuracy_at_radius(section, comparison, section.radius)
        if has_several_configurations(section):
            yield _trade_off(section, comparison)

    @classmethod
    def tables(cls, section: ReportSection, axes: Sequence[str]) -> Iterator[TextTable]:
        """The accuracy under attack at equal accuracy without one, if there are several configurations."""
        if has_several_configurations(section):
            yield trade_off_table(section, axes)


def _has_no_accuracy_left(summary: PartSummary, victim: str) -> bool:
    """Whether a model gets nothing right under attack, at any radius above 0."""
    attacked = [accuracy for radius, accuracy in summary.curves.get(victim, {}).items() if radius > 0]
    return bool(attacked) and not any(attacked)


def _at_radius(summary: PartSummary, epsilon: float) -> PartSummary:
    """A summary with the accuracies at a radius, and the accuracy on clean inputs, as its numbers."""
    places = {CLEAN[victim]: (victim, 0.0) for victim in PIPELINES}
    places |= {victim: (victim, epsilon) for victim in PIPELINES}
    intervals = {name: known for name, place in places.items() if (known := summary.interval(*place))}
    numbers = {name: summary.value(*place) for name, place in places.items()}
    label = f"accuracy at epsilon {epsilon:g}"
    return replace(summary, numbers=numbers, intervals=intervals, label=label, radius=epsilon)


def _accuracy_against_epsilon(section: ReportSection, comparison: Comparison) -> Chart:
    """A panel for each configuration, with the three models."""
    points = [point for row in examples(comparison) for point in row]
    radii = sorted(
        {radius for each in section.summaries.values() for curve in each.curves.values() for radius in curve}
    )
    titles = distinct_labels((format_configuration(point.values) for point in points), 80)
    panels = []
    for point in points:
        summaries, curves = section.of(point), []
        for name, color, dash in zip(PIPELINES, COLORS, DASHES, strict=False):
            if statistics := curve_over_seeds(summaries, name):
                ends = [interval_of_one_run(summaries, name, x) for x, _ in statistics]
                curves.append(mean_curve(statistics, SHARE, ends, color=color, dash=dash, label=PIPELINE_TITLES[name]))
                worst = worst_verdict(summaries, name)
                curves += verdict_marks([(x, y.mean, worst) for x, y in statistics], color)
        curves += verdict_legend()
        title, ticks = titles[format_configuration(point.values)], radii[:MAX_PLACES]
        panels.append(Panel(curves, RADIUS_TITLE, "accuracy", title, ticks, y_possible=SHARE, shows_all_possible=True))
    left = len(comparison.points) - len(points)
    caption = (
        "Accuracy of a classifier against the worst attack for each input, within epsilon of it, as a share of the"
        f" range of the data. Epsilon is logarithmic where it spans much, and linear from 0. {MARKS_CAPTION}"
        f"{f' {left} more configurations are in the table.' if left else ''}{bars_caption(comparison)}"
    )
    title = "Accuracy under attack against epsilon"
    return Chart(Defence.figures[0], title, caption, panels, 3, SMALL_PANEL_SIZE, legend="all panels")


def _accuracy_at_radius(section: ReportSection, comparison: Comparison, epsilon: float) -> Chart:
    label = f"accuracy at epsilon {epsilon:g}"
    panels = baseline_panels(
        comparison,
        label,
        SHARE,
        lambda point, name: worst_verdict(section.of(point), name),
        lambda point, name: interval_of_one_run(section.of(point), name, epsilon),
    )
    caption = (
        "Against the worst attack for each input; dashed: the twin trained with alpha=0, at 0 the model itself."
        f" {MARKS_CAPTION}{bars_caption(comparison)}{comparison.left_out_caption()}"
    )
    title = f"{label.capitalize()} against {shorten_value(comparison.x)}"
    return Chart(Defence.figures[1], title, caption, panels, is_shared=True)


def _trade_off(section: ReportSection, comparison: Comparison) -> Chart:
    order = f", in the order of {shorten_value(comparison.x)}, which stands beside points where there is room"
    caption = (
        f"The {section.label} of each configuration against its accuracy without an attack{order * bool(comparison.x)}."
        " Dotted: the front, which no other configuration beats in both accuracies; a masked one beats none. Dashed and"
        " dotted: what configurations with alpha=0 reach with at least such a clean accuracy, on the line between two."
        f" {MARKS_CAPTION}{bars_caption(comparison)}{comparison.left_out_caption()}"
    )
    title, panels = "Accuracy under attack against clean accuracy", trade_off_panels(section, comparison)
    return Chart(Defence.figures[2], title, caption, panels, is_shared=True)
