"""What the report says of evaluations: read from run directories, summarized, and grouped by configuration.

Each part is a section. A section takes only finished runs that were measured with the settings of most runs.
"""

from __future__ import annotations

import functools
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean
from typing import Final, NamedTuple

from satae.config.registry import EVALUATION_PARTS, conf_values
from satae.config.schema import flatten
from satae.evaluation.part import EvaluationPart
from satae.evaluation.result import NOT_TYPED, StoredResult, as_typed, read_result
from satae.messages import clean_text, count_words, join_words, reason
from satae.plots.charts import Chart
from satae.runs.layout import EVALUATION_FOLDER
from satae.sweeps.aggregate import SeedGroup
from satae.sweeps.results import RunResult, parse_time
from satae.sweeps.series import compare
from satae.sweeps.text import shorten_value

BRACKETS: Final = (
    "95 % interval over other draws of the inputs; for several seeds, the mean of their lower and of their upper ends"
)
MASKED, INCONCLUSIVE, HOLDS = VERDICTS = ("masked", "inconclusive", "holds")  # the worst first
PASSED: Final = "passed"
MAX_REFUSED: Final = 20  # results that a note names one by one
MAX_SETTINGS: Final = 4  # settings that a note names one by one


@dataclass
class PartSummary:
    """What the report says of one part of one run."""

    settings: dict[str, str]
    weights: str  # SHA-256
    measured: float | None  # time in seconds
    pictures: list[str]  # file names
    notes: Sequence[str]
    label: str = ""  # says what the numbers are, if their names do not
    radius: float | None = None  # of the attacks behind the numbers
    numbers: dict[str, float] = field(default_factory=dict)
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)  # over other draws of the inputs
    inputs: dict[str, int] = field(default_factory=dict)  # behind each number
    curves: dict[str, dict[float, float]] = field(default_factory=dict)  # numbers by place
    curve_intervals: dict[str, dict[float, tuple[float, float]]] = field(default_factory=dict)
    verdicts: dict[str, str] = field(default_factory=dict)  # by number
    noise_seen: dict[str, str] = field(default_factory=dict)  # by kind of noise
    axes: str = ""  # of the verdict on the model itself: on its gradients and on the level
    open_checks: dict[int, str] = field(default_factory=dict)  # outcomes of the checks that were not passed
    is_stale: bool = False  # whether the run has other weights now

    @classmethod
    def of(cls, stored: StoredResult, label: str = "") -> PartSummary:
        """A summary without numbers."""
        return cls(stored.settings, stored.weights, stored.measured, stored.pictures, stored.result.notes, label)

    def add(self, name: str, value: float, inputs: int, interval: tuple[float, float] | None = None) -> None:
        """Add a number, with its interval if it is an estimate."""
        self.numbers[name], self.inputs[name] = value, inputs
        if interval is not None:
            self.intervals[name] = interval

    def value(self, name: str, place: float | None = None) -> float:
        """A number, or the value of a curve at a place; nan if it is unknown."""
        return self.numbers.get(name, math.nan) if place is None else self.curves.get(name, {}).get(place, math.nan)

    def interval(self, name: str, place: float | None = None) -> tuple[float, float] | None:
        """The interval of a number, or of a curve at a place; None if it is unknown."""
        known = self.intervals.get(name) if place is None else self.curve_intervals.get(name, {}).get(place)
        low, high = known or (math.nan, math.nan)
        return (low, high) if low <= high else None

    @property
    def is_empty(self) -> bool:
        """Whether nothing was measured; the notes say why."""
        return not self.numbers and not self.curves


class ReportSection(NamedTuple):
    """One part of the evaluations of runs that were measured alike."""

    name: str
    part: type[EvaluationPart]
    groups: list[SeedGroup]  # the metrics of their runs are the numbers of the summaries
    summaries: dict[Path, PartSummary]  # by directory
    settings: dict[str, str]
    notes: list[str]

    @property
    def title(self) -> str:
        """The name with a capital letter."""
        return self.name.capitalize()

    @property
    def label(self) -> str:
        """What the numbers are; empty if their names say it."""
        return next((found.label for found in self.summaries.values() if found.label), "")

    @property
    def radius(self) -> float | None:
        """Radius of the attacks behind the numbers; None for parts without attacks."""
        return next((found.radius for found in self.summaries.values()), None)

    def charts(self, axes: Sequence[str]) -> Iterator[Chart]:
        """The charts of the section; none if no run counts.

        Args:
            axes: options in which the configurations differ.
        """
        comparison = compare(self.groups, axes)
        if any(point.finished_runs for point in comparison.points):
            yield from self.part.charts(self, comparison)

    def of(self, point: SeedGroup) -> list[PartSummary]:
        """The summaries of the runs of a configuration, one for each seed."""
        return [self.summaries[run.directory] for run in point.finished_runs]


class ReportedEvaluations(NamedTuple):
    """All evaluations of some runs."""

    sections: list[ReportSection]
    runs: dict[Path, dict[str, PartSummary]]  # everything that was read, by directory and part
    columns: list[str]  # of all tables
    notes: list[str]

    def count_measured(self, part: str) -> int:
        """The number of runs of which a part measured something."""
        return sum(part in parts and not parts[part].is_empty for parts in self.runs.values())

    def counts(self, directory: Path, part: str) -> bool:
        """Whether the result of a run is in the means."""
        return any(directory in section.summaries for section in self.sections if section.name == part)


def interval_over_seeds(
    summaries: Sequence[PartSummary], name: str, place: float | None = None
) -> tuple[float, float] | None:
    """The interval over other draws of the inputs, for several seeds the mean of the ends; None unless all have one.

    Args:
        summaries: of the seeds; those without the number are skipped.
        name: of a number, or of a curve.
        place: on the curve.
    """
    known = [summary for summary in summaries if math.isfinite(summary.value(name, place))]
    ends = [interval for summary in known if (interval := summary.interval(name, place))]
    if not ends or len(ends) < len(known):
        return None
    return fmean(low for low, _ in ends), fmean(high for _, high in ends)


def worst_verdict(summaries: Iterable[PartSummary], name: str) -> str:
    """The worst verdict of some runs; inconclusive if no run has a verdict."""
    found = {summary.verdicts[name] for summary in summaries if name in summary.verdicts}
    return next((verdict for verdict in VERDICTS if verdict in found), INCONCLUSIVE)


# Reading


def part_classes() -> dict[str, type[EvaluationPart]]:
    """The class of each part, by name."""
    return {name: EVALUATION_PARTS[name].build for name in EVALUATION_PARTS.names()}  # type: ignore[misc]


def figure_names() -> list[str]:
    """The names of all figures that the parts can draw."""
    return [name for part in part_classes().values() for name in part.figures]


def read_evaluations(
    runs: Sequence[RunResult], groups: Sequence[SeedGroup], name_of: Callable[[RunResult], str]
) -> ReportedEvaluations:
    """Read the evaluations of all runs. What cannot be read is left out, with a note.

    Args:
        runs: all runs.
        groups: the same runs by configuration.
        name_of: gives the name of a run in the report.
    """
    found, refused, columns = dict[Path, dict[str, PartSummary]](), list[str](), dict[str, None]()
    parts = part_classes()
    for run in runs:
        folder = run.directory / EVALUATION_FOLDER
        if not folder.is_dir():
            continue
        for name, part in parts.items():
            try:
                if stored := read_result(folder, name):
                    found.setdefault(run.directory, {})[name] = part.summarize(stored)
                    columns |= dict.fromkeys(column for table in stored.result.tables for column in table.columns)
            except KeyError as error:
                why = f"it lacks {clean_text(error.args[0])}"
            except (OSError, ValueError) as error:
                why = reason(error)
            else:
                continue
            refused.append(f"{EVALUATION_FOLDER}/{name}.json of {name_of(run)} is left out: {why}.")
        others = sorted(path.stem for path in folder.glob("*.json") if path.stem not in parts)
        why = "there is no part of this name; a plugin's needs plugins=... here, too"
        refused += [
            f"{EVALUATION_FOLDER}/{clean_text(name)}.json of {name_of(run)} is left out: {why}." for name in others
        ]
        if run.directory in found:
            found[run.directory] = mark_stale(run, found[run.directory])
    of_parts = {name: {at: each[name] for at, each in found.items() if name in each} for name in parts}
    sections = [_section(name, part, of_parts[name], groups) for name, part in parts.items()]
    more = [f"{len(refused) - MAX_REFUSED} further ones are left out."] if len(refused) > MAX_REFUSED else []
    notes = [*refused[:MAX_REFUSED], *more]
    shown = [section for section in sections if section.summaries or section.notes]
    return ReportedEvaluations(shown, found, [*columns], notes)


def mark_stale(run: RunResult, summaries: Mapping[str, PartSummary]) -> dict[str, PartSummary]:
    """Mark the parts of a run that were measured on earlier weights, without reading the weights.

    A part is stale if it was measured before the run ended, or has other weights than the part that was measured
    last. Parts of the best weights, and of averaged ones, are compared only with their like.

    Args:
        run: the run.
        summaries: its parts.
    """

    def when(summary: PartSummary) -> float:
        return math.inf if summary.measured is None else summary.measured

    ended = parse_time(str(run.record.get("ended", "")))
    last = {_kind_of_weights(each): each for each in sorted(summaries.values(), key=when)}

    def is_stale(summary: PartSummary) -> bool:
        # evaluations store whole seconds
        before_end = ended is not None and summary.settings.get("best") == "false" and when(summary) + 1 <= ended
        return before_end or summary.weights != last[_kind_of_weights(summary)].weights

    return {part: replace(summary, is_stale=is_stale(summary)) for part, summary in summaries.items()}


def _section(
    name: str, part: type[EvaluationPart], found: Mapping[Path, PartSummary], groups: Sequence[SeedGroup]
) -> ReportSection:
    finished = {run.directory for group in groups for run in group.runs if run.is_finished}
    valid = {at: each for at, each in found.items() if at in finished and not (each.is_empty or each.is_stale)}
    usual = _usual_settings(valid.values())
    alike = part.align({at: each for at, each in valid.items() if each.settings == usual})
    measured = [
        replace(
            group,
            runs=[run._replace(metrics=alike[run.directory].numbers) for run in group.runs if run.directory in alike],
        )
        for group in groups
    ]
    notes = [*_left_out(found, finished), *_measured_otherwise(usual, valid)]
    return ReportSection(name, part, [group for group in measured if group.runs], alike, usual, notes)


def _kind_of_weights(summary: PartSummary) -> tuple[str | None, str | None]:
    """Whether a part was measured on the best weights, and whether on averaged ones."""
    return summary.settings.get("best"), summary.settings.get("ema")


def changed_settings(settings: Mapping[str, str]) -> dict[str, str]:
    """The settings that differ from the defaults."""
    return {key: value for key, value in settings.items() if value != _default_settings().get(key, value)}


@functools.cache
def _default_settings() -> dict[str, str]:
    parts = {name: EVALUATION_PARTS.defaults(name) for name in EVALUATION_PARTS.names()}
    return {key: as_typed(value) for key, value in flatten({**parts, **conf_values("eval.yaml")}).items()}


def _usual_settings(summaries: Iterable[PartSummary]) -> dict[str, str]:
    """The settings of most runs; on a tie those with fewer changes, and then those with more inputs."""
    alike: dict[tuple[tuple[str, str], ...], list[PartSummary]] = {}
    for each in summaries:
        alike.setdefault(tuple(sorted(each.settings.items())), []).append(each)

    def rank(some: Sequence[PartSummary]) -> tuple[int, int, int]:
        return len(some), -len(changed_settings(some[0].settings)), max(some[0].inputs.values(), default=0)

    return max(alike.values(), key=rank)[0].settings if alike else {}


def _left_out(found: Mapping[Path, PartSummary], finished: set[Path]) -> Iterator[str]:
    """Notes on runs that are left out of all means: nothing was measured, or they are not finished, or stale."""
    nothing = Counter(", ".join(each.notes) for each in found.values() if each.is_empty)
    for why, number in nothing.items():
        reason = f": {shorten_value(why, 200)}" if why else ""
        yield f"{count_words(number, 'run')} of which nothing was measured{reason}."
    if unfinished := sum(at not in finished for at in found):
        is_only = "is not finished. It is" if unfinished == 1 else "are not finished. They are"
        yield f"{count_words(unfinished, 'evaluated run')} {is_only} only in evaluation.csv."
    if stale := sum(each.is_stale for at, each in found.items() if at in finished):
        theirs, they = ("its", "It is") if stale == 1 else ("their", "They are")
        runs = f"{count_words(stale, 'run was', 'runs were')} trained further after {theirs} evaluation"
        yield f"{runs}. {they} only in evaluation.csv; run satae-eval again."


def _measured_otherwise(usual: Mapping[str, str], valid: Mapping[Path, PartSummary]) -> Iterator[str]:
    """A note on runs that were measured with other settings, with the settings that differ."""
    others = [each.settings for each in valid.values() if each.settings != usual]
    if not others:
        return
    differences = []
    for key in dict.fromkeys(key for other in others for key in {**usual, **other}):
        values = dict.fromkeys(other.get(key, "not given") for other in others)
        if values.keys() != {usual.get(key)}:
            theirs = join_words((shorten_value(value) for value in values if value != usual.get(key)), "and")
            typed = f"{shorten_value(key)}={theirs}, not {shorten_value(usual.get(key, 'given'))}"
            differences.append(f"another version of {key}" if key in NOT_TYPED else typed)
    left = len(differences) - MAX_SETTINGS
    shown = "; ".join([*differences[:MAX_SETTINGS], *([f"{left} more"] if left > 0 else [])])
    was, they = ("was", "It is") if len(others) == 1 else ("were", "They are")
    runs = f"{len(others)} of {count_words(len(valid), 'run')} {was} measured with other settings ({shown})"
    yield f"{runs}. {they} only in evaluation.csv."
