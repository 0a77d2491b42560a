"""``satae-report diff A B``: in what two runs, or two groups of seeds, differ, and what they achieved."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from satae.config.schema import SEED
from satae.errors import ConfigError
from satae.messages import brief, count_words, format_compact, format_value, join_words, one_line
from satae.sweeps.aggregate import ENOUGH_SEEDS, SeedGroup, SeedStatistics, group_runs
from satae.sweeps.results import RunResult
from satae.sweeps.table import COLUMN_GAP, FOLDED_OPTION, Column, fit_columns, table_console
from satae.sweeps.text import NOTHING, format_change, format_number

SHOWN: Final = ("valid/", "ema/")  # begins the metrics in the text; the JSON has all
RECORDED: Final = ("device", "threads", "products", "program.satae", "sources.commit", "data.fingerprint")
SIDES: Final = ("A", "B")
OPEN: Final = "open"  # an interval that holds zero
MAX_NAME: Final = 34  # letters of a metric in one line


class MetricDifference(NamedTuple):
    """A final metric of both sides."""

    sides: tuple[SeedStatistics, SeedStatistics]
    change: SeedStatistics  # from A to B: seed by seed, or of the only two runs

    def as_json(self) -> dict[str, Any]:
        """Means, their difference, and its 95 % interval, as numbers; null where there is none."""
        has_interval = self.change.n >= ENOUGH_SEEDS
        ends = (self.change.mean - self.change.margin, self.change.mean + self.change.margin)
        numbers = {
            **dict(zip(SIDES, (side.mean for side in self.sides), strict=True)),
            "difference": self.change.mean,
            **dict(zip(("low", "high"), ends if has_interval else (math.nan, math.nan), strict=True)),
        }
        found: dict[str, Any] = {key: value if math.isfinite(value) else None for key, value in numbers.items()}
        return {**found, "pairs": self.change.n, "settled": self.change.is_settled}


class Difference(NamedTuple):
    """What differs between two groups of runs."""

    names: tuple[str, str]
    groups: tuple[SeedGroup, SeedGroup]
    choices: dict[str, tuple[Any, Any]]  # options with different values; None where one side does not have it
    facts: dict[str, tuple[Any, Any]]  # entries of run.json with different values, such as versions
    metrics: dict[str, MetricDifference]  # that both sides have

    def as_json(self) -> str:
        """Everything, as JSON."""
        found = {
            **{
                side: {"folder": name, "seeds": [run.seed for run in group.finished_runs]}
                for side, name, group in zip(SIDES, self.names, self.groups, strict=True)
            },
            "choices": {key: dict(zip(SIDES, pair, strict=True)) for key, pair in self.choices.items()},
            "facts": {key: dict(zip(SIDES, pair, strict=True)) for key, pair in self.facts.items()},
            "metrics": {name: metric.as_json() for name, metric in self.metrics.items()},
        }
        return json.dumps(found, indent=2)


def compare(names: tuple[str, str], runs: tuple[Sequence[RunResult], Sequence[RunResult]]) -> Difference:
    """Compare two runs, or two groups of runs that differ in their seeds alone.

    Args:
        names: of the two folders, for messages.
        runs: of each.

    Raises:
        ConfigError: the runs of a folder differ in more than their seeds, or none of them is finished.
    """
    groups = _one_group(names[0], runs[0]), _one_group(names[1], runs[1])
    first, second = (group.finished_runs[0] for group in groups)
    choices = _differing(first.choices, second.choices)
    if [len(group.finished_runs) for group in groups] != [1, 1]:
        choices.pop(SEED, None)
    known = [_finite_statistics(group) for group in groups]
    metrics = {
        name: MetricDifference((one, known[1][name]), _change(*groups, name))
        for name, one in known[0].items()
        if name in known[1]
    }
    return Difference(names, groups, choices, _differing(_facts(first.record), _facts(second.record)), metrics)


def _one_group(name: str, runs: Sequence[RunResult]) -> SeedGroup:
    group, *others = group_runs(runs)
    if others:
        keys = dict.fromkeys(key for one in (group, *others) for key in one.values)
        raise ConfigError(
            f"{name}: its runs differ in {join_words(keys, 'and')}; name single runs, or folders whose runs differ in"
            " their seeds alone"
        )
    if not group.finished_runs:
        raise ConfigError(f"{name}: no run is finished; there is nothing to compare")
    return group


def _finite_statistics(group: SeedGroup) -> dict[str, SeedStatistics]:
    """The statistics of each final metric that has a finite value."""
    names = dict.fromkeys(name for run in group.finished_runs for name in run.metrics)
    found = {name: group.statistics(name) for name in names}
    return {name: one for name, one in found.items() if math.isfinite(one.mean)}


def _change(first: SeedGroup, second: SeedGroup, metric: str) -> SeedStatistics:
    """The change of a metric, seed by seed; of two single runs with different seeds, the difference of their values."""
    if len(first.finished_runs) == len(second.finished_runs) == 1:
        return SeedStatistics.from_values([second.statistics(metric).mean - first.statistics(metric).mean])
    return second.change(first, metric)


def _differing(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    pairs = {key: (first.get(key), second.get(key)) for key in dict.fromkeys([*first, *second])}
    return {key: pair for key, pair in pairs.items() if format_value(pair[0]) != format_value(pair[1])}


def _facts(record: Mapping[str, Any]) -> dict[str, Any]:
    """What ``run.json`` says of the machine, the program and the data."""
    versions = record.get("versions")
    found = {f"versions.{key}": value for key, value in versions.items()} if isinstance(versions, Mapping) else {}
    for key in RECORDED:
        value: Any = record
        for part in key.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        found[key] = value
    return found


# the text


def print_difference(found: Difference) -> None:
    """Print a difference as tables."""
    console = table_console()
    for line in _headings(found):
        console.print(line, markup=False)
    for title, pairs in (("choices", found.choices), ("made with", found.facts)):
        if not pairs:
            console.print(f"{title}: the same", markup=False)
            continue
        texts = [[brief(_text(pair[place])) for pair in pairs.values()] for place in (0, 1)]
        keys = [Column(title, [brief(key) for key in pairs], FOLDED_OPTION)]
        sides = [Column(side, cells, FOLDED_OPTION) for side, cells in zip(SIDES, texts, strict=True)]
        for table in fit_columns(keys, sides, console.width, COLUMN_GAP):
            console.print(table)
    shown = {name: metric for name, metric in found.metrics.items() if name.startswith(SHOWN)}
    values = [[format_number(one.sides[place].mean) for one in shown.values()] for place in (0, 1)]
    columns = [Column(side, cells) for side, cells in zip(SIDES, values, strict=True)]
    changes = [one.change for one in shown.values()]
    columns.append(Column("B - A", [format_change(change) if change.n else NOTHING for change in changes]))
    columns.append(Column("", [_judge(change) for change in changes]))
    if shown:
        keys = [Column("measures", [brief(name) for name in shown], MAX_NAME)]
        for table in fit_columns(keys, columns, console.width, COLUMN_GAP):
            console.print(table)
    console.print(_note(found), markup=False)


def _headings(found: Difference) -> Iterator[str]:
    for side, name, group in zip(SIDES, found.names, found.groups, strict=True):
        seeds = count_words(len(group.finished_runs), "finished run")
        unfinished = len(group.one_per_seed) - len(group.finished_runs)
        more = f", {unfinished} not finished and left out" if unfinished else ""
        yield f"{side}  {one_line(name)}  ({seeds}{more})"


def _text(value: Any) -> str:
    return NOTHING if value is None else format_compact(value)


def _judge(change: SeedStatistics) -> str:
    if change.n < ENOUGH_SEEDS:
        return ""
    return ("more" if change.mean > 0 else "less") if change.is_settled else OPEN


def _note(found: Difference) -> str:
    """How the differences are to be read."""
    pairs = max((one.change.n for one in found.metrics.values()), default=0)
    if pairs >= ENOUGH_SEEDS:
        seeds = count_words(pairs, "seed")
        return f"B - A: mean over {seeds} in common, ± half of its 95 % interval (Student's t); {OPEN}: it holds 0"
    if pairs == 0:
        return "no seed is in both, so the measures have no paired difference"
    few = f"{count_words(pairs, 'pair')} of runs: a difference may be chance"
    return f"{few}; {ENOUGH_SEEDS} seeds on both sides give an interval"
