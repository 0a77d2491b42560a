"""The report page: the results of some runs, with figures and CSV files beside it."""

from typing import Final

PROGRAM: Final = "satae-report"
