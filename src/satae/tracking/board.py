"""TensorBoard: the one place that knows it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

LAYOUT = {
    "satae": {
        "error: fraction of variance unexplained": ["Multiline", ["train/fvu", "valid/fvu"]],
        "saturated fraction of each layer": ["Multiline", ["valid/saturated_fraction/.*"]],
        "loss": ["Multiline", ["valid/total", "valid/reconstruction", "valid/saturation"]],
        "dead fraction": ["Multiline", ["train/dead_fraction", "valid/dead_fraction"]],
    }
}


class Board:
    """Writes the event file of a run."""

    def __init__(self, directory: Path) -> None:
        self._writer = SummaryWriter(str(directory))
        self._writer.add_custom_scalars(LAYOUT)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._writer.close()

    def scalars(self, values: Mapping[str, float], epoch: int) -> None:
        """Numbers by tag."""
        for tag, value in values.items():
            self._writer.add_scalar(tag, value, epoch)

    def text(self, tag: str, markdown: str) -> None:
        """A text of the run."""
        self._writer.add_text(tag, markdown)

    def histograms(self, values: Mapping[str, Tensor], epoch: int) -> None:
        """Distributions by tag, of tensors of any shape."""
        for tag, value in values.items():
            self._writer.add_histogram(tag, value.detach().flatten().cpu().numpy(), epoch)

    def pictures(self, images: Mapping[str, np.ndarray], epoch: int) -> None:
        """Images by tag: (height, width, 3), uint8."""
        for tag, image in images.items():
            self._writer.add_image(tag, image, epoch, dataformats="HWC")
