"""The text of the report on evaluations: the table of a section, its sentence in the summary, and warnings."""

from __future__ import annotations

import math
import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from satae.config.messages import count_words, join_words
from satae.evaluation.report_section import (
    VERDICTS,
    PartSummary,
    ReportedEvaluations,
    ReportSection,
    interval_over_seeds,
)
from satae.sweeps.series import Point, spread_evenly
from satae.sweeps.table import (
    ALL_RUNS,
    NOTHING,
    TextTable,
    format_configuration,
    format_number,
    format_statistics,
    shorten_value,
    table_keys,
    table_values,
)

MOST_VALUES: Final = 12  # columns of a table
REMARK_WIDTH: Final = 18  # letters of a line in a cell
MOST_SENTENCES: Final = 3  # configurations in the summary
MOST_IN_SENTENCE: Final = 3  # values of each
SHARED_SETTINGS: Final = ("best", "split", "seed")  # settings that should be the same in all sections


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

    def cell(point: Point, title: str) -> str:
        if title == part.remark_title:
            lines = part.remark(section.of(point)).splitlines()
            return "\n".join(line for text in lines for line in textwrap.wrap(text, REMARK_WIDTH)) or NOTHING
        return "\n".join(_value_lines(section, point, title))

    def rows() -> Iterator[list[str]]:
        for group in section.groups:
            point = Point.of_group(math.nan, group)
            found = section.of(point)
            key_cells = table_values(group, keys) or [ALL_RUNS]
            yield [*key_cells, str(len(found)), _inputs(found, names), *(cell(point, title) for title in titles)]

    head = [*(keys or ["configuration"]), "n", "inputs", *titles]
    table = TextTable.from_rows(f"{section.title}, evaluated", head, rows(), len(head) - max(1, len(keys)))
    return table._replace(files="evaluation.csv", caption=section.label)


def _value_names(section: ReportSection) -> list[str]:
    """The names of the numbers that are known of any run."""
    known = {name for summary in section.summaries.values() for name in summary.inputs}
    names = dict.fromkeys(name for group in section.groups for run in group.runs for name in run.metrics)
    return [name for name in names if name in known][:MOST_VALUES]


def _value(section: ReportSection, point: Point, name: str) -> str:
    """A number over the seeds; without a deviation if it does not depend on the seed."""
    found = point.statistics(name)
    return format_number(found.mean) if name in section.part.seedless else format_statistics(found)


def _value_lines(section: ReportSection, point: Point, name: str) -> Iterator[str]:
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


def section_sentence(section: ReportSection) -> tuple[str, str]:
    """The title of a section with what its numbers are, and the numbers of some configurations."""
    some = spread_evenly([Point.of_group(math.nan, group) for group in section.groups], MOST_SENTENCES)
    sentences = [
        f"{format_configuration(point.values)}: " * bool(point.values) + ", ".join(_known_values(section, point))
        for point in some
    ]
    more = f"; {left} more in its table" if (left := len(section.groups) - len(some)) else ""
    title = f"{section.title}, {section.label}" if section.label else section.title
    return title, f"{'; '.join(sentences)}{more}."


def _known_values(section: ReportSection, point: Point) -> Iterator[str]:
    names = [name for name in _value_names(section) if name not in section.part.seedless]
    for name in names[:MOST_IN_SENTENCE]:
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
        yield f"{runs}: what was found of earlier weights is in no mean and no figure; satae-eval measures it again."
    for key in SHARED_SETTINGS:
        values: dict[str, list[str]] = {}
        for section in evaluations.sections:
            if key in section.settings:
                values.setdefault(section.settings[key], []).append(section.name)
        if len(values) > 1:
            each = (f"{key}={shorten_value(value)} of {join_words(names, 'and')}" for value, names in values.items())
            yield f"The parts of the evaluation differ: {'; '.join(each)}."
    for section in evaluations.sections:
        yield from section.part.warnings(section)
