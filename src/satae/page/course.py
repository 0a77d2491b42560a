"""The course of one run: its losses and its saturated fraction, epoch by epoch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Final

from satae.plots.style import COLORS, DASHES, PANEL_SIZE, Drawing, empty_figure, save_drawing
from satae.sweeps.measures import IN_FULL, SATURATED, TOTAL
from satae.sweeps.results import Result
from satae.sweeps.series import spread_evenly

NAME: Final = "course"  # of its files
PANELS: Final = {
    "loss": ("train/total", TOTAL, "train/reconstruction", "valid/reconstruction"),
    IN_FULL[SATURATED]: ("train/saturated_fraction", SATURATED),
}
SHOWN: Final = tuple(key for keys in PANELS.values() for key in keys)
LARGEST: Final = 1e100  # number that is drawn
MOST_READ: Final = 100_000  # epochs; those that are drawn are spread over them:
MOST_DRAWN: Final = 1_000


def draw(run: Result) -> Iterator[Drawing]:
    """The figure; none of fewer than two epochs."""
    epochs = spread_evenly([*_epochs(run)], MOST_DRAWN)
    if len(epochs) < 2:
        return
    figure = empty_figure(PANEL_SIZE[0] * len(PANELS), PANEL_SIZE[1])
    for ax, (name, keys) in zip(figure.subplots(1, len(PANELS)), PANELS.items(), strict=True):
        for key, colour, dash in zip(keys, COLORS, DASHES, strict=False):
            values = [numbers.get(key, math.nan) for numbers in epochs]
            ax.plot([numbers["epoch"] for numbers in epochs], values, color=colour, ls=dash, lw=1.7, label=key)
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.set(xlabel="epoch", ylabel=name)
        ax.legend()
    told = "The loss and the saturated fraction after each epoch, on training and on validation data."
    yield save_drawing(figure, NAME, "Course of the training", told, ", ".join(SHOWN), wide=True)


def _epochs(run: Result) -> Iterator[Mapping[str, float]]:
    """Of each epoch its number and what is drawn of it."""
    for line in islice(run.history(), MOST_READ):
        numbers = {key: line[key] for key in ("epoch", *SHOWN) if abs(line.get(key, math.nan)) < LARGEST}
        if "epoch" in numbers and len(numbers) > 1:
            yield numbers
