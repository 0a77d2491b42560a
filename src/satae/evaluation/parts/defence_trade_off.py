"""Accuracy under attack beside accuracy without one: the Pareto front, and what alpha=0 reaches."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from satae.evaluation.part import ALONE, BASELINE, OWN, PIPELINE_TITLES
from satae.evaluation.reported_evaluations import MASKED, ReportSection, worst_verdict
from satae.evaluation.section_display import (
    MODEL_TITLES,
    bar_lengths,
    interval_of_one_run,
    value_lines,
    verdict_legend,
    verdict_marks,
)
from satae.messages import format_value
from satae.plots.charts import Curve, ErrorBars, Panel
from satae.plots.style import COLORS, DASHES, INK
from satae.sweeps.aggregate import SeedGroup
from satae.sweeps.series import ALPHA, SHARE, Comparison, series_labels
from satae.sweeps.text import NOTHING, TextTable, distinct_labels, format_number, table_keys, table_values

CLEAN: Final[Mapping[str, str]] = {  # names of the accuracies without an attack, by model
    OWN: "clean",
    BASELINE: f"{BASELINE}, clean",
    ALONE: f"{ALONE}, clean",
}
NONE_REACHES: Final = "none reaches it"
DECIMAL_PLACES: Final = 9  # of means, beyond which they are equal
CAPTION: Final = (
    "beside the clean one; on the front: no other configuration beats it in both; with alpha=0: what is reached without"
    " the penalty and with at least the same clean accuracy"
)


class Candidate(NamedTuple):
    """The model of a configuration, or its twin if no configuration of the report is like it but for alpha=0."""

    point: SeedGroup
    model: str  # OWN or BASELINE
    clean: float  # accuracy without an attack, mean over the seeds
    robust: float  # accuracy at the radius of the section, mean over the seeds
    is_masked: bool  # for any seed
    has_penalty: bool


def find_candidates(section: ReportSection) -> list[list[Candidate]]:
    """All configurations with both accuracies, and the twins that no configuration equals, in a list for each data set.

    Accuracies on different data cannot be compared.
    """
    known = [point for point in section.groups if point.statistics(OWN).n and point.statistics(CLEAN[OWN]).n]
    plain = {_all_but_alpha(point) for point in known if not _has_penalty(point)}
    twins = dict[str, SeedGroup]()
    for point in sorted(known, key=lambda point: -point.statistics(BASELINE).n):
        if point.statistics(BASELINE).n and _all_but_alpha(point) not in plain:
            twins.setdefault(_all_but_alpha(point), point)
    models = [(point, OWN, _has_penalty(point)) for point in known]
    by_data = dict[str, list[Candidate]]()
    for point, model, has_penalty in [*models, *((point, BASELINE, False) for point in twins.values())]:
        clean, robust = (round(point.statistics(name).mean, DECIMAL_PLACES) for name in (CLEAN[model], model))
        is_masked = worst_verdict(section.of(point), model) == MASKED
        one = Candidate(point, model, clean, robust, is_masked, has_penalty)
        by_data.setdefault(_data(point), []).append(one)
    return [*by_data.values()]


def has_several_configurations(section: ReportSection) -> bool:
    """Whether there is anything to compare: at least two configurations with both accuracies."""
    return sum(one.model == OWN for same_data in find_candidates(section) for one in same_data) > 1


def _has_penalty(point: SeedGroup) -> bool:
    return bool(point.runs[0].choices.get(ALPHA) != 0)


def _all_but_alpha(point: SeedGroup) -> str:
    return format_value({key: value for key, value in point.values.items() if key != ALPHA})


def _data(point: SeedGroup) -> str:
    return format_value({key: value for key, value in point.values.items() if _is_of_data(key)})


def _is_of_data(key: str) -> bool:
    return key.partition(".")[0] == "data"


def pareto_front(candidates: Sequence[Candidate]) -> list[Candidate]:
    """The candidates that no other beats, the most robust one first: none has as much of both, and more of one.

    A masked one beats no other, because its accuracy under attack may be an illusion.
    """
    front, highest = list[Candidate](), -math.inf
    for one in sorted(candidates, key=lambda one: (-one.clean, -one.robust, one.is_masked)):
        is_equal = bool(front) and (one.clean, one.robust) == (front[-1].clean, front[-1].robust)
        if one.robust > highest or is_equal:
            front.append(one)
            highest = highest if one.is_masked else one.robust
    return front[::-1]


def reached_accuracy(front: Sequence[Candidate], clean: float) -> tuple[float, bool]:
    """The accuracy under attack that some models reach with at least this accuracy without one.

    Between two models lies a line: choosing one of the two at random for each input reaches every point on it. Nothing
    is extrapolated.

    Args:
        front: the models that no other beats.
        clean: accuracy without an attack.

    Returns:
        The accuracy, nan if no model has that much without an attack; and whether a masked model is behind it.
    """
    enough, less = ([one for one in front if (one.clean >= clean) == is_enough] for is_enough in (True, False))
    reached = [(one.robust, one.is_masked) for one in enough]
    for a in enough:
        for b in less:
            share = (clean - b.clean) / (a.clean - b.clean)
            reached.append((b.robust + share * (a.robust - b.robust), a.is_masked or b.is_masked))
    return max(reached, key=lambda one: (one[0], not one[1]), default=(math.nan, False))


def _front_without_penalty(candidates: Sequence[Candidate]) -> list[Candidate]:
    return pareto_front([one for one in candidates if not one.has_penalty])


def trade_off_table(section: ReportSection, axes: Sequence[str]) -> TextTable:
    """One row for each configuration, for each twin that no configuration equals, and for the classifier alone.

    Args:
        section: section of the report.
        axes: options in which the configurations differ.
    """
    keys = table_keys(axes)

    def accuracies(point: SeedGroup, model: str) -> list[str]:
        both = ("\n".join(value_lines(section, point, name)) for name in (CLEAN[model], model))
        return [model, str(point.statistics(model).n), *both]

    def rows() -> Iterator[list[str]]:
        for same_data in find_candidates(section):
            front, plain = pareto_front(same_data), _front_without_penalty(same_data)
            for one in same_data:
                reached, is_masked = reached_accuracy(plain, one.clean)
                text = NONE_REACHES if math.isnan(reached) else format_number(reached)
                on_front = "no" if one not in front else MASKED if one.is_masked else "yes"
                with_zero = f"{text}\n({MASKED})" if is_masked else text
                cells = [on_front, with_zero if one.has_penalty else NOTHING]
                yield [*table_values(one.point, keys), *accuracies(one.point, one.model), *cells]
            if alone := _find_alone(same_data):
                values = table_values(alone, keys)
                of_data = [value if _is_of_data(key) else NOTHING for key, value in zip(keys, values, strict=False)]
                yield [*of_data, *accuracies(alone, ALONE), NOTHING, NOTHING]

    columns = ["n", "clean", "under attack", "on the front", "with alpha=0"]
    head = [*(keys or ["configuration"]), "model", *columns]
    table = TextTable.from_rows(f"{section.title}, at equal clean accuracy", head, rows(), len(columns))
    return table._replace(files="evaluation.csv", caption=f"{section.label}, {CAPTION}")


def _find_alone(same_data: Sequence[Candidate]) -> SeedGroup | None:
    """The configuration with the most runs that tell of the classifier alone."""
    most = max((one.point for one in same_data), key=lambda point: point.statistics(ALONE).n)
    return most if most.statistics(ALONE).n and most.statistics(CLEAN[ALONE]).n else None


def trade_off_panels(section: ReportSection, comparison: Comparison) -> list[Panel]:
    """The accuracies of all configurations and of the classifier alone, the front, and what alpha=0 reaches.

    Args:
        section: section of the report.
        comparison: the series to draw.
    """
    found, titles = find_candidates(section), distinct_labels((panel.title for panel in comparison.panels), 60)
    drawn = {(format_value(one.point.values), one.model) for same_data in found for one in same_data}

    def add(points: Sequence[SeedGroup], model: str, **style: Any) -> None:
        """A curve with bars of both accuracies, and the marks of the verdicts, which lie above all curves."""
        (x, x_bars), (y, y_bars) = (_means_and_bars(section, points, name) for name in (CLEAN[model], model))
        curves.append(Curve(x, y, y_bars=y_bars, x_bars=x_bars, **style))
        verdicts = [worst_verdict(section.of(point), model) for point in points]
        marks.extend(verdict_marks(zip(x, y, verdicts, strict=True), style["color"]))

    panels = []
    for panel in comparison.panels:
        curves, marks = list[Curve](), list[Curve]()
        data = {_data(point) for series in panel.series for point in series.points}
        for same_data in (some for some in found if _data(some[0].point) in data):
            if alone := _find_alone(same_data):
                add([alone], ALONE, color=INK, dash="none")
                place = curves[-1].x, curves[-1].y
                curves.append(Curve(*place, PIPELINE_TITLES[ALONE], INK, "none", "s", 11, is_hollow=True))
            curves += _lines(same_data)
        labels = series_labels(panel.series) if len(comparison.series) > 1 else [""]
        for color, series, label in zip(COLORS, panel.series, labels, strict=False):
            for model, dash in zip((OWN, BASELINE), DASHES, strict=False):
                points = [point for point in series.points if (format_value(point.values), model) in drawn]
                if points:
                    texts = [f"{0 if model == BASELINE and comparison.x == ALPHA else point.x:g}" for point in points]
                    style: Any = {"dash": dash, "texts": texts} if comparison.x else {"dash": "none"}
                    add(points, model, label=label if model == OWN else "", color=color, **style)
        if any(model == BASELINE for _, model in drawn):
            curves += [Curve([], [], title, dash=dash) for title, dash in zip(MODEL_TITLES, DASHES, strict=False)]
        labels_of_axes = "accuracy without an attack", section.label
        every = [*curves, *marks, *verdict_legend()]
        panels.append(Panel(every, *labels_of_axes, titles[panel.title], x_possible=SHARE, y_possible=SHARE))
    return panels


def _means_and_bars(section: ReportSection, points: Sequence[SeedGroup], name: str) -> tuple[list[float], ErrorBars]:
    statistics = [point.statistics(name) for point in points]
    ends = [interval_of_one_run(section.of(point), name) for point in points]
    return [one.mean for one in statistics], bar_lengths(statistics, SHARE, ends)


def _lines(candidates: Sequence[Candidate]) -> Iterator[Curve]:
    """The steps below the front of what is not masked, and what alpha=0 reaches."""
    least = min(one.clean for one in candidates), min(one.robust for one in candidates)
    steps = [(one.clean, one.robust) for one in pareto_front(candidates) if not one.is_masked]
    if steps:
        x = [least[0], *(x for x, _ in steps for _ in range(2))]
        y = [*(y for _, y in steps for _ in range(2)), least[1]]
        yield Curve(x, y, "the front", INK, ":")
    if plain := _front_without_penalty(candidates):
        x = [least[0], *(one.clean for one in plain)]
        yield Curve(x, [reached_accuracy(plain, clean)[0] for clean in x], "reached with alpha=0", INK, "-.")
