"""How the report shows sections: their tables, sentences and warnings, and what the charts of the parts share."""

from __future__ import annotations

import math
import textwrap
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from statistics import fmean
from typing import Any, Final, NamedTuple

from satae.evaluation.part import BASELINE, OWN
from satae.evaluation.reported_evaluations import (
    HOLDS,
    INCONCLUSIVE,
    MASKED,
    VERDICTS,
    PartSummary,
    ReportedEvaluations,
    ReportSection,
    interval_over_seeds,
)
from satae.messages import count_words, join_words
from satae.plots.charts import Curve, ErrorBars, Panel
from satae.plots.style import COLORS, DASHES
from satae.sweeps.aggregate import CONFIDENCE, ENOUGH_SEEDS, SeedGroup, SeedStatistics, holm
from satae.sweeps.series import ALPHA, ANY_VALUE, Comparison, Series, error_bars, series_labels, spread_evenly
from satae.sweeps.text import (
    NOTHING,
    TextTable,
    distinct_labels,
    format_change,
    format_configuration,
    format_number,
    format_statistics,
    shorten_value,
    table_keys,
    table_values,
)

MAX_CHART_PANELS: Final = 6
MODEL_TITLES: Final = ("model", "twin, alpha=0")  # in legends
MAX_PLACES: Final = 100  # on a curve
VERDICT_MARKS: Final[dict[str, dict[str, Any]]] = {
    HOLDS: {"marker": "o", "marker_size": 6},
    INCONCLUSIVE: {"marker": "D", "marker_size": 6, "is_hollow": True},
    MASKED: {"marker": "X", "marker_size": 9},
}
MAX_VALUES: Final = 12  # columns of a table
REMARK_WIDTH: Final = 28  # letters of a line in a cell: both parts of a verdict fit
MAX_SENTENCES: Final = 3  # configurations in the summary, with alpha=0 and without
MAX_COMPARISONS: Final = 8  # with a baseline, in the summary of a section
MAX_IN_SENTENCE: Final = 3  # values of each
TOO_FEW_SEEDS: Final = "too few seeds"


# Text


def section_tables(section: ReportSection, axes: Sequence[str]) -> Iterator[TextTable]:
    """All tables of a section; none of them is empty.

    Args:
        section: section of the report.
        axes: options in which the configurations differ.
    """
    every = section_table(section, axes), differences_table(section, axes), *section.part.tables(section, axes)
    yield from (table for table in every if table.rows)


def section_table(section: ReportSection, axes: Sequence[str]) -> TextTable:
    """One row for each configuration; an estimate has its interval below it, an accuracy under attack its verdict.

    Args:
        section: section of the report.
        axes: options in which the configurations differ.
    """
    keys, titles = table_keys(axes), _value_names(section)
    names, part = list(titles), section.part
    if part.remark_title and part.remark_after in titles:
        titles.insert(1 + titles.index(part.remark_after), part.remark_title)

    def cell(point: SeedGroup, title: str) -> str:
        if title == part.remark_title:
            lines = part.remark(section.of(point)).splitlines()
            return "\n".join(line for text in lines for line in textwrap.wrap(text, REMARK_WIDTH)) or NOTHING
        return "\n".join(value_lines(section, point, title))

    def rows() -> Iterator[list[str]]:
        for point in section.groups:
            found = section.of(point)
            key_cells = table_values(point, keys)
            yield [*key_cells, str(len(found)), _inputs(found, names), *(cell(point, title) for title in titles)]

    head = [*(keys or ["configuration"]), "n", "inputs", *titles]
    table = TextTable.from_rows(f"{section.title}, evaluated", head, rows(), len(head) - max(1, len(keys)))
    return table._replace(files="evaluation.csv", caption=section.label, words=part.remark_title)


def _value_names(section: ReportSection) -> list[str]:
    """The names of the numbers that are known of any run."""
    known = {name for summary in section.summaries.values() for name in summary.inputs}
    names = dict.fromkeys(name for group in section.groups for run in group.runs for name in run.metrics)
    return [name for name in names if name in known][:MAX_VALUES]


def _value(section: ReportSection, point: SeedGroup, name: str) -> str:
    """A number over the seeds."""
    found = point.statistics(name)
    text = format_statistics(found)
    return f"{text}{point.coverage(name)}" if found.n else text  # no run has it, such as the twin's without a penalty


def value_lines(section: ReportSection, point: SeedGroup, name: str) -> Iterator[str]:
    """A number over the seeds, its interval over other draws of the inputs, and its verdicts, as far as they exist."""
    summaries = section.of(point)
    yield _value(section, point, name)
    if ends := interval_over_seeds(summaries, name):
        yield f"[{', '.join(map(format_number, ends))}]"
    if verdicts := count_verdicts(summaries, name):
        yield f"({verdicts})"


def _inputs(summaries: Sequence[PartSummary], names: Sequence[str]) -> str:
    """How many inputs are behind the numbers; first the usual count, then the numbers with other counts."""
    counts: dict[str, list[str]] = {}
    for name in names:
        behind = sorted({each.inputs[name] for each in summaries if name in each.inputs})
        if behind:
            ends = dict.fromkeys(f"{number:,}" for number in (behind[0], behind[-1]))
            counts.setdefault(" to ".join(ends), []).append(name)
    usual, *others = sorted(counts, key=lambda count: -len(counts[count])) or [NOTHING]
    return "\n".join([usual, *(f"{', '.join(counts[count])}: {count}" for count in others)])


def section_summary(section: ReportSection) -> tuple[str, list[str]]:
    """The title of a section with what its numbers are, and sentences about it.

    Numbers of models and their baselines are compared: a sentence for each configuration and number.
    Other numbers are listed for some configurations.
    """
    title = f"{section.title}, {section.label}" if section.label else section.title
    return title, [*(_comparisons if section.part.compared else _number_sentences)(section)]


class BaselineComparison(NamedTuple):
    """A number of a model beside that of its baseline trained with alpha=0, seed by seed."""

    point: SeedGroup
    what: str
    own: str  # name of the number of the model
    baseline: str  # name of that of its baseline
    difference: SeedStatistics
    p_value: float = math.nan  # corrected for all comparisons of the section; nan for too few seeds

    @property
    def word(self) -> str:
        """Whether the model has more or less than its baseline, if the seeds settle it."""
        if self.difference.n < ENOUGH_SEEDS:
            return TOO_FEW_SEEDS
        if self.p_value >= 1 - CONFIDENCE:
            return "not settled"
        return "more" if self.difference.mean > 0 else "less"


def compare_with_baselines(section: ReportSection) -> list[BaselineComparison]:
    """All comparisons of a section; those with enough seeds have p-values after Holm's correction."""
    found = [
        BaselineComparison(point, what, own, baseline, difference)
        for point in section.groups
        for what, (own, baseline) in section.part.compared.items()
        if (difference := point.difference(own, baseline)).n
    ]
    corrected = iter(holm([one.difference.p_value for one in found if one.difference.n >= ENOUGH_SEEDS]))
    return [one._replace(p_value=next(corrected)) if one.difference.n >= ENOUGH_SEEDS else one for one in found]


def differences_table(section: ReportSection, axes: Sequence[str]) -> TextTable:
    """One row for each model and number that has a baseline: the difference seed by seed, and whether it is settled.

    Args:
        section: section of the report.
        axes: options in which the configurations differ.
    """
    found, keys, several = compare_with_baselines(section), table_keys(axes), len(section.part.compared) > 1
    tests = sum(not math.isnan(one.p_value) for one in found)

    def rows() -> Iterator[list[str]]:
        for one in found:
            summaries, names = section.of(one.point), (one.own, one.baseline)
            ends = difference_over_inputs(summaries, *names)
            interval = f"\n[{', '.join(map(format_number, ends))}]" if ends else ""
            p_values = (math.nan if math.isnan(one.p_value) else one.difference.p_value), one.p_value
            yield [
                *table_values(one.point, keys),
                *([one.what] if several else []),
                str(one.difference.n),
                _inputs(summaries, names),
                f"{format_change(one.difference)}{interval}",
                *(format_number(p_value, 2) for p_value in p_values),
                one.word,
            ]

    columns = ["n", "inputs", "difference", "p", "p, corrected", f"{OWN} has"]
    head = [*(keys or ["configuration"]), *(["number"] if several else []), *columns]
    table = TextTable.from_rows(f"{section.title}, against the {BASELINE}", head, rows(), len(columns))
    label = f"{section.label}: " if section.label else ""
    how = (
        f"p of Student's paired test, corrected by Holm's method for {count_words(tests, 'comparison')}"
        if tests
        else f"fewer than {ENOUGH_SEEDS} seeds are too few for a test"
    )
    caption = f"{label}difference to the {BASELINE} trained with alpha=0, seed by seed; {how}"
    return table._replace(files="evaluation.csv", caption=caption)


def difference_over_inputs(summaries: Sequence[PartSummary], own: str, baseline: str) -> tuple[float, float] | None:
    """The interval of a difference over other draws of the inputs; for several seeds, the mean of the ends.

        d - sqrt((a - a_low)^2 + (b_high - b)^2)  to  d + sqrt((a_high - a)^2 + (b - b_low)^2),  d = a - b

    Newcombe (1998), Statistics in Medicine 17(8), 873-890, method 10, for independent inputs. Both models get the
    same ones, so the interval is rather too wide. None unless both numbers have intervals for all seeds.
    """
    known = [one for one in summaries if math.isfinite(one.value(own) - one.value(baseline))]
    ends = [
        (
            (a := one.value(own)) - (b := one.value(baseline)) - math.hypot(a - of_own[0], of_baseline[1] - b),
            a - b + math.hypot(of_own[1] - a, b - of_baseline[0]),
        )
        for one in known
        if (of_own := one.interval(own)) and (of_baseline := one.interval(baseline))
    ]
    if not ends or len(ends) < len(known):
        return None
    return fmean(low for low, _ in ends), fmean(high for _, high in ends)


def _comparisons(section: ReportSection) -> Iterator[str]:
    """For each configuration and number: whether the model has more or less than its baseline trained with alpha=0."""
    found = compare_with_baselines(section)
    if not found:
        yield f"No run has a {BASELINE} trained with alpha=0 to compare with; the numbers are in the table."
    for one in found[:MAX_COMPARISONS]:
        point, difference = one.point, one.difference
        means = [format_statistics(point.statistics(name)) for name in (one.own, one.baseline)]
        seeds = count_words(difference.n, "seed")
        interval = "95 % interval, " if difference.n > 2 else ""
        numbers = (
            f"{means[0]} against {means[1]} of the {BASELINE} trained with alpha=0, difference"
            f" {format_change(difference)} ({interval}{seeds})"
        )
        name = f"{format_configuration(point.values)}: " if point.values else ""
        subject = f"{one.what}: " if len(section.part.compared) > 1 else ""
        doubts = _doubts(section.of(point), (one.own, one.baseline))
        yield f"{name}{subject}{one.word}; {numbers}{doubts}."
    if len(found) > MAX_COMPARISONS:
        yield f"{len(found) - MAX_COMPARISONS} more comparisons: see its table and figures."


def _doubts(summaries: Sequence[PartSummary], names: Sequence[str]) -> str:
    """The verdicts that speak against numbers, as the end of a sentence; empty if all hold."""
    doubts, of = list[str](), f" of {len(summaries)} runs" if len(summaries) > 1 else ""
    for name in names:
        counts = Counter(each.verdicts.get(name) for each in summaries)
        words = {verdict: f"{verdict} in {counts[verdict]}" if of else verdict for verdict in (MASKED, INCONCLUSIVE)}
        found = [text for verdict, text in words.items() if counts[verdict]]
        if found:
            doubts.append(f"{name} is {' and '.join(found)}{of}")
    if not doubts:
        return ""
    is_masked = any(each.verdicts.get(name) == MASKED for each in summaries for name in names)
    return f"; but {', and '.join(doubts)}, so this {'may be an illusion' if is_masked else 'is not confirmed'}"


def _number_sentences(section: ReportSection) -> Iterator[str]:
    """The numbers of some configurations, and of some with alpha=0, to compare them with."""
    without_penalty = [point for point in section.groups if point.values.get(ALPHA) == 0]
    others = [point for point in section.groups if point.values.get(ALPHA) != 0]
    chosen = {id(point) for points in (without_penalty, others) for point in spread_evenly(points, MAX_SENTENCES)}
    some = [point for point in section.groups if id(point) in chosen]
    for point in some:
        name = f"{format_configuration(point.values)}: " if point.values else ""
        yield f"{name}{', '.join(_known_values(section, point))}."
    if left := len(section.groups) - len(some):
        yield f"{left} more in its table."


def _known_values(section: ReportSection, point: SeedGroup) -> Iterator[str]:
    names = _value_names(section)
    for name in names[:MAX_IN_SENTENCE]:
        if point.statistics(name).n:
            verdicts = count_verdicts(section.of(point), name)
            yield f"{name} {_value(section, point, name)}{f' ({verdicts})' if verdicts else ''}"


def count_verdicts(summaries: Iterable[PartSummary], name: str) -> str:
    """How often each verdict was reached: ``masked 1, holds 2``; for one run the word alone."""
    found = Counter(summary.verdicts[name] for summary in summaries if name in summary.verdicts)
    counts = [f"{verdict}\N{NO-BREAK SPACE}{found[verdict]}" for verdict in VERDICTS if found[verdict]]
    return ", ".join(counts) if found.total() > 1 else "".join(found)


def warnings(evaluations: ReportedEvaluations) -> Iterator[str]:
    """What a reader must know before relying on the evaluations."""
    stale = [[part for part, each in parts.items() if each.is_stale] for parts in evaluations.runs.values()]
    if some := [parts for parts in stale if parts]:
        names = join_words(dict.fromkeys(part for parts in some for part in parts), "and")
        runs = f"{count_words(len(some), 'run was', 'runs were')} trained further after {names} had been measured"
        yield f"{runs}. The results of the earlier weights are only in evaluation.csv; run satae-eval again."
    for key in ("best", "ema", "split", "seed"):  # settings that should be the same in all sections
        values: dict[str, list[str]] = {}
        for section in evaluations.sections:
            settings = {"ema": "false", **section.settings} if section.settings else {}  # it is stored if true
            if key in settings:
                values.setdefault(settings[key], []).append(section.name)
        if len(values) > 1:
            each = (f"{key}={shorten_value(value)} of {join_words(names, 'and')}" for value, names in values.items())
            yield f"The parts of the evaluation differ: {'; '.join(each)}."
    for section in evaluations.sections:
        yield from section.part.warnings(section)


# Charts


def curve_over_seeds(summaries: Sequence[PartSummary], name: str) -> list[tuple[float, SeedStatistics]]:
    """The statistics over the seeds at each place of a curve."""
    curves = [summary.curves.get(name, {}) for summary in summaries]
    places = sorted({place for curve in curves for place in curve if math.isfinite(place)})
    statistics = [
        (place, SeedStatistics.from_values(curve.get(place, math.nan) for curve in curves)) for place in places
    ]
    return spread_evenly([(place, one) for place, one in statistics if one.n], MAX_PLACES)


def mean_curve(
    found: Sequence[tuple[float, SeedStatistics]],
    possible: tuple[float, float] = ANY_VALUE,
    ends: Sequence[tuple[float, float] | None] = (),
    **style: Any,
) -> Curve:
    """A curve of means with their error bars.

    Args:
        found: the statistics by place.
        possible: the values that the numbers can have.
        ends: of the bar at each place, where it is not an interval over the seeds.
        style: other fields of the curve.
    """
    statistics = [one for _, one in found]
    bars = bar_lengths(statistics, possible, ends)
    return Curve([x for x, _ in found], [one.mean for one in statistics], y_bars=bars, **style)


def bar_lengths(
    statistics: Sequence[SeedStatistics],
    possible: tuple[float, float] = ANY_VALUE,
    ends: Sequence[tuple[float, float] | None] = (),
) -> ErrorBars:
    """The lengths of error bars over the seeds, or to the given ends; the arguments are those of ``mean_curve``."""
    down, up = error_bars(statistics, possible)
    for place, end in enumerate(ends):
        if end is not None:
            mean = statistics[place].mean
            down[place], up[place] = max(0.0, mean - end[0]), max(0.0, end[1] - mean)
    return down, up


def verdict_marks(marked: Iterable[tuple[float, float, str]], color: str) -> Iterator[Curve]:
    """A mark for each point, by its verdict."""
    points = [*marked]
    for verdict, mark in VERDICT_MARKS.items():
        if some := [(x, y) for x, y, of in points if of == verdict]:
            yield Curve([x for x, _ in some], [y for _, y in some], color=color, dash="none", **mark)


def verdict_legend() -> list[Curve]:
    """Entries of the legend that explain the marks."""
    return [Curve([], [], f"verdict: {verdict}", dash="none", **mark) for verdict, mark in VERDICT_MARKS.items()]


def interval_of_one_run(
    summaries: Sequence[PartSummary], name: str, place: float | None = None
) -> tuple[float, float] | None:
    """The interval over the inputs; None for several runs, whose bars are over the seeds."""
    return interval_over_seeds(summaries, name, place) if len(summaries) == 1 else None


def bars_caption(comparison: Comparison) -> str:
    """The sentence about bars: over the seeds, but over the inputs for one run."""
    seeds = {len(point.finished_runs) for point in comparison.points}
    if max(seeds) == 1:
        return " Bars: 95 % intervals over other draws of the inputs."
    more = " Those of one run are over other draws of the inputs." if 1 in seeds else ""
    return f"{comparison.bars_caption()}{more}"


def baseline_panels(
    comparison: Comparison,
    y_label: str,
    possible: tuple[float, float],
    verdict: Callable[[SeedGroup, str], str] | None = None,
    ends: Callable[[SeedGroup, str], tuple[float, float] | None] | None = None,
    names: tuple[str, str] = (OWN, BASELINE),
) -> list[Panel]:
    """Models beside their baselines, trained with alpha=0: a color for each series, a dash for each model.

    Args:
        comparison: what is drawn.
        y_label: of the vertical axis.
        possible: the values that the numbers can have, from 0; the axis shows all, or starts at 0.
        verdict: gives the verdict on a model at a point.
        ends: gives the ends of a bar that is not an interval over the seeds.
        names: of the number of the model, and of its baseline.
    """
    dashes = {OWN: DASHES[0], BASELINE: DASHES[1]}
    models = [Curve([], [], model, dash=dash) for model, dash in zip(MODEL_TITLES, dashes.values(), strict=True)]
    ticks = [point.x for point in comparison.points]
    titles = distinct_labels((panel.title for panel in comparison.panels), 60)
    panels = []
    for panel in comparison.panels:
        curves, marks = list[Curve](), list[Curve]()
        labels = series_labels(panel.series)
        for color, series, name in zip(COLORS, panel.series, labels, strict=False):
            for (model, dash), of_model in zip(dashes.items(), names, strict=True):
                known = [*_known_points(comparison.x, series, of_model, names[0])]
                statistics = [(point.x, point.statistics(of)) for point, of in known]
                is_named = len(comparison.series) > 1 and model == OWN
                label = name if is_named else ""
                bars = [ends(point, of) for point, of in known] if ends else []
                curves.append(mean_curve(statistics, possible, bars, color=color, dash=dash, label=label))
                verdicts = [verdict(point, of) if verdict else HOLDS for point, of in known]
                marked = [(x, one.mean, how) for (x, one), how in zip(statistics, verdicts, strict=True)]
                marks += verdict_marks(marked, color)
        curves += [*marks, *models, *(verdict_legend() if verdict else [])]
        title = titles[panel.title]
        x_label = comparison.x_title
        panels.append(Panel(curves, x_label, y_label, title, ticks, y_possible=possible, shows_all_possible=True))
    return panels


def _known_points(x: str | None, series: Series, name: str, own: str) -> Iterator[tuple[SeedGroup, str]]:
    """The points at which a number is known, with its name; a model trained with alpha=0 is its own baseline."""
    for point in series.points:
        of = own if x == ALPHA and point.x == 0 else name
        if point.statistics(of).n:
            yield point, of
