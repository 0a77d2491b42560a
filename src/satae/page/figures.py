"""The charts of a sweep, and of a single run."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Final

from satae.messages import join_words
from satae.plots.charts import ROW_NAME_LETTERS, Chart, Curve, ErrorBars, Panel
from satae.plots.style import COLORS, DASHES, MARKERS, PANEL_SIZE, SMALL_PANEL_SIZE
from satae.sweeps.aggregate import SeedGroup
from satae.sweeps.results import RunResult
from satae.sweeps.series import Comparison, Series, error_bars, series_labels, spread_evenly
from satae.sweeps.text import distinct_labels, shorten_value
from satae.training.metric_titles import FVU, SATURATED, SENSITIVITY, TOTAL, long_title, possible_values, split_title

TRADE_OFF: Final = "trade_off"
COURSE: Final = "course"
FIGURE_NAMES: Final = (*(metric.replace("/", "_") for metric in (FVU, SATURATED, SENSITIVITY)), TRADE_OFF, COURSE)
ROW_HEIGHT: Final = 0.28  # inches, where each configuration has a row
MAX_CHART_ROWS: Final = 40
COURSE_PANELS: Final = {
    "loss": ("train/total", TOTAL, "train/reconstruction", "valid/reconstruction"),
    long_title(SATURATED): ("train/saturated_fraction", SATURATED),
}
SHARED_COURSE_PANELS: Final = {  # losses of runs with different alpha are compared without the penalty
    "reconstruction loss": ("train/reconstruction", "valid/reconstruction"),
    long_title(SATURATED): ("train/saturated_fraction", SATURATED),
}
SENSITIVITY_CAPTION: Final = (
    "It is the squared change of the code under Gaussian noise of 0.05 of the data's range, not clipped to that range,"
    " divided by the variance of the code."
)
MAX_DRAWN: Final = 1e100
MAX_EPOCHS_READ: Final = 100_000
MAX_EPOCHS_DRAWN: Final = 1_000


def sweep_charts(comparison: Comparison) -> Iterator[Chart]:
    """Reconstruction, saturation and sensitivity of each configuration; none for one configuration.

    The third chart shows reconstruction against saturation.
    """
    if len(comparison.points) < 2:
        return
    metrics = [metric for metric in (FVU, SATURATED) if any(series.points_with(metric) for series in comparison.series)]
    draw = _along_number if comparison.x else _row_each
    for metric in metrics:
        yield draw(comparison, metric)
    if len(metrics) == 2:
        yield _trade_off(comparison)
    if any(series.points_with(SENSITIVITY) for series in comparison.series):
        chart = draw(comparison, SENSITIVITY)
        yield chart._replace(caption=f"{chart.caption} {SENSITIVITY_CAPTION}")


def course_charts(run: RunResult) -> Iterator[Chart]:
    """The losses and the saturated fraction of a run after each epoch; none for fewer than two epochs."""
    epochs = _read_course(run, [key for panel in COURSE_PANELS.values() for key in panel])
    if len(epochs) < 2:
        return
    x = [numbers["epoch"] for numbers in epochs]
    panels = [
        Panel(
            [
                Curve(x, [numbers.get(key, math.nan) for numbers in epochs], split_title(key), color, dash)
                for key, color, dash in zip(panel_keys, COLORS, DASHES, strict=False)
            ],
            "epoch",
            name,
            has_whole_x=True,
        )
        for name, panel_keys in COURSE_PANELS.items()
    ]
    caption = "The loss and the saturated fraction after each epoch, on training and on validation data."
    yield Chart(COURSE, "Course of the training", caption, panels, legend="inside")


def shared_course_charts(runs: Mapping[str, RunResult]) -> Iterator[Chart]:
    """The reconstruction loss and the saturated fraction of a few runs after each epoch, in the same panels.

    Args:
        runs: by the name that the legend shows; those with fewer than two epochs are left out, in words.
    """
    keys = [key for panel in SHARED_COURSE_PANELS.values() for key in panel]
    courses = {name: epochs for name, run in runs.items() if len(epochs := _read_course(run, keys)) > 1}
    if not courses:
        return
    labels = distinct_labels(courses)
    splits = [
        Curve([], [], split, dash=dash) for split, dash in zip(("training", "validation"), ("--", "-"), strict=True)
    ]
    panels = []
    for title, (on_training, on_validation) in SHARED_COURSE_PANELS.items():
        curves = []
        for (name, epochs), color in zip(courses.items(), COLORS, strict=False):
            for key, dash, label in ((on_validation, "-", labels[name]), (on_training, "--", "")):
                x, y = [numbers["epoch"] for numbers in epochs], [numbers.get(key, math.nan) for numbers in epochs]
                curves.append(Curve(x, y, label, color, dash))
        panels.append(Panel([*curves, *splits], "epoch", title, has_whole_x=True))
    caption = "The reconstruction loss and the saturated fraction of each run after each epoch."
    if missing := [name for name in runs if name not in courses]:
        left_out = join_words((shorten_value(name) for name in missing), "and")
        caption += f" Without two epochs that can be drawn: {left_out}."
    yield Chart(COURSE, "Courses of the training", caption, panels, 2, SMALL_PANEL_SIZE, legend="all panels")


def _read_course(run: RunResult, keys: Sequence[str]) -> list[dict[str, float]]:
    """The numbers that can be drawn of each epoch, with its number under ``epoch``."""
    epochs = []
    for line in islice(run.epochs(), MAX_EPOCHS_READ):
        numbers = {key: line[key] for key in ("epoch", *keys) if abs(line.get(key, math.nan)) < MAX_DRAWN}
        if "epoch" in numbers and len(numbers) > 1:
            epochs.append(numbers)
    return spread_evenly(epochs, MAX_EPOCHS_DRAWN)


def _along_number(comparison: Comparison, metric: str) -> Chart:
    x, name = shorten_value(comparison.x), long_title(metric)
    ticks = [point.x for series in comparison.series for point in series.points_with(metric)]
    panels = []
    for title, label_series in _panel_series(comparison):
        curves = []
        for place, label, series in label_series:
            shown = series.points_with(metric)
            y, bars = _means_and_bars(shown, metric)
            curves += _curves(place, label, [point.x for point in shown], y, shown, y_bars=bars)
        labels, possible = (comparison.x_title, split_title(metric)), possible_values(metric)
        panels.append(Panel(curves, *labels, title, ticks, y_possible=possible))
    caption = f"The {name} on validation data, against {x}{_what_varies(comparison)}."
    return _chart(metric.replace("/", "_"), f"{name.capitalize()} against {x}", caption, panels, comparison)


def _trade_off(comparison: Comparison) -> Chart:
    panels = []
    for title, label_series in _panel_series(comparison):
        curves = []
        for place, label, series in label_series:
            shown = [point for point in series.points_with(FVU) if point.statistics(SATURATED).n]
            (x, x_bars), (y, y_bars) = (_means_and_bars(shown, metric) for metric in (SATURATED, FVU))
            first, *hollow = _curves(place, label, x, y, shown, x_bars=x_bars, y_bars=y_bars)
            if comparison.x:
                first = first._replace(texts=[f"{point.x:g}" for point in shown])
            curves += [first if comparison.x else first._replace(dash="none"), *hollow]
        panels.append(
            Panel(
                curves,
                split_title(SATURATED),
                split_title(FVU),
                title,
                x_possible=possible_values(SATURATED),
                y_possible=possible_values(FVU),
            )
        )
    caption = f"The {split_title(FVU)} against the {split_title(SATURATED)}{_what_varies(comparison)}"
    if comparison.x:
        number = shorten_value(comparison.x)
        caption += f", the points in the order of {number}, which stands beside them where there is room"
    return _chart(TRADE_OFF, "Reconstruction against saturation", f"{caption}.", panels, comparison)


def _row_each(comparison: Comparison, metric: str) -> Chart:
    """A row for each configuration, where no number varies."""
    series = [one for one in comparison.series if one.points_with(metric)]
    points = [one.points[0] for one in series[:MAX_CHART_ROWS]]
    x, bars = _means_and_bars(points, metric)
    names = series_labels(series, 2 * ROW_NAME_LETTERS)[:MAX_CHART_ROWS]
    curves = _curves(0, "", x, range(len(points)), points, x_bars=bars)
    panel = Panel(
        [curve._replace(dash="none") for curve in curves],
        split_title(metric),
        x_possible=possible_values(metric),
        row_names=names,
    )
    caption = f"The {long_title(metric)} on validation data, of each configuration."
    if len(series) > MAX_CHART_ROWS:
        caption += f" {len(series) - MAX_CHART_ROWS} more are in the table only."
    chart = _chart(
        metric.replace("/", "_"), long_title(metric).capitalize(), caption, [panel], comparison._replace(left_out="")
    )
    row_height = ROW_HEIGHT * (1.6 if any(len(name) > ROW_NAME_LETTERS for name in names) else 1)
    return chart._replace(size=(PANEL_SIZE[0], max(1.6, 0.9 + row_height * len(points))))


def _panel_series(comparison: Comparison) -> Iterator[tuple[str, list[tuple[int, str, Series]]]]:
    """The title of each panel, with the place and the label of each series; a lone series needs no label."""
    titles = distinct_labels((panel.title for panel in comparison.panels), 60)
    for panel in comparison.panels:
        labels = series_labels(panel.series) if len(comparison.series) > 1 else [""]
        yield titles[panel.title], [*zip(range(len(labels)), labels, panel.series, strict=True)]


def _curves(
    place: int,
    label: str,
    x: Sequence[float],
    y: Sequence[float],
    points: Sequence[SeedGroup],
    x_bars: ErrorBars | None = None,
    y_bars: ErrorBars | None = None,
) -> list[Curve]:
    """The curve of a series, and hollow markers over the points with collapsed runs."""
    color, marker = COLORS[place], MARKERS[place]
    curve = Curve(x, y, label, color, DASHES[place], marker, x_bars=x_bars, y_bars=y_bars)
    collapsed = [index for index, point in enumerate(points) if point.collapsed_runs]
    hollow = Curve([x[i] for i in collapsed], [y[i] for i in collapsed], "", color, "none", marker, is_hollow=True)
    return [curve, hollow] if collapsed else [curve]


def _chart(name: str, title: str, caption: str, panels: Sequence[Panel], comparison: Comparison) -> Chart:
    hollow = " Hollow: a run collapsed." if any(point.collapsed_runs for point in comparison.points) else ""
    caption += f"{comparison.bars_caption()}{hollow}{comparison.left_out_caption()}"
    return Chart(name, title, caption, panels, is_shared=True)


def _what_varies(comparison: Comparison) -> str:
    keys = dict.fromkeys(key for series in comparison.series for key in series.values)
    mark = "line" if comparison.x else "point"
    return shorten_value(f"; one {mark} for each {join_words(keys, 'and')}", 80) if keys else ""


def _means_and_bars(points: Sequence[SeedGroup], metric: str) -> tuple[list[float], ErrorBars]:
    statistics = [point.statistics(metric) for point in points]
    return [one.mean for one in statistics], error_bars(statistics, possible_values(metric))
