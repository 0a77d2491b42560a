"""The pictures of some runs, side by side."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from satae.config.evaluation import PARTS
from satae.page import png
from satae.runs.layout import EVALUATION_FOLDER, PICTURES_FOLDER
from satae.sweeps.aggregate import SeedGroup
from satae.sweeps.formatting import format_configuration
from satae.sweeps.results import RunResult
from satae.sweeps.series import Comparison, Point, examples

KINDS: Final = {
    "reconstructions": ("Reconstructions", "clean inputs, what the model saw of them, and what it made of that"),
    "encoder_filters": ("Filters of the first layer", "each scaled by its own largest weight; grey is zero"),
    "decoder_atoms": ("Atoms of the decoder", "what each unit adds to the reconstruction; grey is zero"),
    "energy": ("Energy over the plane", "log10 of half the squared error of the reconstruction at each place"),
}
MOST_BYTES: Final = 2**24  # of all pictures together


class Shown(NamedTuple):
    """A picture of a run."""

    label: str  # of the configuration
    alternative: str
    address: str  # the picture itself, as a page can hold it
    width: int  # pixels
    height: int


class Gallery(NamedTuple):
    """Pictures of one kind."""

    title: str
    what: str
    rows: list[list[Shown]]  # one for each line of the figures, or one of all
    kind: str = ""  # of those of an evaluation


def galleries(groups: Sequence[SeedGroup], plan: Comparison) -> tuple[list[Gallery], list[str]]:
    """The pictures of some configurations; what is to be said about them."""
    rows, notes = examples(plan), list[str]()
    found, left = list[Gallery](), MOST_BYTES
    for kind, (title, what) in KINDS.items():
        shown = [[picture for point in row if (picture := _shown(point, kind, notes))] for row in rows]
        left -= sum(len(picture.address) for row in shown for picture in row)
        if left < 0:
            notes.append(f"{title} are left out: the page would grow too large.")
        elif any(shown):
            found.append(Gallery(title, what, [row for row in shown if row]))
    there, taken = sum(bool(group.finished) for group in groups), sum(map(len, rows))
    if found and taken < there:
        notes = [f"{there - taken} of {there} configurations are left out.", *notes]
    return found, [_same_inputs([_first(point) for row in rows for point in row]), *notes] if found else notes


def of_evaluation(
    part: str, runs: Mapping[str, tuple[Path, Sequence[str]]], what: Mapping[str, str]
) -> tuple[list[Gallery], list[str]]:
    """The pictures of a part of an evaluation, of a few runs; what is to be said about them.

    Args:
        part: its name.
        runs: by name their directories, and the names of the files.
        what: they show, by the kind of picture; one that is not among them is told by its name.
    """

    def told(kind: str) -> str:
        return what.get(kind, kind.replace("_", ": ", 1).replace("_", " "))

    shown, notes, left = dict[str, list[Shown]](), list[str](), MOST_BYTES // len(PARTS)
    for run, (directory, names) in runs.items():
        for name in names:
            kind = name.removesuffix(".png")
            try:
                picture = _picture(directory / EVALUATION_FOLDER / name, run, f"{told(kind)}, of {run}")
            except (OSError, ValueError) as error:
                notes.append(f"{name} of {run} is not shown: {getattr(error, 'strerror', None) or error}.")
                continue
            left -= len(picture.address)
            if left < 0:
                return [], [*notes, f"The pictures of {part} are left out: the page would grow too large."]
            shown.setdefault(kind, []).append(picture)
    return [Gallery("", told(kind), [found], kind) for kind, found in shown.items()], notes


def _first(point: Point) -> RunResult:
    return point.runs[min(point.runs)]


def _shown(point: Point, kind: str, notes: list[str]) -> Shown | None:
    """A picture, if it is there; where it cannot be shown, a note says so."""
    run, name, (title, what) = _first(point), format_configuration(point.values), KINDS[kind]
    alternative = f"{title} of {name}, seed {run.seed}: {what}"
    try:
        return _picture(run.directory / PICTURES_FOLDER / f"{kind}.png", name, alternative)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        notes.append(f"{kind}.png of {name} is not shown: {getattr(error, 'strerror', None) or error}.")
        return None


def _picture(path: Path, label: str, alternative: str) -> Shown:
    """One that is there.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is none that is shown.
        OSError: it cannot be read.
    """
    content = png.read(path)
    address = f"data:image/png;base64,{base64.b64encode(content).decode('ascii')}"
    return Shown(label, alternative, address, *png.size(content))


def _same_inputs(runs: Sequence[RunResult]) -> str:
    """Inputs and noise are drawn with the same seed in every run, if these and the device are the same."""
    apart = [group for group in ("data", "noise") if len({repr(_choices(run, group)) for run in runs}) > 1]
    apart += ["device"] if len({run.record.get("device") for run in runs}) > 1 else []
    seed = "Of the first finished seed of each configuration"
    if apart:
        return f"{seed}. Not at the same inputs and noise: the runs differ in {' and '.join(apart)}."
    return f"{seed}, at the same validation inputs with the same noise."


def _choices(run: RunResult, group: str) -> dict[str, object]:
    keys = [key for key in run.choices if key == group or key.startswith(f"{group}.")]
    return {key: run.choices[key] for key in sorted(keys) if key != "data.dir"}
