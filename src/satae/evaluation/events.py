"""The results of an evaluation in TensorBoard, beside the run of the training."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from torch.utils.tensorboard import summary

from satae.evaluation.result import PartResult, ResultTable, format_cell
from satae.loggers.tensorboard_logger import encode_events, image_summary, replace_events

HISTOGRAM_BINS: Final = 64
STEPS_PER_UNIT: Final = 1000  # steps of TensorBoard, which are whole, for a length of 1 on the axis of a curve
STEP_MEANING: Final = f"step {STEPS_PER_UNIT} is the level of the noise, or the radius (epsilon), of 1"
MARKDOWN_SIGNS: Final = "\\`*_{}[]()<>#|!"


def write_events(folder: Path, part: str, result: PartResult, wall_time: float) -> None:
    """Replace the events of a part in a folder of event files.

    Scalars, histograms, pictures and the text with tables and notes have step 0; a curve has its places times 1,000
    for steps. The notes, and with them the verdict on an accuracy, are the description of each number.

    Args:
        folder: folder for the events of all parts.
        part: name of the part.
        result: what it found.
        wall_time: time of the measurement, in seconds.
    """
    replace_events(folder, f".{part}", encode_events(_events(part, result), wall_time))


def _events(part: str, result: PartResult) -> Iterator[Event]:
    root, notes = f"evaluation/{part}", "\n".join(f"- {_escape(note)}" for note in result.notes)
    for name, value in result.scalars.items():
        yield _scalar(f"{root}/{name}", value, 0, notes)
    for name, points in result.curves.items():
        for place, value in points:
            yield _scalar(f"{root}/{name}", value, round(STEPS_PER_UNIT * place), f"{notes}\n- {STEP_MEANING}")
    for name, numbers in result.histograms.items():
        yield Event(summary=summary.histogram(f"{root}/{name}", numbers.flatten().cpu().numpy(), HISTOGRAM_BINS))
    for name, picture in result.pictures.items():
        # a folder of its own: TensorBoard shows only one of two things with the same tag
        yield Event(summary=image_summary(f"{root}/pictures/{name}", picture))
    yield Event(summary=summary.text(root, "\n\n".join([*map(_markdown_table, result.tables), notes])))


def _scalar(tag: str, value: float, step: int, description: str) -> Event:
    metadata = SummaryMetadata(summary_description=description)
    return Event(summary=Summary(value=[Summary.Value(tag=tag, simple_value=value, metadata=metadata)]), step=step)


def _markdown_table(table: ResultTable) -> str:
    """The columns of a table that the console shows."""
    if not table.shown:
        return ""
    rows = [table.shown, ["---"] * len(table.shown), *(map(format_cell, row) for row in table.shown_rows())]
    return "\n".join([f"**{_escape(table.name)}**", "", *(f"| {' | '.join(map(_escape, row))} |" for row in rows)])


def _escape(words: str) -> str:
    return "".join(f"\\{letter}" if letter in MARKDOWN_SIGNS else letter for letter in words)
