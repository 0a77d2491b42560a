"""TensorBoard: the one place that knows it."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from tensorboard.compat.proto.summary_pb2 import Summary
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from satae import atomic_write as files
from satae.plots.style import Picture

LAYOUT = {
    "satae": {
        "error: fraction of variance unexplained": ["Multiline", ["^train/fvu$", "^valid/fvu$"]],
        "saturated fraction of each layer": ["Multiline", ["^valid/saturated_fraction/"]],
        "loss": ["Multiline", ["^valid/total$", "^valid/reconstruction$", "^valid/saturation$"]],
        "dead fraction of each layer": ["Multiline", ["^valid/dead_fraction/"]],
    }
}


PREFIX = "events.out.tfevents."
DATED = re.compile(re.escape(PREFIX) + r"(\d{10})(\..*)", re.ASCII)


class Board:
    """Writes the event file of a run."""

    def __init__(self, directory: Path, purge_from: int | None = None) -> None:
        """Open it.

        Args:
            directory: of the run.
            purge_from: the epoch from which on earlier files of the run are not shown; None where there are none.
        """
        _date_back(directory)
        self._writer = SummaryWriter(str(directory), purge_step=purge_from)
        self._file = self._writer._get_file_writer()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._writer.close()

    def scalars(self, values: Mapping[str, float], epoch: int) -> None:
        """Numbers by tag: one event for all of them, which takes a fifth of the time of one for each."""
        self._add(epoch, *(Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()))

    def begin(self, run: str) -> None:
        """What is shown of the run beside its numbers: what was typed, and the layout of the charts."""
        self._writer.add_custom_scalars(LAYOUT)
        self._writer.add_text("run", run)

    def histograms(self, values: Mapping[str, Tensor], epoch: int) -> None:
        """Distributions by tag, of tensors of any shape."""
        for tag, value in values.items():
            self._writer.add_histogram(tag, value.detach().flatten().cpu().numpy(), epoch)

    def pictures(self, pictures: Mapping[str, Picture], epoch: int) -> None:
        """Pictures by tag."""
        for tag, picture in pictures.items():
            image = Summary.Image(
                height=picture.height, width=picture.width, colorspace=3, encoded_image_string=picture.png
            )
            self._add(epoch, Summary.Value(tag=tag, image=image))

    def flush(self) -> None:
        """Have what was written reach the disk."""
        self._writer.flush()
        files.sync(Path(self._file.event_writer._file_name))

    def _add(self, epoch: int, *values: Summary.Value) -> None:
        self._file.add_summary(Summary(value=values), epoch)


def _date_back(directory: Path) -> None:
    """Have the earlier files of a run sort before a new one, also where a clock was set back.

    TensorBoard reads them in the order of their names, which begin with the second of their making.
    """
    dated = sorted((found.groups(), path) for path in directory.iterdir() if (found := DATED.fullmatch(path.name)))
    now = int(time.time())
    for number, ((second, rest), path) in enumerate(dated):
        latest = now - len(dated) + number
        if int(second) > latest:
            path.rename(path.with_name(f"{PREFIX}{latest:010}{rest}"))
