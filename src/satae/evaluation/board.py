"""An evaluation in TensorBoard, as a run of its own beside that of the training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from torch.utils.tensorboard.summary import histogram, text

from satae.evaluation.findings import Findings, Table, shown
from satae.sweeps import event_files

BINS: Final = 64  # of a histogram
STEPS: Final = 1000  # of a curve to one unit of its axis: TensorBoard has whole numbers alone
PLACES: Final = f"step {STEPS} is the level of the noise, or the radius (epsilon), of 1"
SPECIAL: Final = "\\`*_{}[]()<>#|!"


def write(folder: Path, part: str, findings: Findings, wall_time: float) -> None:
    """Have the event files of a folder say of a part what was found, and no longer what was found before.

    Scalars, histograms, pictures and the text, which has the tables and the notes, are of step 0; a curve has its
    places times 1,000 for steps. The notes stand beside each number, too, and so does the verdict of an accuracy.

    Args:
        folder: for all parts.
        part: its name.
        findings: of it.
        wall_time: when they were made, in seconds.
    """
    event_files.replace_events(folder, f".{part}", event_files.encode_events(_events(part, findings), wall_time))


def _events(part: str, findings: Findings) -> Iterator[Event]:
    home, told = f"evaluation/{part}", _listed(findings.notes)
    for name, number in findings.scalars.items():
        yield _number(f"{home}/{name}", number, 0, told)
    for name, points in findings.curves.items():
        for place, number in points:
            yield _number(f"{home}/{name}", number, round(STEPS * place), f"{told}\n- {PLACES}")
    for name, numbers in findings.histograms.items():
        yield Event(summary=histogram(f"{home}/{name}", numbers.flatten().cpu().numpy(), BINS))
    for name, picture in findings.pictures.items():
        image = Summary.Image(
            height=picture.height, width=picture.width, colorspace=3, encoded_image_string=picture.png
        )
        # of two things with one tag TensorBoard shows one alone
        yield Event(summary=Summary(value=[Summary.Value(tag=f"{home}/pictures/{name}", image=image)]))
    yield Event(summary=text(home, "\n\n".join([*map(_grid, findings.tables), told])))


def _number(tag: str, number: float, step: int, told: str) -> Event:
    metadata = SummaryMetadata(summary_description=told)
    return Event(summary=Summary(value=[Summary.Value(tag=tag, simple_value=number, metadata=metadata)]), step=step)


def _listed(notes: Sequence[str]) -> str:
    """In Markdown."""
    return "\n".join(f"- {_plain(note)}" for note in notes)


def _grid(table: Table) -> str:
    """What the console shows of a table, in Markdown."""
    places = [[*table.columns].index(name) for name in table.shown]
    rows = [table.shown, ["---"] * len(places), *([shown(row[place]) for place in places] for row in table.rows)]
    lines = (f"| {' | '.join(map(_plain, row))} |" for row in rows)
    return "\n".join([f"**{_plain(table.name)}**", "", *lines]) if places else ""


def _plain(words: str) -> str:
    """Without a meaning in Markdown."""
    return "".join(f"\\{letter}" if letter in SPECIAL else letter for letter in words)
