"""All numbers, as CSV files for other programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from satae.config.messages import format_value
from satae.config.schema import SEED
from satae.page.evaluations import stored
from satae.page.evaluations.gathering import Evaluated
from satae.page.sources import Source
from satae.sweeps.aggregate import SeedGroup
from satae.sweeps.table import csv_file, csv_rows, metric_column, runs_csv

OF_ROW: Final = ("run", "configuration", "seed", "part", "in_means", "table")
SPREAD: Final = ("n", "mean", "standard_deviation", "interval95_half", "interval95_low", "interval95_high")


def runs(source: Source, groups: Sequence[SeedGroup]) -> bytes:
    """Every run, in the order of the configurations."""
    known = [run for group in groups for run in group.runs]
    return runs_csv([*known, *source.unreadable], source.name)


def configurations(groups: Sequence[SeedGroup], axes: Sequence[str]) -> bytes:
    """Each measure of each configuration: a row with n, mean, standard deviation and 95 % interval."""
    keys = [key for key in axes if key != SEED]
    head = ["configuration", *keys, "measure", *SPREAD, "collapsed", "runs"]

    def rows() -> Iterator[list[object]]:
        for group in groups:
            done = group.with_runs(group.finished)
            values = [format_value(group.values[key]) if key in group.values else None for key in keys]
            collapsed = sum(run.is_collapsed for run in done.runs)
            for measure in dict.fromkeys(key for run in done.runs for key in run.metrics):
                spread = done.statistics(measure)
                ends = [spread.mean - spread.margin, spread.mean + spread.margin]
                yield [group.name, *values, metric_column(measure), *spread, *ends, collapsed, len(group.runs)]

    return csv_file(head, rows())


def evaluated(source: Source, groups: Sequence[SeedGroup], found: Evaluated) -> Iterator[bytes]:
    """Every row of every table of all evaluations, read once more: together they may be more than memory holds."""
    head = [*OF_ROW, *(f"row/{column}" if column in OF_ROW else column for column in found.columns)]
    places = {column: place for place, column in enumerate(found.columns, len(OF_ROW))}
    yield csv_file(head, [])
    for group, run in ((of, run) for of in groups for run in of.runs):
        for part in found.runs.get(run.directory, ()):
            counts = "yes" if found.counts(run.directory, part) else "no"
            first = [source.name(run), group.name, run.seed, part, counts]
            yield csv_rows(_rows(run.directory, part, first, places), len(head))


def _rows(directory: Path, part: str, first: list[object], places: Mapping[str, int]) -> Iterator[list[object]]:
    try:
        evaluation = stored.read(directory, part)
    except (OSError, ValueError):  # measured anew since it was read
        return
    for table in evaluation.tables if evaluation else ():
        for cells in table.rows:
            row = [*first, table.name, *[None] * len(places)]
            for column, cell in zip(table.columns, cells, strict=True):
                if column in places:
                    row[places[column]] = cell
            yield row
