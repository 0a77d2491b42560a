"""The course of a configuration over its seeds: mean and confidence band of each measure after each epoch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from satae.sweeps.groups import Spread
from satae.sweeps.measures import DEAD, FVU, SATURATED, TOTAL

MEASURES: Final = (FVU, SATURATED, DEAD, TOTAL, "valid/reconstruction", "train/fvu")
LEAST: Final = 2  # seeds: of one there is no band


class Band(NamedTuple):
    """An epoch."""

    epoch: int
    spreads: dict[str, Spread]  # by measure


def bands(histories: Iterable[Iterable[Mapping[str, float]]]) -> list[Band]:
    """The epochs that at least two runs have come to.

    Args:
        histories: of the runs, a mapping for each epoch with its number under ``epoch``.
    """
    by_epoch: dict[int, list[Mapping[str, float]]] = {}
    for line in [line for history in histories for line in history]:
        by_epoch.setdefault(int(line["epoch"]), []).append(line)
    found = [Band(epoch, _spreads(lines)) for epoch, lines in sorted(by_epoch.items())]
    return [band for band in found if band.spreads]


def _spreads(lines: Sequence[Mapping[str, float]]) -> dict[str, Spread]:
    found = {name: Spread.of(line[name] for line in lines if name in line) for name in MEASURES}
    return {name: spread for name, spread in found.items() if spread.n >= LEAST}
