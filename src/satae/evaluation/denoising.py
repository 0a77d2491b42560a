"""How well noise is taken away: of every kind, and of more and less of it than in training."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final, NamedTuple

import torch
from torch import Tensor

from satae.config.evaluation import Denoising
from satae.evaluation.findings import Findings, Table, Track
from satae.evaluation.similarity import LEAST, ssim, window_of
from satae.evaluation.subject import Subject
from satae.model.noise import corruption
from satae.plots.charts import Curve, Panel, draw_picture
from satae.plots.pictures import is_image, sheet
from satae.plots.style import COLORS, Picture
from satae.training.metrics import psnr, variances

CLEAN: Final = "none"
MEASURES: Final = ("mse", "psnr", "ssim", "fvu")
COLUMNS: Final = ("noise", "level", "seen", *MEASURES, *(f"noisy {measure}" for measure in MEASURES), "n")
SHOWN: Final = tuple(column for column in COLUMNS if "mse" not in column)  # psnr says as much
DRAWN: Final = tuple(column for column in SHOWN if column.removeprefix("noisy ") in MEASURES)


class Case(NamedTuple):
    """Noise of a kind and a level."""

    noise: str
    level: float


class Measured(NamedTuple):
    """What is measured of reconstructions, or of noisy inputs as they are."""

    mse: float  # in the data's units, squared
    psnr: float  # dB
    ssim: float | None  # None where the inputs are no images
    fvu: float


class Row(NamedTuple):
    """A case, measured."""

    case: Case
    seen: str
    model: Measured
    noisy: Measured


@torch.no_grad()
def denoising(subject: Subject, chosen: Denoising, track: Track) -> Findings:
    """Reconstructions of clean inputs from noisy ones, for each kind and level of noise.

    Beside each figure stands that of the noisy input itself: what doing nothing gives. Every level of a kind has the
    same draws. ``seen`` says whether the training had such noise: this level, this kind alone, or neither.
    """
    rows = [_row(subject, case) for case in track(cases(subject, chosen))]
    cells = [(*row.case, row.seen, *row.model, *row.noisy, len(subject.x)) for row in rows]
    seen = next((row for row in rows if row.seen == "level"), rows[0])
    kinds = {kind: found for kind, found in by_kind(rows).items() if kind != CLEAN}
    points = {f"{kind}/{name}": _points(found, name) for kind, found in kinds.items() for name in DRAWN}
    return Findings(
        tables=[Table("denoising", COLUMNS, cells, SHOWN)],
        headline={"fvu": seen.model.fvu, "psnr": seen.model.psnr},
        notes=[*notes(subject), *_drowned(subject, rows)],
        scalars={f"{CLEAN}/{name}": _number(rows[0], name) for name in ("psnr", "fvu")},
        curves={name.replace(" ", "_"): each for name, each in points.items() if each},
        pictures=_pictures(subject, rows),
    )


def cases(subject: Subject, chosen: Denoising) -> list[Case]:
    """Without noise first; then each kind by rising level, with the one that the training had."""
    trained = _trained(subject)
    levels = {kind: {*given, *([trained.level] if kind == trained.noise else [])} for kind, given in _given(chosen)}
    return [Case(CLEAN, 0.0), *(Case(kind, level) for kind, found in levels.items() for level in sorted(found))]


def _given(chosen: Denoising) -> list[tuple[str, list[float]]]:
    return [(kind, levels) for kind, levels in vars(chosen).items() if levels]


def _trained(subject: Subject) -> Case:
    noise = subject.config.noise
    return Case(noise.name, noise.options.get("level", 0.0))


def by_kind(rows: list[Row]) -> dict[str, list[Row]]:
    """The rows of each kind of noise."""
    kinds = dict.fromkeys(row.case.noise for row in rows)
    return {kind: [row for row in rows if row.case.noise == kind] for kind in kinds}


def notes(subject: Subject) -> list[str]:
    """The units, and how structural similarity was taken, or why not."""
    low, high = subject.data.span
    units = (
        f"level: in the units of the data, from {low:g} to {high:g}; of masking and salt_and_pepper a share of the"
        " elements; psnr: dB; noisy: of the noisy input itself"
    )
    window, shape = window_of(subject.data.shape), "x".join(map(str, subject.data.shape))
    if window is None:
        return [units, f"no ssim: inputs of {shape} are no grey or colour images of {LEAST}x{LEAST} or more"]
    return [units, f"ssim in windows of {window}x{window}, of images of {shape}"]


def _drowned(subject: Subject, rows: list[Row]) -> list[str]:
    """A word of noise that is wider than the data, which may be meant for other units."""
    added = ("gaussian", "uniform")
    cases = [row.case for row in rows if row.case.noise in added and row.case.level > subject.width]
    told = ", ".join(f"{case.noise} {case.level:g}" for case in cases)
    return [f"{told}: more than the whole range of the data, which is {subject.width:g}"] if cases else []


def corrupted(subject: Subject, case: Case) -> Tensor:
    """The inputs with noise: (n, *shape)."""
    level = {} if case.noise == CLEAN else {"level": case.level}
    return corruption(case.noise, span=subject.data.span, **level)(subject.x, subject.draws(f"noise {case.noise}"))


def _row(subject: Subject, case: Case) -> Row:
    x_noisy = corrupted(subject, case)
    x_hat = subject.mapped(subject.model, x_noisy)
    trained = _trained(subject)
    seen = ("level" if trained == case else "kind") if trained.noise == case.noise else "no"
    return Row(case, seen, measured(subject, x_hat), measured(subject, x_noisy))


def measured(subject: Subject, y: Tensor) -> Measured:
    """How close some images (n, *shape) are to the clean inputs."""
    error = y - subject.x
    left, variance = variances(error, subject.x, subject.centre)
    mse, window = error.square().mean().item(), window_of(subject.data.shape)
    similarity = None if window is None else ssim(subject.x, y, subject.width, window).mean().item()
    fvu = (left / variance).item() if variance else math.nan
    return Measured(mse, psnr(mse, subject.width), similarity, fvu)


def _get(row: Row, name: str) -> float | None:
    of = row.noisy if name.startswith("noisy ") else row.model
    value: float | None = getattr(of, name.removeprefix("noisy "))
    return value


def _points(rows: list[Row], name: str) -> list[tuple[float, float]]:
    """A measure against the level, where it is known."""
    return [(row.case.level, value) for row in rows if (value := _get(row, name)) is not None]


def _number(row: Row, name: str) -> float:
    value = _get(row, name)
    assert value is not None
    return value


def _pictures(subject: Subject, rows: list[Row]) -> Mapping[str, Picture]:
    found = {kind: of for kind, of in by_kind(rows).items() if kind != CLEAN}
    pictures = {}
    if found:
        shown = ("fvu", "ssim") if rows[0].model.ssim is not None else ("fvu",)
        label = "level of the noise (star: as in training)"
        panels = [Panel(_curves(of, name), label, name, kind) for name in shown for kind, of in found.items()]
        pictures["curves"] = draw_picture(panels, len(found))
    if is_image(subject.data.shape):
        images = {"clean  x": subject.x, "x_hat  of the clean x": subject.model(subject.x[:8])}
        for kind, of in found.items():
            case = next((row.case for row in of if row.seen == "level"), of[len(of) // 2].case)
            x_noisy = corrupted(subject, case)[:8]
            images |= {f"{kind} {case.level:g}": x_noisy, f"x_hat  of {kind} {case.level:g}": subject.model(x_noisy)}
        pictures["reconstructions"] = Picture.encode(sheet(images, subject.data.span))
    return pictures


def _curves(rows: list[Row], name: str) -> list[Curve]:
    levels = [row.case.level for row in rows]
    numbers = [_number(row, name) for row in rows]
    noisy = [_number(row, f"noisy {name}") for row in rows]
    seen = [(row.case.level, _number(row, name)) for row in rows if row.seen == "level"]
    stars = ([level for level, _ in seen], [number for _, number in seen])
    return [
        Curve(levels, numbers, "reconstruction", COLORS[0], marker="o", marker_size=4),
        Curve(levels, noisy, "noisy input", COLORS[0], "--", "o", 4, is_hollow=True),
        Curve(*stars, color=COLORS[0], dash="none", marker="*", marker_size=13),
    ]
