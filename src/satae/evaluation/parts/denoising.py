"""The part ``denoising``: how well noise of every kind, and common corruptions of images, are removed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from statistics import fmean
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, NamedTuple

from satae.config.option_types import Level, Share
from satae.config.registry import EVALUATION_PARTS, NOISES
from satae.evaluation.part import EvaluationPart, Track
from satae.evaluation.reported_evaluations import PartSummary, ReportSection
from satae.evaluation.result import Cell, PartResult, ResultRow, ResultTable, StoredResult
from satae.evaluation.section_display import MAX_CHART_PANELS, curve_over_seeds, mean_curve
from satae.plots.charts import Chart, Curve, Panel, draw_picture
from satae.plots.style import COLORS, DASHES, SMALL_PANEL_SIZE, Picture, draw_each
from satae.sweeps.aggregate import SeedStatistics
from satae.sweeps.series import MAX_SERIES, Comparison, spread_evenly
from satae.sweeps.text import distinct_labels, format_configuration, shorten_value
from satae.training.metric_titles import TITLES, possible_values

if TYPE_CHECKING:
    from torch import Tensor

    from satae.evaluation.subject import Subject

Corruption = Literal["blur", "brightness", "contrast", "translate", "rotate", "scale", "shear"]

MEASURES: Final = ("fvu", "psnr")  # in the report
NOISY: Final = "noisy"
SEEN, UNSEEN = "seen", "no"

MEASURE_TITLES: Final = {
    "fvu": TITLES["fvu"].long,
    "psnr": TITLES["psnr"].long,
    "ssim": "structural similarity (ssim)",
}

NO_NOISE: Final = "none"
QUALITY_MEASURES: Final = ("mse", "psnr", "ssim", "fvu")
COLUMNS: Final = ("noise", "level", "seen", *QUALITY_MEASURES, *(f"{NOISY} {name}" for name in QUALITY_MEASURES), "n")
SHOWN_COLUMNS: Final = tuple(column for column in COLUMNS if "mse" not in column)  # psnr says the same as mse
CURVES: Final = tuple(column for column in SHOWN_COLUMNS if column.removeprefix(f"{NOISY} ") in QUALITY_MEASURES)
CORRUPTED: Final = "corrupted"
CORRUPTION_MEASURES: Final = (*QUALITY_MEASURES, *(f"{CORRUPTED} {name}" for name in QUALITY_MEASURES))
CORRUPTION_COLUMNS: Final = ("corruption", "severity", *CORRUPTION_MEASURES, "n")
MEAN_COLUMNS: Final = ("corruption", *(name for name in CORRUPTION_MEASURES if "mse" not in name), "n")
ALL_CORRUPTIONS: Final = "mean"
CORRUPTION_FVU: Final = "fvu under corruptions"
SHOWN_SEVERITY: Final = 3  # in pictures
CORRUPTION_NOTE: Final = (
    "corruptions: means over the severities 1 to 5, compared with the clean image, also where the image was moved or"
    " deformed: a model that leaves it there does not remove the corruption"
)
SMALLEST_SIDE: Final = 7  # pixels of the smallest images that ssim compares
SMALL_SIDE: Final = 16  # pixels of images of which the usual window would cover most
USUAL_WINDOW, SMALL_WINDOW = 7, 3


@EVALUATION_PARTS.register("denoising")
@dataclass(frozen=True, kw_only=True)
class Denoising(EvaluationPart):
    """Error, PSNR and SSIM against the level of each kind of noise, and under common corruptions of images."""

    description = (
        "How well noise is removed. psnr and fvu are measured with the noise of the training; after training without"
        f" noise, on clean inputs. {CORRUPTION_FVU}: the mean over common corruptions of images (as in MNIST-C and"
        " CIFAR-10-C) and their severities 1 to 5, compared with the clean images; evaluation.csv has each of them."
    )
    figures = tuple(f"denoising_{measure}" for measure in MEASURES)
    repeated_picture = "denoising_curves"
    pictures: ClassVar[Mapping[str, str]] = {
        repeated_picture: "error and similarity of the reconstruction, and of the noisy input itself, against the level"
        " of each kind of noise; a star: as in training",
        "denoising_reconstructions": "clean inputs, noisy ones of each kind, and their reconstructions",
        "denoising_corruptions": f"clean inputs, inputs under each corruption of severity {SHOWN_SEVERITY}, and their"
        " reconstructions",
    }

    gaussian: list[Level]
    uniform: list[Level]
    masking: list[Share]
    salt_and_pepper: list[Share]
    corruptions: list[Corruption]

    def measure(self, subject: Subject, track: Track) -> PartResult:
        """Reconstruct clean inputs from noisy ones, for each kind and level of noise, and from corrupted images.

        Beside each value stands that of the noisy input itself: what doing nothing gives. Every level of a kind uses
        the same random draws. ``seen`` says whether the training had such noise.
        """
        from satae.evaluation.parts.corruptions import SEVERITIES
        from satae.plots.pictures import is_image

        levels = noise_levels(subject, {kind: found for kind, found in asdict(self).items() if kind != "corruptions"})
        chosen = [*dict.fromkeys(self.corruptions)] if is_image(subject.data.shape) else []
        steps = [
            *(partial(_row, subject, level) for level in levels),
            *(partial(_corruption_row, subject, kind, severity) for kind in chosen for severity in SEVERITIES),
        ]
        found = [step() for step in track(steps)]
        rows, corrupted = found[: len(levels)], found[len(levels) :]
        means = _corruption_means(corrupted)
        clean, *noisy = rows
        as_trained = next((row for row in rows if row["seen"] == "level"), clean)
        kinds: dict[str, list[ResultRow]] = {}
        for row in noisy:
            kinds.setdefault(row.text("noise"), []).append(row)
        points = {f"{kind}/{name}": _points(some, name) for kind, some in kinds.items() for name in CURVES}
        tables = [ResultTable("denoising", COLUMNS, [[*row.values()] for row in rows], SHOWN_COLUMNS)]
        headline, notes = {"fvu": as_trained["fvu"], "psnr": as_trained["psnr"]}, [*_notes(subject, rows)]
        scalars = {f"{NO_NOISE}/{name}": clean.number(name) for name in ("psnr", "fvu")}
        if chosen:
            tables += [
                ResultTable("corruptions", CORRUPTION_COLUMNS, [[*row.values()] for row in corrupted], ()),
                ResultTable("corruption means", MEAN_COLUMNS, [[*row.values()] for row in means], MEAN_COLUMNS),
            ]
            headline[CORRUPTION_FVU] = means[-1]["fvu"]
            notes.append(CORRUPTION_NOTE)
            scalars |= {f"corruptions/{row['corruption']}/fvu": row.number("fvu") for row in means}
        elif self.corruptions:
            notes.append("no corruptions: the inputs are not images")
        return PartResult(
            tables=tables,
            headline=headline,
            notes=notes,
            scalars=scalars,
            curves={name.replace(" ", "_"): each for name, each in points.items() if each},
            pictures=_pictures(subject, kinds, chosen),
        )

    @classmethod
    def summarize(cls, stored: StoredResult) -> PartSummary:
        """Both measures against the level of each kind of noise, and those of the noisy inputs themselves."""
        summary, rows = PartSummary.of(stored), [*stored.rows("denoising")]
        for row in rows:
            kind = row.text("noise")
            for measure in (*MEASURES, *(f"{NOISY} {measure}" for measure in MEASURES)):
                places = summary.curves.setdefault(f"{kind}/{measure}", {})
                places[row.number("level")] = row.number(measure)
            if summary.noise_seen.get(kind) != SEEN:
                summary.noise_seen[kind] = UNSEEN if row["seen"] == UNSEEN else SEEN
        for measure in MEASURES if rows else ():
            summary.add(measure, stored.headline.number(measure), rows[0].count("n"))
        if rows and CORRUPTION_FVU in stored.headline:
            summary.add(CORRUPTION_FVU, stored.headline.number(CORRUPTION_FVU), rows[0].count("n"))
        return summary

    @classmethod
    def charts(cls, section: ReportSection, comparison: Comparison) -> Iterator[Chart]:
        """A chart for each measure, with a panel for each kind of noise."""
        all_points = [point for point in comparison.points if point.finished_runs]
        points = spread_evenly(all_points, MAX_SERIES - 1)
        names = [format_configuration(point.values) for point in points]
        labels = distinct_labels(names, 60)
        found = [(labels[name], section.of(point)) for name, point in zip(names, points, strict=True)]
        known = dict.fromkeys(kind for _, some in found for each in some for kind in each.noise_seen)
        left = len(all_points) - len(points)
        for measure in MEASURES:
            kinds = [
                kind for kind in known if any(len(curve_over_seeds(some, f"{kind}/{measure}")) > 1 for _, some in found)
            ]
            if not kinds:
                continue
            caption = (
                "Reconstructions of noisy inputs are compared with the clean inputs;"
                f" {'less' if measure == 'fvu' else 'more'} is better. The noisy input is compared as it is,"
                f" without a reconstruction.{f' {left} more configurations are left out.' if left else ''}"
                f"{comparison.bars_caption()}"
            )
            panels = [_noise_panel(kind, measure, found) for kind in kinds[:MAX_CHART_PANELS]]
            title, name = f"{MEASURE_TITLES[measure]} against the level of the noise", f"denoising_{measure}"
            yield Chart(name, title[:1].upper() + title[1:], caption, panels, 2, SMALL_PANEL_SIZE, legend="all panels")


def _noise_panel(kind: str, measure: str, found: Sequence[tuple[str, Sequence[PartSummary]]]) -> Panel:
    """A curve for each configuration, and one for the noisy inputs if all configurations had the same."""
    curves = []
    for (label, some), color, dash in zip(found, COLORS, DASHES, strict=False):
        statistics = curve_over_seeds(some, f"{kind}/{measure}")
        possible = possible_values(measure)
        curves.append(mean_curve(statistics, possible, color=color, dash=dash, marker=".", label=label))
    noisy = [curve_over_seeds(some, f"{kind}/{NOISY} {measure}") for _, some in found]
    if _are_alike(noisy):
        curves.append(Curve([x for x, _ in noisy[0]], [y.mean for _, y in noisy[0]], "noisy input", dash=":"))
    seen = {each.noise_seen[kind] for _, some in found for each in some if kind in each.noise_seen}
    known = "in training" if seen == {SEEN} else "not in training" if seen == {UNSEEN} else "in training of some"
    return Panel(curves, _level_title(kind), MEASURE_TITLES[measure], f"{_kind_title(kind)}: {known}")


def _kind_title(kind: str) -> str:
    return f"{shorten_value(kind, 30)} noise".replace("_", " ")


def _level_title(kind: str) -> str:
    is_share = kind in ("masking", "salt_and_pepper")
    return f"noise level, {'as a share of the elements' if is_share else 'in the units of the data'}"


def _are_alike(curves: Sequence[Sequence[tuple[float, SeedStatistics]]]) -> bool:
    """Whether the curves agree at the places that they share."""
    first, *others = ({place: one.mean for place, one in curve} for curve in curves)
    return all(math.isclose(first[x], other[x], rel_tol=1e-3) for other in others for x in other if x in first)


# The measurement


class NoiseLevel(NamedTuple):
    """A kind of noise and its level."""

    noise: str
    level: float


def noise_levels(subject: Subject, chosen: Mapping[str, Sequence[float]]) -> list[NoiseLevel]:
    """No noise first; then each chosen kind by rising level, including the level of the training.

    If the training had a noise that the part has no option for, it is measured at the level of the training.
    """
    trained = _trained_noise(subject)
    levels = {kind: {*found} for kind, found in chosen.items() if found}
    if trained.noise in levels or trained.noise not in (NO_NOISE, *chosen):
        levels.setdefault(trained.noise, set()).add(trained.level)
    every = [NoiseLevel(kind, level) for kind, found in levels.items() for level in sorted(found)]
    return [NoiseLevel(NO_NOISE, 0.0), *every]


def _trained_noise(subject: Subject) -> NoiseLevel:
    noise = subject.config.noise
    return NoiseLevel(noise.name, noise.options.get("level", 0.0))


def _notes(subject: Subject, rows: Sequence[ResultRow]) -> Iterator[str]:
    (low, high), window = subject.data.span, ssim_window(subject.data.shape)
    shape, smallest = "x".join(map(str, subject.data.shape)), f"{SMALLEST_SIDE}x{SMALLEST_SIDE}"
    yield (
        f"level: in the units of the data, from {low:g} to {high:g}; of masking and salt_and_pepper a share of the"
        " elements; psnr: dB; noisy: of the noisy input itself"
    )
    if window is None:
        yield f"no ssim: inputs of {shape} are not grey or color images of {smallest} or more"
    else:
        yield f"ssim in windows of {window}x{window}, of images of {shape}"
    in_data_units = {entry.name for entry in NOISES.entries() if entry.tags.get("in_data_units")}
    wide = [row for row in rows if row["noise"] in in_data_units and row.number("level") > subject.range_width]
    if wide:  # the level may be meant in other units
        levels = ", ".join(f"{row['noise']} {row['level']:g}" for row in wide)
        yield f"{levels}: more than the whole range of the data, which is {subject.range_width:g}"


def add_noise(subject: Subject, at: NoiseLevel) -> Tensor:
    """The inputs with noise: (n, *shape)."""
    from satae.model.noise import corruption

    options = {} if at.noise == NO_NOISE else {"level": at.level}
    if at == _trained_noise(subject):
        options = subject.config.noise.options
    noise = corruption(at.noise, span=subject.data.span, model=subject.model, **options)
    return noise(subject.x, subject.generator(f"noise {at.noise}"))


def _row(subject: Subject, at: NoiseLevel) -> ResultRow:
    """Measure one kind and level of noise; the cells are in the order of ``COLUMNS``."""
    x_noisy, trained = add_noise(subject, at), _trained_noise(subject)
    seen = ("level" if trained == at else "kind") if trained.noise == at.noise else UNSEEN
    return ResultRow(noise=at.noise, level=at.level, seen=seen, **_compare(subject, x_noisy, NOISY))


def corrupt_inputs(subject: Subject, kind: Corruption, severity: int) -> Tensor:
    """The inputs, which are images, under a corruption: (n, *shape)."""
    from satae.evaluation.parts.corruptions import corrupt

    return corrupt(kind, subject.x, severity, subject.data.span, subject.generator(f"corruption {kind}"))


def _corruption_row(subject: Subject, kind: Corruption, severity: int) -> ResultRow:
    """Measure one severity of a corruption; the cells are in the order of ``CORRUPTION_COLUMNS``."""
    x_corrupted = corrupt_inputs(subject, kind, severity)
    return ResultRow(corruption=kind, severity=severity, **_compare(subject, x_corrupted, CORRUPTED))


def _corruption_means(rows: Sequence[ResultRow]) -> list[ResultRow]:
    """The means over the severities of each corruption, and last over all; cells in the order of ``MEAN_COLUMNS``."""
    kinds = dict.fromkeys(row["corruption"] for row in rows)
    groups = {kind: [row for row in rows if row["corruption"] == kind] for kind in kinds} | {ALL_CORRUPTIONS: [*rows]}
    means = []
    for kind, some in groups.items() if rows else ():
        mean = {name: fmean(row.number(name) for row in some) for name in MEAN_COLUMNS[1:-1]}
        means.append(ResultRow({"corruption": kind, **mean, "n": some[0]["n"]}))
    return means


def _compare(subject: Subject, x_changed: Tensor, word: str) -> dict[str, Cell]:
    """How close the reconstruction of changed inputs is to the clean ones; then, after a word, the changed inputs."""
    of_input = {f"{word} {name}": value for name, value in compare_to_clean(subject, x_changed).items()}
    return {**compare_to_clean(subject, subject.map_batches(subject.model, x_changed)), **of_input, "n": len(subject.x)}


def compare_to_clean(subject: Subject, y: Tensor) -> dict[str, float | None]:
    """How close some inputs (n, *shape) are to the clean ones: each of ``QUALITY_MEASURES``.

    ``mse`` is in the data's units, squared; ``psnr`` in dB; ``ssim`` is None for inputs that are not images.
    """
    from satae.training.metrics import psnr, variances

    error = y - subject.x
    unexplained, variance = variances(error, subject.x, subject.statistics)
    mse, window = error.square().mean().item(), ssim_window(subject.data.shape)
    similarity = None if window is None else ssim(subject.x, y, subject.range_width, window).mean().item()
    fvu = (unexplained / variance).item() if variance else math.nan
    return {"mse": mse, "psnr": psnr(mse, subject.range_width), "ssim": similarity, "fvu": fvu}


def _points(rows: Sequence[ResultRow], measure: str) -> list[tuple[float, float]]:
    return [(row.number("level"), row.number(measure)) for row in rows if row[measure] is not None]


def _pictures(
    subject: Subject, kinds: Mapping[str, Sequence[ResultRow]], corruptions: Sequence[Corruption]
) -> Mapping[str, Picture]:
    from satae.plots.pictures import draw_sheet, is_image

    draws: dict[str, Callable[[], Picture]] = {}
    if kinds:
        shown = [name for name in ("fvu", "ssim") if all(_points(rows, name) for rows in kinds.values())]
        panels = [
            Panel(
                _curves(rows, name),
                f"{_level_title(kind)} (star: as in training)",
                MEASURE_TITLES[name],
                _kind_title(kind),
            )
            for name in shown
            for kind, rows in kinds.items()
        ]
        draws["curves"] = lambda: draw_picture(panels, len(kinds))
    if is_image(subject.data.shape):
        images = {"clean input": subject.x, "reconstruction of the clean input": subject.model(subject.x[:8])}
        for kind, rows in kinds.items():
            level = next((row for row in rows if row["seen"] == "level"), rows[len(rows) // 2]).number("level")
            x_noisy = add_noise(subject, NoiseLevel(kind, level))[:8]
            name = f"{_kind_title(kind)}, {level:g}"
            images |= {f"input with {name}": x_noisy, f"reconstruction, {name}": subject.model(x_noisy)}
        draws["reconstructions"] = lambda: Picture.encode(draw_sheet(images, subject.data.span))
    if corruptions:
        sheet = {"clean input": subject.x}
        for kind in corruptions:
            x_corrupted = corrupt_inputs(subject.first(8), kind, SHOWN_SEVERITY)
            sheet |= {f"input, {kind}": x_corrupted, f"reconstruction, {kind}": subject.model(x_corrupted)}
        draws["corruptions"] = lambda: Picture.encode(draw_sheet(sheet, subject.data.span))
    return draw_each(draws)


def _curves(rows: Sequence[ResultRow], measure: str) -> list[Curve]:
    def curve(rows: Sequence[ResultRow], measure: str, **style: Any) -> Curve:
        levels, values = ([row.number(column) for row in rows] for column in ("level", measure))
        return Curve(levels, values, color=COLORS[0], **style)

    as_trained = [row for row in rows if row["seen"] == "level"]
    return [
        curve(rows, measure, label="reconstruction", marker="o", marker_size=4),
        curve(rows, f"{NOISY} {measure}", label="noisy input", dash="--", marker="o", marker_size=4, is_hollow=True),
        curve(as_trained, measure, dash="none", marker="*", marker_size=13),
    ]


def ssim_window(shape: Sequence[int]) -> int | None:
    """The side of the window of ssim for inputs (C, H, W); None if they are not images, or too small.

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
    import torch
    from skimage.metrics import structural_similarity

    pairs = zip(x.cpu().double().numpy(), y.cpu().double().numpy(), strict=True)
    found = [structural_similarity(*pair, win_size=window, data_range=width, channel_axis=0) for pair in pairs]
    return torch.tensor(found, dtype=torch.float64)
