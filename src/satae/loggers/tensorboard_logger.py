"""Writes the TensorBoard event file of a run."""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tensorboard.compat.proto.summary_pb2 import Summary
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from satae import atomic_write
from satae.config.registries import LOGGERS
from satae.loggers.base import Logger
from satae.plots.style import Picture
from satae.runs.layout import OUTPUTS_FOLDER, shorten

CHART_LAYOUT: Final = {
    "satae": {
        "error: fraction of variance unexplained": ["Multiline", ["^train/fvu$", "^valid/fvu$"]],
        "saturated fraction of each layer": ["Multiline", ["^valid/saturated_fraction/"]],
        "loss": ["Multiline", ["^valid/total$", "^valid/reconstruction$", "^valid/saturation$"]],
        "dead fraction of each layer": ["Multiline", ["^valid/dead_fraction/"]],
    }
}
EVENT_FILE_PREFIX: Final = "events.out.tfevents."
EVENT_FILE_NAME: Final = re.compile(re.escape(EVENT_FILE_PREFIX) + r"(\d{10})(\..*)", re.ASCII)  # second, rest


@LOGGERS.register("tensorboard", writes_events=True)
class TensorBoardLogger(Logger):
    """Logs to an event file in the run's directory."""

    def __init__(self, directory: Path, resume_from: int | None) -> None:
        """Open a new event file.

        Args:
            directory: directory of the run.
            resume_from: TensorBoard drops this epoch and later ones of earlier event files; None for a new run.
        """
        _sort_before_now(directory)
        self._directory = directory
        earlier = {*directory.glob(f"{EVENT_FILE_PREFIX}*")}
        self._writer = SummaryWriter(str(directory), purge_step=resume_from)
        self._file_writer: Any = self._writer.file_writer  # whose type torch gives as None
        self._files = {*directory.glob(f"{EVENT_FILE_PREFIX}*")} - earlier

    def log_command(self, command: str) -> None:
        """Log what the user typed, and the layout of the charts."""
        self._writer.add_custom_scalars(CHART_LAYOUT)
        self._writer.add_text("run", command)

    def log_scalars(self, values: Mapping[str, float], epoch: int) -> None:
        """Log numbers by tag as one event, which takes a fifth of the time of one event for each."""
        summary = Summary(value=[Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()])
        self._file_writer.add_summary(summary, epoch)

    def log_histograms(self, values: Mapping[str, Tensor], epoch: int) -> None:
        """Log distributions by tag, given as tensors of any shape."""
        for tag, value in values.items():
            self._writer.add_histogram(tag, value.detach().flatten().cpu().numpy(), epoch)

    def log_images(self, images: Mapping[str, Picture], epoch: int) -> None:
        """Log images by tag."""
        for tag, picture in images.items():
            image = Summary.Image(
                height=picture.height, width=picture.width, colorspace=3, encoded_image_string=picture.png
            )
            self._file_writer.add_summary(Summary(value=[Summary.Value(tag=tag, image=image)]), epoch)

    def flush(self) -> None:
        """Force everything logged so far to the disk."""
        self._writer.flush()
        for path in self._files:
            atomic_write.sync(path)

    def close(self) -> None:
        """Close the event file."""
        self._writer.close()

    def end_message(self) -> str:
        """The command that starts TensorBoard on all runs in ``outputs``, or on this one."""
        shown = shorten(self._directory)
        folder = OUTPUTS_FOLDER if shown.parts[:1] == (OUTPUTS_FOLDER,) else str(shown)
        return f"TensorBoard  tensorboard --logdir {shlex.quote(folder)}"


def _sort_before_now(directory: Path) -> None:
    """Rename earlier event files whose names are dated in the future, as happens when a clock was set back.

    TensorBoard reads the files of a run in the order of their names, which begin with the second of their creation.
    """
    dated = sorted(
        (found.groups(), path) for path in directory.iterdir() if (found := EVENT_FILE_NAME.fullmatch(path.name))
    )
    now = int(time.time())
    for number, ((second, rest), path) in enumerate(dated):
        latest = now - len(dated) + number
        if int(second) > latest:
            path.rename(path.with_name(f"{EVENT_FILE_PREFIX}{latest:010}{rest}"))
