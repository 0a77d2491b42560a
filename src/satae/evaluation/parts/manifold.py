"""The part ``manifold``: whether the energy separates the data from what is not data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

from satae.config import ConfigError
from satae.config.option_types import MISSING
from satae.config.registry import DATA_SOURCES, EVALUATION_PARTS
from satae.evaluation.part import EvaluationPart, Track
from satae.evaluation.reported_evaluations import BRACKETS, PartSummary, ReportSection
from satae.evaluation.result import Cell, PartResult, ResultTable, StoredResult
from satae.evaluation.section_display import MAX_CHART_PANELS, bars_caption, interval_of_one_run, mean_curve
from satae.messages import unknown_choice
from satae.plots.charts import Chart, Panel, draw_histograms
from satae.plots.style import COLORS, DASHES, SMALL_PANEL_SIZE, Picture, draw_each
from satae.sweeps.series import MAX_SERIES, SHARE, Comparison, series_labels, spread_evenly
from satae.sweeps.text import shorten_value

if TYPE_CHECKING:
    from torch import Tensor

    from satae.data.dataset import Dataset
    from satae.evaluation.subject import Subject, TrainedRun

AUTO: Final = "auto"
NO_OTHER: Final = "none"
COLUMNS: Final = ("against", "auroc", "low", "high", "energy", "energy of data", "n", "n of data")
PLANE_COLUMNS: Final = ("measure", "value", "low", "high", "n")
PLANE_SHAPE: Final = (2,)  # shape of inputs in the plane
SHUFFLED: Final = "shuffled"
ENERGY_NOTE: Final = "energy: the median; auroc above 0.5: what is not data has the higher energy"
LOWEST_ENERGY: Final = 1e-12  # that is shown, on a logarithmic scale
MIN_PATCHES: Final = 20  # so that each split gets some


@EVALUATION_PARTS.register("manifold")
@dataclass(frozen=True, kw_only=True)
class Manifold(EvaluationPart):
    """Energy of the data against what is not data: AUROC."""

    description = (
        "Whether the energy tells the data from points that are not data: the area under the curve, 0.5 is chance; in"
        f" brackets, the {BRACKETS}."
    )
    pictures: ClassVar[Mapping[str, str]] = {
        "manifold_energies": "distribution of the energy of the data, and of each kind of what is not data",
        "manifold_map": "energy over the plane",
    }
    figures = ("manifold_auroc",)

    other: str

    def check(self, run: TrainedRun) -> None:
        """Refuse another data set that is missing, or does not fit."""
        other_data_set(self.other, run.config.data.name, run.shape)

    def find_missing(self, subject: Subject) -> dict[str, str]:
        """The comparison with other images, if the inputs are not images."""
        other = other_data_set(self.other, subject.config.data.name, subject.data.shape)
        return {"with other images": "the inputs are not images"} if other == NO_OTHER != self.other else {}

    def measure(self, subject: Subject, track: Track) -> PartResult:
        """Compare the energy 1/2 |x - x_hat|^2 of clean inputs with that of other inputs, which should be higher.

        AUROC is the probability that the other one of a pair has the higher energy: 1/2 is chance; below it the others
        are reconstructed better than the data.
        """
        from satae.robustness.estimates import auroc

        own = _energies(subject, subject.x)
        other = other_data_set(self.other, subject.config.data.name, subject.data.shape)
        draws = off_manifold(subject, other)
        energies = {name: _energies(subject, draws[name]()) for name in track([*draws])}
        areas = {name: auroc(own, others) for name, others in energies.items()}
        middle, plane = own.median().item(), _plane_rows(subject, own)
        rows: list[list[Cell]] = [
            [name, *areas[name][:3], others.median().item(), middle, len(others), len(own)]
            for name, others in energies.items()
        ]
        why = "manifold.other=none" if self.other == NO_OTHER else "the inputs are not images"
        plane_values: dict[str, float] = {str(row[0]): float(row[1]) for row in plane}  # type: ignore[arg-type]
        return PartResult(
            tables=[
                ResultTable("manifold", COLUMNS, rows, COLUMNS),
                *([ResultTable("plane", PLANE_COLUMNS, plane, PLANE_COLUMNS)] if plane else []),
            ],
            headline={f"auroc {name}": areas[name].value for name in (SHUFFLED, other) if name in areas},
            notes=[ENERGY_NOTE, *([f"no other data set: {why}"] if other == NO_OTHER else [])],
            scalars={f"auroc/{name}": area.value for name, area in areas.items()} | plane_values,
            histograms={f"log10_energy/{name}": _log(some) for name, some in {"data": own, **energies}.items()},
            pictures=_pictures(subject, own, energies),
        )

    @classmethod
    def summarize(cls, stored: StoredResult) -> PartSummary:
        """The area under the curve against each kind of what is not data."""
        summary = PartSummary.of(stored, label="AUROC against")
        for row in stored.rows("manifold"):
            summary.add(row.text("against"), row.number("auroc"), row.count("n"), row.interval())
        return summary

    @classmethod
    def charts(cls, section: ReportSection, comparison: Comparison) -> Iterator[Chart]:
        """A panel for each kind of input that is not data, if a number varies."""
        names = dict.fromkeys(name for summary in section.summaries.values() for name in summary.numbers)
        shown = [name for name in names if any(series.points_with(name) for series in comparison.series)]
        if comparison.x is None or not shown:
            return
        lines = spread_evenly(comparison.series, MAX_SERIES)
        line_labels = series_labels(lines) if len(lines) > 1 else [""]
        ticks = [point.x for series in lines for point in series.points]
        panels = []
        for name in shown[:MAX_CHART_PANELS]:
            curves = []
            for color, dash, series, label in zip(COLORS, DASHES, lines, line_labels, strict=False):
                known = series.points_with(name)
                statistics = [(point.x, point.statistics(name)) for point in known]
                ends = [interval_of_one_run(section.of(point), name) for point in known]
                style = {"color": color, "dash": dash, "marker": "o", "marker_size": 5, "label": label}
                curves.append(mean_curve(statistics, SHARE, ends, **style))
            labels = comparison.x_title, "AUROC of the energy", shorten_value(f"against {name}")
            panels.append(Panel(curves, *labels, ticks, y_possible=SHARE, shows_all_possible=True, level=0.5))
        left = len(comparison.series) - len(lines)
        caption = (
            "The probability that what is not data has a higher energy than the data: 1 tells them apart, at 0.5 (the"
            " thin line) it is chance, below it the model reconstructs what is not data better."
            f"{f' {left} more lines are left out.' if left else ''}{bars_caption(comparison)}"
        )
        title = f"AUROC of the energy against {shorten_value(comparison.x)}"
        yield Chart(cls.figures[0], title, caption, panels, 3, SMALL_PANEL_SIZE, legend="all panels")


# The measurement


def off_manifold(subject: Subject, other: str) -> dict[str, Callable[[], Tensor]]:
    """Functions that draw inputs (m, *shape) which are not data, by name.

    uniform        each element drawn evenly from the range of the data
    gaussian       each element with its mean and deviation in training, clipped to the range
    shuffled       the inputs, with the elements of each in a random order
    interpolated   the middle between each input and another one
    other          images of another data set, under its name
    """
    import torch

    x, (low, high), statistics = subject.x, subject.data.span, subject.statistics

    def uniform() -> Tensor:
        return torch.empty_like(x).uniform_(low, high, generator=subject.generator("uniform"))

    def gaussian() -> Tensor:
        draw = torch.empty_like(x).normal_(generator=subject.generator("gaussian"))
        return (statistics.mean + statistics.std * draw).clamp(low, high)

    def shuffle() -> Tensor:
        flat = x.flatten(1)
        order = torch.empty_like(flat).uniform_(generator=subject.generator("shuffled")).argsort(dim=1)
        return flat.gather(1, order).view_as(x)

    def interpolate_pairs() -> Tensor:
        order = torch.randperm(len(x), generator=subject.generator("interpolated"), device=x.device)
        return (x[order] + x[order.roll(1)]) / 2  # a single input stays as it is

    drawn = {"uniform": uniform, "gaussian": gaussian, SHUFFLED: shuffle, "interpolated": interpolate_pairs}
    return drawn if other == NO_OTHER else {**drawn, other: lambda: other_images(other, subject)}


def _energies(subject: Subject, x: Tensor) -> Tensor:
    from satae.training.metrics import energy

    return subject.map_batches(lambda batch: energy(subject.model, batch), x).cpu()


def _plane_rows(subject: Subject, own: Tensor) -> list[list[Cell]]:
    """For data in the plane: their mean energy, and the fraction of the box that is reconstructed."""
    from satae.robustness.estimates import mean_estimate
    from satae.training.metrics import energy_map, low_energy_area

    if subject.data.shape != PLANE_SHAPE:
        return []
    places = energy_map(subject.model, subject.data.span)
    area: list[Cell] = ["low_energy_area", low_energy_area(places), None, None, places.numel()]
    return [["energy", *mean_estimate(own)], area]


def _log(energies: Tensor) -> Tensor:
    return energies.clamp_min(LOWEST_ENERGY).log10()


def _pictures(subject: Subject, own: Tensor, energies: Mapping[str, Tensor]) -> dict[str, Picture]:
    from satae.plots import pictures

    panels = {name: {"data": _log(own), name: _log(others)} for name, others in energies.items()}
    label = "log10 of the energy ½‖x − x̂‖²"
    draws = {"energies": lambda: draw_histograms(panels, label, columns=3)}
    if subject.data.shape == PLANE_SHAPE:
        draws["map"] = lambda: pictures.draw_energy(subject.model, subject.x, subject.data.span)
    return draw_each(draws)


# Another data set


def other_data_set(other: str, own: str, shape: Sequence[int]) -> str:
    """The name of the other data set; ``"none"`` for no other.

    ``auto`` takes patches of the two photographs in scikit-learn, or for a model of patches the digits of
    scikit-learn; none for inputs that are not images.

    Args:
        other: the option that was chosen.
        own: name of the data set of the run.
        shape: shape of its inputs.

    Raises:
        ConfigError: it is unknown, is the data set of the run, is not on this machine, or the inputs are not images.
    """
    from satae.data.published import PUBLISHED_SETS, is_complete
    from satae.plots.pictures import is_image

    images = [entry.name for entry in DATA_SOURCES.entries() if entry.tags.get("images", True)]
    choices = [AUTO, NO_OTHER, *(name for name in images if MISSING not in DATA_SOURCES.defaults(name).values())]
    if other not in choices:
        raise ConfigError(unknown_choice("manifold.other", other, choices))
    if other == NO_OTHER or (other == AUTO and not is_image(shape)):
        return NO_OTHER
    if other == AUTO:
        return "digits" if own == "patches" else "patches"
    if not is_image(shape):
        raise ConfigError(f"manifold.other={other}: the inputs of the run are not images; choose none")
    if other == own:
        raise ConfigError(f"manifold.other={other}: is what the run was trained on; choose another, or none")
    published = PUBLISHED_SETS.get(other)
    if published and not is_complete(published):
        raise ConfigError(f"manifold.other={other}: is not on this machine; fetch it: satae-data fetch {other}")
    return other


def other_images(name: str, subject: Subject) -> Tensor:
    """Training images of another data set in the form of a run's inputs: (m, *shape), at most as many as the run's.

    Their range is stretched to the range of the data, and they are smoothly scaled to the size. Grey images are
    repeated for all channels, color images averaged to grey. Patches are cut at the size.

    Raises:
        ConfigError: the data set cannot be read.
    """
    from torch.nn.functional import interpolate

    from satae.plots.pictures import is_image

    shape, n = subject.data.shape, len(subject.x)
    limit = max(2, n)  # a data set has two examples at least
    options: dict[str, Any] = {"limit": limit}
    if name == "patches":
        options = {"size": max(shape[1:]), "colour": shape[0] == 3, "count": max(MIN_PATCHES, 2 * n), "limit": limit}
    try:
        data: Dataset = DATA_SOURCES.build(DATA_SOURCES.choice(name, DATA_SOURCES.defaults(name) | options))
    except (OSError, ValueError) as error:
        raise ConfigError(f"manifold.other={name}: cannot be read ({error}); choose another, or none") from None
    if not is_image(data.shape):
        raise ConfigError(f"manifold.other={name}: holds no images; choose another, or none")
    x = (data.batch(data.train.x[:n]) - data.span[0]) / (data.span[1] - data.span[0])
    if x.shape[2:] != shape[1:]:
        x = interpolate(x, shape[1:], mode="bilinear", antialias=True)
    if x.shape[1] != shape[0]:
        x = x.mean(dim=1, keepdim=True).expand(-1, shape[0], -1, -1)
    low, high = subject.data.span
    return (low + (high - low) * x).clamp(low, high).to(subject.x.device)
