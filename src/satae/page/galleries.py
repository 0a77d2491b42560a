"""The pictures of some runs, side by side, embedded in the page."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from satae.config.registry import EVALUATION_PARTS
from satae.config.saved_config import read_file
from satae.messages import reason
from satae.runs.layout import EVALUATION_FOLDER, PICTURES_FOLDER
from satae.sweeps.aggregate import SeedGroup
from satae.sweeps.results import RunResult
from satae.sweeps.series import Comparison, examples
from satae.sweeps.text import configuration_label

PICTURE_TITLES: Final = {
    "reconstructions": ("Reconstructions", "clean inputs, the noisy inputs of the model, and its reconstructions"),
    "encoder_filters": ("Filters of the first layer", "each scaled by its own largest weight; grey is zero"),
    "decoder_atoms": ("Atoms of the decoder", "what each unit adds to the reconstruction; grey is zero"),
    "energy": ("Energy over the plane", "log10 of half the squared reconstruction error at each point"),
}
MAX_PICTURE_BYTES: Final = 2**24  # of all pictures on a page, encoded
MAX_PNG: Final = 2**20  # bytes
MAX_SIDE: Final = 4096  # pixels
PNG_START: Final = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
PNG_END: Final = b"\0\0\0\0IEND\xaeB`\x82"


class EmbeddedPicture(NamedTuple):
    """A picture of a run, as a page holds it."""

    label: str
    alternative: str  # text for readers who cannot see it
    address: str  # a data URL
    width: int  # pixels
    height: int


class Gallery(NamedTuple):
    """Pictures of one kind."""

    title: str
    what: str
    rows: list[list[EmbeddedPicture]]  # a row for each series of the figures, or one for all
    kind: str = ""  # for pictures of an evaluation


def run_galleries(groups: Sequence[SeedGroup], comparison: Comparison) -> tuple[list[Gallery], list[str]]:
    """The pictures of some configurations, and notes about them."""
    rows = examples(comparison)
    notes, galleries, bytes_left = list[str](), list[Gallery](), MAX_PICTURE_BYTES
    for kind, (title, what) in PICTURE_TITLES.items():
        shown = [[picture for point in row if (picture := _run_picture(point, kind, notes))] for row in rows]
        bytes_left -= sum(len(picture.address) for row in shown for picture in row)
        if bytes_left < 0:
            notes.append(f"{title} are left out: the page would grow too large.")
        elif any(shown):
            galleries.append(Gallery(title, what, [row for row in shown if row]))
    if not galleries:
        return [], notes
    finished, taken = sum(bool(group.finished_runs) for group in groups), sum(map(len, rows))
    left_out = [f"{finished - taken} of {finished} configurations are left out."] if taken < finished else []
    same_inputs = _same_inputs_note([point.finished_runs[0] for row in rows for point in row])
    return galleries, [same_inputs, *left_out, *notes]


def evaluation_galleries(
    part: str, runs: Mapping[str, tuple[Path, Sequence[str]]], descriptions: Mapping[str, str]
) -> tuple[list[Gallery], list[str]]:
    """The pictures of a part of the evaluation for a few runs, and notes about them.

    Args:
        part: its name.
        runs: the directory of each run and the names of its files, by the name of the run.
        descriptions: of each kind of picture; other kinds are described by their names.
    """
    shown, notes = dict[str, list[EmbeddedPicture]](), list[str]()
    bytes_left = MAX_PICTURE_BYTES // len(EVALUATION_PARTS.names())
    for run, (directory, names) in runs.items():
        for name in names:
            kind = name.removesuffix(".png")
            alternative = f"{_description(kind, descriptions)}, of {run}"
            picture = _embed_picture(directory / EVALUATION_FOLDER / name, run, alternative, notes)
            if picture is None:
                continue
            bytes_left -= len(picture.address)
            if bytes_left < 0:
                return [], [*notes, f"The pictures of {part} are left out: the page would grow too large."]
            shown.setdefault(kind, []).append(picture)
    return [Gallery("", _description(kind, descriptions), [found], kind) for kind, found in shown.items()], notes


def _description(kind: str, descriptions: Mapping[str, str]) -> str:
    return descriptions.get(kind, kind.replace("_", ": ", 1).replace("_", " "))


def _run_picture(point: SeedGroup, kind: str, notes: list[str]) -> EmbeddedPicture | None:
    """A picture of the first run; None if it is missing or cannot be shown."""
    run, name, (title, what) = point.finished_runs[0], configuration_label(point), PICTURE_TITLES[kind]
    path = run.directory / PICTURES_FOLDER / f"{kind}.png"
    if not os.path.lexists(path):  # not every model has every picture
        return None
    return _embed_picture(path, name, f"{title} of {name}, seed {run.seed}: {what}", notes)


def _embed_picture(path: Path, label: str, alternative: str, notes: list[str]) -> EmbeddedPicture | None:
    """Read a PNG file; None, with a note, if it cannot be read, or if satae does not write such a file."""
    try:
        content = read_file(path, MAX_PNG, follow_links=False)
        if not content.startswith(PNG_START) or not content.endswith(PNG_END):
            raise ValueError("it is not a PNG file")
        width, height = int.from_bytes(content[16:20], "big"), int.from_bytes(content[20:24], "big")
        if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE):
            raise ValueError("it is too large")
    except (OSError, ValueError) as error:
        notes.append(f"{path.name} of {label} is not shown: {reason(error)}.")
        return None
    address = f"data:image/png;base64,{base64.b64encode(content).decode('ascii')}"
    return EmbeddedPicture(label, alternative, address, width, height)


def _same_inputs_note(runs: Sequence[RunResult]) -> str:
    """Every run has the same inputs and draws the same noise if data, noise and device are the same."""
    if len(runs) == 1:
        return "The pictures show validation inputs."
    differ = [group for group in ("data", "noise") if len({repr(_options(run, group)) for run in runs}) > 1]
    differ += ["device"] if len({run.record.get("device") for run in runs}) > 1 else []
    first = "The pictures are of the first finished seed of each configuration"
    if differ:
        return f"{first}. Their inputs and noise are not the same: the runs differ in {' and '.join(differ)}."
    return f"{first}, at the same validation inputs, with noise of the same random numbers."


def _options(run: RunResult, group: str) -> dict[str, object]:
    keys = [key for key in run.choices if key == group or key.startswith(f"{group}.")]
    return {key: run.choices[key] for key in sorted(keys) if key != "data.dir"}
