"""Runs beside one another: what stands for each part, by configuration, over its seeds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from satae.config.saved_config import read_config_values
from satae.config.schema import flatten
from satae.evaluation.columns import Shown
from satae.evaluation.findings import Cell
from satae.runs.layout import CONFIG_FILE, FINISHED
from satae.sweeps import manifest
from satae.sweeps.aggregate import SeedGroup, SeedStatistics, display_value, group_runs
from satae.sweeps.results import RunResult

PLACE: Final = "epsilon"  # at which a run is measured, which is no measure

Headlines = Mapping[str, Mapping[str, Cell]]  # what stands for a run, by part


class Summary(NamedTuple):
    """A part of all runs."""

    title: str
    columns: list[str]
    rows: list[list[Shown]]


def summaries(found: Mapping[Path, Headlines]) -> list[Summary]:
    """A table for each part.

    Args:
        found: in each run, by its directory.
    """
    runs = [RunResult(run, flatten(read_config_values(run / CONFIG_FILE)), {"status": FINISHED}, {}) for run in found]
    homes = {run.parent for run in found}
    groups = group_runs(runs, manifest.read_manifest_or_empty(homes.pop()).varied if len(homes) == 1 else ())
    parts = dict.fromkeys(part for headlines in found.values() for part, headline in headlines.items() if headline)
    return [_summary(part, groups, {run: each.get(part, {}) for run, each in found.items()}) for part in parts]


def _summary(part: str, groups: Sequence[SeedGroup], found: Mapping[Path, Mapping[str, Cell]]) -> Summary:
    keys = list(dict.fromkeys(key for group in groups for key in group.values))
    names = list(dict.fromkeys(name for headline in found.values() for name in headline))
    rows = [(group, at) for group in groups for at in _by_place([found[run.directory] for run in group.one_per_seed])]
    over_seeds = any(len(at) > 1 for _, at in rows)
    cells: list[list[Shown]] = [
        [
            *(display_value(group.values[key]) if key in group.values else "-" for key in keys),
            *([len(at)] if over_seeds else []),
            *(_cell([headline[name] for headline in at if name in headline], name) for name in names),
        ]
        for group, at in rows
    ]
    title = f"{part}: mean ± standard deviation over the seeds" if over_seeds else part
    return Summary(title, [*keys, *(["seeds"] if over_seeds else []), *names], cells)


def _by_place(headlines: Sequence[Mapping[str, Cell]]) -> Iterator[list[Mapping[str, Cell]]]:
    """Those that were measured at one radius: a mean over several would be none of anything."""
    there = [headline for headline in headlines if headline]
    for place in dict.fromkeys(headline.get(PLACE) for headline in there):
        yield [headline for headline in there if headline.get(PLACE) == place]


def _cell(values: Sequence[Cell], name: str) -> Shown:
    numbers = [float(value) for value in values if isinstance(value, int | float)]
    if name == PLACE or not values:
        return values[0] if values else None
    if numbers:
        return SeedStatistics.from_values(numbers)
    counts = Counter(str(value) for value in values if value is not None)
    return ", ".join(counts if len(counts) == 1 else (f"{count} {word}" for word, count in counts.items())) or None
