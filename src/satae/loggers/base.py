"""What every logger can do; on its own it is the logger that logs nothing.

To add a logger, write a subclass of :class:`Logger` in a file of this package, register it under a name, and add
``conf/logger/<name>.yaml``; ``logger=<name>`` then chooses it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from satae.config.registry import LOGGERS

if TYPE_CHECKING:
    from torch import Tensor

    from satae.plots.style import Picture


@LOGGERS.register("none")
class Logger:
    """Receives what one run logs; logs nothing itself, and subclasses override what they support.

    The context manager closes it. The files in the run's directory have every number, whatever the logger does.
    """

    def __init__(self, directory: Path, resume_from: int | None) -> None:
        """Open the log of a run.

        Args:
            directory: directory of the run.
            resume_from: the first epoch that a resumed run logs again; None for a new run.
        """

    def log_command(self, command: str) -> None:
        """Log what the user typed, before the first epoch."""

    def log_scalars(self, values: Mapping[str, float], epoch: int) -> None:
        """Log numbers by tag, such as ``valid/fvu``."""

    def log_histograms(self, values: Mapping[str, Tensor], epoch: int) -> None:
        """Log distributions by tag, given as tensors of any shape."""

    def log_images(self, images: Mapping[str, Picture], epoch: int) -> None:
        """Log images by tag."""

    def flush(self) -> None:
        """Force everything logged so far to the disk; called before each checkpoint."""

    def close(self) -> None:
        """Release the files; nothing is logged afterwards."""

    def end_message(self) -> str | None:
        """The line that tells the user at the end of a run how to look at what was logged; None for no line."""
        return None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()
