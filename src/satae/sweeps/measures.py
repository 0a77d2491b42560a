"""What the final measures are called: one word for each over a column, and in full."""

from __future__ import annotations

from typing import Final

FVU: Final = "valid/fvu"
SATURATED: Final = "valid/saturated_fraction"
DEAD: Final = "valid/dead_fraction"
SENSITIVITY: Final = "valid/code_sensitivity"
TOTAL: Final = "valid/total"
COLLAPSED: Final = "valid/collapsed"

COLUMNS: Final = {  # of the tables, where a run has them
    FVU: "valid fvu",
    SATURATED: "saturated",
    DEAD: "dead",
    SENSITIVITY: "sensitivity",
    "valid/energy": "energy",
    "valid/low_energy_area": "low-energy area",
}
IN_FULL: Final = {FVU: "fraction of variance unexplained", SATURATED: "saturated fraction"}
