"""An evaluation in TensorBoard, as a run of its own beside that of the training."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from torch.utils.tensorboard.summary import histogram

from satae.evaluation.findings import Findings
from satae.sweep import event_files

BINS: Final = 64  # of a histogram
STEPS: Final = 1000  # of a curve to one unit of its axis: TensorBoard has whole numbers alone


def write(folder: Path, part: str, findings: Findings, wall_time: float) -> None:
    """Have the event files of a folder say of a part what was found, and no longer what was found before.

    Scalars, histograms and pictures are of step 0; a curve has its places times 1,000 for steps.

    Args:
        folder: for all parts.
        part: its name.
        findings: of it.
        wall_time: when they were made, in seconds.
    """
    event_files.rewrite(folder, f".{part}", event_files.encoded(_events(part, findings), wall_time))


def _events(part: str, findings: Findings) -> Iterator[Event]:
    home = f"evaluation/{part}"
    for name, number in findings.scalars.items():
        yield _event(Summary.Value(tag=f"{home}/{name}", simple_value=number))
    for name, points in findings.curves.items():
        for place, number in points:
            yield _event(Summary.Value(tag=f"{home}/{name}", simple_value=number), round(STEPS * place))
    for name, numbers in findings.histograms.items():
        yield Event(summary=histogram(f"{home}/{name}", numbers.flatten().cpu().numpy(), BINS))
    for name, picture in findings.pictures.items():
        image = Summary.Image(
            height=picture.height, width=picture.width, colorspace=3, encoded_image_string=picture.png
        )
        yield _event(Summary.Value(tag=f"{home}/{name}", image=image))


def _event(value: Summary.Value, step: int = 0) -> Event:
    return Event(summary=Summary(value=[value]), step=step)
