"""Measures how well noise is removed: every kind, and more and less of it than in training."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

import torch
from torch import Tensor

from satae.config.registries import NOISES
from satae.evaluation.result import PartResult, ResultTable
from satae.evaluation.subject import Subject
from satae.model.noise import corruption
from satae.plots.charts import Curve, Panel, draw_picture
from satae.plots.pictures import is_image, sheet
from satae.plots.style import COLORS, Picture
from satae.training.metrics import psnr, variances

if TYPE_CHECKING:
    from satae.evaluation.part import Track
    from satae.evaluation.parts.denoising import Denoising

NO_NOISE: Final = "none"
QUALITY_MEASURES: Final = ("mse", "psnr", "ssim", "fvu")
COLUMNS: Final = ("noise", "level", "seen", *QUALITY_MEASURES, *(f"noisy {name}" for name in QUALITY_MEASURES), "n")
SHOWN_COLUMNS: Final = tuple(column for column in COLUMNS if "mse" not in column)  # psnr says the same as mse
CURVES: Final = tuple(column for column in SHOWN_COLUMNS if column.removeprefix("noisy ") in QUALITY_MEASURES)
SMALLEST_SIDE: Final = 7  # of images that ssim compares
SMALL_SIDE: Final = 16  # of images of which the usual window would cover most
USUAL_WINDOW, SMALL_WINDOW = 7, 3


class NoiseLevel(NamedTuple):
    """A kind of noise and its level."""

    noise: str
    level: float


class Quality(NamedTuple):
    """How close images are to the clean inputs."""

    mse: float  # in the data's units, squared
    psnr: float  # dB
    ssim: float | None  # None if the inputs are no images
    fvu: float


class NoiseRow(NamedTuple):
    """One kind and level of noise, measured."""

    at: NoiseLevel
    seen: str  # in training: "level", only the "kind", or "no"
    reconstructed: Quality
    noisy: Quality

    def value(self, measure: str) -> float | None:
        """A measure of the reconstructions, or with the prefix ``noisy`` of the noisy inputs."""
        quality = self.noisy if measure.startswith("noisy ") else self.reconstructed
        value: float | None = getattr(quality, measure.removeprefix("noisy "))
        return value


@torch.no_grad()
def measure_denoising(subject: Subject, options: Denoising, track: Track) -> PartResult:
    """Reconstruct clean inputs from noisy ones, for each kind and level of noise.

    Beside each value stands that of the noisy input itself: what doing nothing gives. Every level of a kind uses the
    same random draws. ``seen`` says whether the training had such noise.
    """
    rows = [_row(subject, level) for level in track(noise_levels(subject, options.levels()))]
    cells = [(*row.at, row.seen, *row.reconstructed, *row.noisy, len(subject.x)) for row in rows]
    as_trained = next((row for row in rows if row.seen == "level"), rows[0]).reconstructed
    clean = rows[0].reconstructed
    kinds = _by_kind(rows)
    points = {f"{kind}/{name}": _points(found, name) for kind, found in kinds.items() for name in CURVES}
    return PartResult(
        tables=[ResultTable("denoising", COLUMNS, cells, SHOWN_COLUMNS)],
        headline={"fvu": as_trained.fvu, "psnr": as_trained.psnr},
        notes=[*_notes(subject), *_noise_beyond_range(subject, rows)],
        scalars={f"{NO_NOISE}/psnr": clean.psnr, f"{NO_NOISE}/fvu": clean.fvu},
        curves={name.replace(" ", "_"): each for name, each in points.items() if each},
        pictures=_pictures(subject, kinds),
    )


def noise_levels(subject: Subject, chosen: Mapping[str, Sequence[float]]) -> list[NoiseLevel]:
    """No noise first; then each chosen kind by rising level, including the level of the training.

    If the training had a noise that the part has no option for, it is measured at the level of the training.
    """
    trained = _trained_noise(subject)
    levels = {
        kind: {*found, *([trained.level] if kind == trained.noise else [])} for kind, found in chosen.items() if found
    }
    if trained.noise not in (NO_NOISE, *chosen):
        levels[trained.noise] = {trained.level}
    every = [NoiseLevel(kind, level) for kind, found in levels.items() for level in sorted(found)]
    return [NoiseLevel(NO_NOISE, 0.0), *every]


def _trained_noise(subject: Subject) -> NoiseLevel:
    noise = subject.config.noise
    return NoiseLevel(noise.name, noise.options.get("level", 0.0))


def _by_kind(rows: Sequence[NoiseRow]) -> dict[str, list[NoiseRow]]:
    kinds = dict.fromkeys(row.at.noise for row in rows if row.at.noise != NO_NOISE)
    return {kind: [row for row in rows if row.at.noise == kind] for kind in kinds}


def _notes(subject: Subject) -> list[str]:
    low, high = subject.data.span
    units = (
        f"level: in the units of the data, from {low:g} to {high:g}; of masking and salt_and_pepper a share of the"
        " elements; psnr: dB; noisy: of the noisy input itself"
    )
    window, shape = ssim_window(subject.data.shape), "x".join(map(str, subject.data.shape))
    if window is None:
        smallest = f"{SMALLEST_SIDE}x{SMALLEST_SIDE}"
        return [units, f"no ssim: inputs of {shape} are no grey or colour images of {smallest} or more"]
    return [units, f"ssim in windows of {window}x{window}, of images of {shape}"]


def _noise_beyond_range(subject: Subject, rows: Sequence[NoiseRow]) -> list[str]:
    """A note on noise that is wider than the data, whose level may be meant in other units."""
    added = {entry.name for entry in NOISES.entries() if entry.facts.get("in_data_units")}
    wide = [row.at for row in rows if row.at.noise in added and row.at.level > subject.range_width]
    levels = ", ".join(f"{noise} {level:g}" for noise, level in wide)
    return [f"{levels}: more than the whole range of the data, which is {subject.range_width:g}"] if wide else []


def add_noise(subject: Subject, at: NoiseLevel) -> Tensor:
    """The inputs with noise: (n, *shape)."""
    options = {} if at.noise == NO_NOISE else {"level": at.level}
    if at == _trained_noise(subject):
        options = subject.config.noise.options
    return corruption(at.noise, span=subject.data.span, **options)(subject.x, subject.generator(f"noise {at.noise}"))


def _row(subject: Subject, at: NoiseLevel) -> NoiseRow:
    x_noisy = add_noise(subject, at)
    x_hat = subject.map_batches(subject.model, x_noisy)
    trained = _trained_noise(subject)
    seen = ("level" if trained == at else "kind") if trained.noise == at.noise else "no"
    return NoiseRow(at, seen, compare_to_clean(subject, x_hat), compare_to_clean(subject, x_noisy))


def compare_to_clean(subject: Subject, y: Tensor) -> Quality:
    """How close some images (n, *shape) are to the clean inputs."""
    error = y - subject.x
    unexplained, variance = variances(error, subject.x, subject.statistics)
    mse, window = error.square().mean().item(), ssim_window(subject.data.shape)
    similarity = None if window is None else ssim(subject.x, y, subject.range_width, window).mean().item()
    fvu = (unexplained / variance).item() if variance else math.nan
    return Quality(mse, psnr(mse, subject.range_width), similarity, fvu)


def _points(rows: Sequence[NoiseRow], measure: str) -> list[tuple[float, float]]:
    return [(row.at.level, value) for row in rows if (value := row.value(measure)) is not None]


def _pictures(subject: Subject, kinds: Mapping[str, Sequence[NoiseRow]]) -> Mapping[str, Picture]:
    pictures = {}
    if kinds:
        shown = [name for name in ("fvu", "ssim") if all(_points(rows, name) for rows in kinds.values())]
        label = "level of the noise (star: as in training)"
        panels = [Panel(_curves(rows, name), label, name, kind) for name in shown for kind, rows in kinds.items()]
        pictures["curves"] = draw_picture(panels, len(kinds))
    if is_image(subject.data.shape):
        images = {"clean  x": subject.x, "x_hat  of the clean x": subject.model(subject.x[:8])}
        for kind, rows in kinds.items():
            at = next((row.at for row in rows if row.seen == "level"), rows[len(rows) // 2].at)
            x_noisy = add_noise(subject, at)[:8]
            images |= {f"{kind} {at.level:g}": x_noisy, f"x_hat  of {kind} {at.level:g}": subject.model(x_noisy)}
        pictures["reconstructions"] = Picture.encode(sheet(images, subject.data.span))
    return pictures


def _curves(rows: Sequence[NoiseRow], measure: str) -> list[Curve]:
    levels = [row.at.level for row in rows]
    own, noisy = ([value for _, value in _points(rows, name)] for name in (measure, f"noisy {measure}"))
    stars = _points([row for row in rows if row.seen == "level"], measure)
    return [
        Curve(levels, own, "reconstruction", COLORS[0], marker="o", marker_size=4),
        Curve(levels, noisy, "noisy input", COLORS[0], "--", "o", 4, is_hollow=True),
        Curve(
            *([level for level, _ in stars], [value for _, value in stars]),
            color=COLORS[0],
            dash="none",
            marker="*",
            marker_size=13,
        ),
    ]


def ssim_window(shape: Sequence[int]) -> int | None:
    """The side of the window of ssim for inputs (C, H, W); None if they are no images, or too small.

    7 is usual (:func:`skimage.metrics.structural_similarity`). On an 8x8 image it would leave four places that share
    most of their pixels, so images below 16x16 get 3.
    """
    if len(shape) != 3 or shape[0] not in (1, 3) or min(shape[1:]) < SMALLEST_SIDE:
        return None
    return USUAL_WINDOW if min(shape[1:]) >= SMALL_SIDE else SMALL_WINDOW


def ssim(x: Tensor, y: Tensor, width: float, window: int) -> Tensor:
    """Structural similarity of each pair of images, 1 for equal ones, averaged over windows and channels.

    Wang, Bovik, Sheikh and Simoncelli (2004), IEEE Trans. Image Processing 13(4), 600-612; by scikit-image.

    Args:
        x: images (N, C, H, W).
        y: images (N, C, H, W).
        width: width of the range of the data.
        window: side of the window, odd.

    Returns:
        (N,), in float64.
    """
    from skimage.metrics import structural_similarity

    pairs = zip(x.cpu().double().numpy(), y.cpu().double().numpy(), strict=True)
    found = [structural_similarity(*pair, win_size=window, data_range=width, channel_axis=0) for pair in pairs]
    return torch.tensor(found, dtype=torch.float64)
