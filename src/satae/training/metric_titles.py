"""The titles of the metrics: one table for the console, TensorBoard, the table of a sweep and the report."""

from typing import Final, NamedTuple

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
COLLAPSE: Final = "the reconstruction is no better than the mean of the data, or a whole encoder layer is dead"
TABLE_METRICS: Final = (FVU, SATURATED, DEAD, SENSITIVITY, "valid/energy", "valid/low_energy_area")


def long_title(metric: str) -> str:
    """The title of a metric, given with its split: ``valid/fvu``."""
    return TITLES[metric.partition("/")[2]].long


def column_title(metric: str) -> str:
    """The title of the column of a metric of the validation split."""
    return TITLES[metric.partition("/")[2]].column
