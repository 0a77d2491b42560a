"""All numbers, as CSV files for other programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from satae.config.flat import SEED
from satae.config.messages import show
from satae.report.sources import Source
from satae.sweep import csv_files
from satae.sweep.groups import Group

SPREAD: Final = ("n", "mean", "standard_deviation", "interval95_half", "interval95_low", "interval95_high")


def runs(source: Source, groups: Sequence[Group]) -> bytes:
    """Every run, in the order of the configurations."""
    known = [run for group in groups for run in group.runs]
    return csv_files.runs([*known, *source.unreadable], source.name)


def configurations(groups: Sequence[Group], axes: Sequence[str]) -> bytes:
    """Each measure of each configuration: a row with n, mean, standard deviation and 95 % interval."""
    keys = [key for key in axes if key != SEED]
    head = ["configuration", *keys, "measure", *SPREAD, "collapsed", "runs"]

    def rows() -> Iterator[list[object]]:
        for group in groups:
            done = group._replace(runs=group.finished)
            values = [show(group.values[key]) if key in group.values else None for key in keys]
            collapsed = sum(run.is_collapsed for run in done.runs)
            for measure in dict.fromkeys(key for run in done.runs for key in run.metrics):
                spread = done.spread(measure)
                ends = [spread.mean - spread.margin, spread.mean + spread.margin]
                yield [group.name, *values, csv_files.final(measure), *spread, *ends, collapsed, len(group.runs)]

    return csv_files.encoded(head, rows())
