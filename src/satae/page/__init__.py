"""What came of a sweep, on one page that opens from the disk, with its figures and numbers beside it."""

from typing import Final

PROGRAM: Final = "satae-report"
