"""The titles of the metrics: one table for the console, TensorBoard, the table of a sweep and the report."""

import math
from collections.abc import Mapping
from typing import Final, NamedTuple

from satae.messages import join_words

LOW_ENERGY: Final = 0.01  # a place with less energy counts as reconstructed; in the data's units squared


class Title(NamedTuple):
    """How a metric is named for people."""

    long: str
    column: str = ""  # for the validation split, where a metric has its own column


TITLES: Final = {  # by the key without its split; in the order of every table, the most important columns first
    "total": Title("total loss", "valid total loss"),
    "reconstruction": Title("reconstruction loss"),
    "fvu": Title("fraction of variance unexplained (fvu)", "valid fvu"),
    "psnr": Title("peak signal-to-noise ratio, dB"),
    "saturation": Title("saturation penalty"),
    "saturated_fraction": Title("saturated fraction", "saturated"),
    "dead_fraction": Title("dead fraction", "dead"),
    "code_sensitivity": Title("sensitivity of the code to small noise", "sensitivity"),
    "energy": Title("energy ½‖x − x̂‖², without noise", "energy"),
    "low_energy_area": Title(f"share of the plane with energy below {LOW_ENERGY:g}", "low-energy area"),
}
FVU: Final = "valid/fvu"
SATURATED: Final = "valid/saturated_fraction"
DEAD: Final = "valid/dead_fraction"
SENSITIVITY: Final = "valid/code_sensitivity"
TOTAL: Final = "valid/total"
COLLAPSED: Final = "valid/collapsed"
COLLAPSED_FVU: Final = 0.99  # from here on, a reconstruction says no more than the mean of the data
HIGH_FVU: Final = f"{COLLAPSED_FVU:g} or more: hardly better than the mean of the data"
COLLAPSE: Final = f"valid fvu is high ({HIGH_FVU}), or all units of an encoder layer are dead"  # of several runs
FEW_EPOCHS: Final = 10  # after fewer, a high fvu may only mean that the training was short
SHARES: Final = ("saturated_fraction", "dead_fraction", "low_energy_area", "clipped_fraction")
NOT_NEGATIVE: Final = (
    *("total", "reconstruction", "saturation", "fvu", "code_sensitivity", "energy", "active_code_units"),
    "encoder_norm",
)
TABLE_METRICS: Final = (FVU, SATURATED, DEAD, SENSITIVITY, "valid/energy", "valid/low_energy_area")


def dead_layers(metrics: Mapping[str, float], dead_fraction: str) -> list[str]:
    """The layers whose units are all dead; ``dead_fraction`` is the key of that metric, with or without a split."""
    start = f"{dead_fraction}/"
    return [key.removeprefix(start) for key, share in metrics.items() if key.startswith(start) and share == 1]


def collapse_reason(metrics: Mapping[str, float], epochs: int) -> str:
    """Why a run counts as collapsed: a layer is dead, or the validation error is high.

    Args:
        metrics: final metrics of the run.
        epochs: number of epochs that it trained.
    """
    if dead := dead_layers(metrics, DEAD):
        return f"all units of {join_words(dead, 'and')} are dead"
    short = ", or not trained long enough yet" if epochs < FEW_EPOCHS else ""
    return f"valid fvu {metrics[FVU]:.3g} ({HIGH_FVU}{short})"


def possible_values(metric: str) -> tuple[float, float]:
    """The smallest and the largest value that a metric can have."""
    name = metric.split("/")[0 if metric.startswith("encoder_norm/") else 1 if "/" in metric else 0]
    if name in SHARES:
        return 0.0, 1.0
    return (0.0, math.inf) if name in NOT_NEGATIVE else (-math.inf, math.inf)


def has_interval(metric: str) -> bool:
    """Whether an interval over the seeds has a meaning: not for a mark of 0 or 1, nor for how long the runs took."""
    return metric != COLLAPSED and metric.rpartition("/")[2] not in ("collapsed", "wall_s", "samples_per_s")


def long_title(metric: str) -> str:
    """The title of a metric, given with its split: ``valid/fvu``."""
    return TITLES[metric.partition("/")[2]].long


def split_title(metric: str) -> str:
    """The title of a metric of a split, for axes, legends and rows: ``"validation reconstruction loss"``."""
    return f"{'training' if metric.startswith('train/') else 'validation'} {long_title(metric)}"


def column_title(metric: str) -> str:
    """The title of the column of a metric of the validation split."""
    return TITLES[metric.partition("/")[2]].column
