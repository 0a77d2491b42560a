"""Charts as plain data, and their drawing: curves with error bars in panels, and histograms."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from satae.plots.style import (
    COLORS,
    INK,
    PANEL_SIZE,
    PAPER,
    SMALL_PANEL_SIZE,
    Drawing,
    Picture,
    encode_figure,
    figure_style,
    panel_grid,
    to_picture,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from torch import Tensor

ErrorBars = tuple[Sequence[float], Sequence[float]]  # lengths downwards and upwards, or to the left and to the right

TEXT_BACKGROUND: Final[Any] = {"facecolor": PAPER, "edgecolor": "none", "alpha": 0.7, "pad": 0.5}
FLAT_SET_COLOR: Final = "#d9d9d9"
MIN_BINS, MAX_BINS = 10, 60
LOGARITHMIC_FROM: Final = 20.0  # ratio of the largest to the smallest number
TICK_ROOM: Final = 0.1  # share of an axis, for the label of a tick
EDGE: Final = 0.03  # share of an axis, beyond the last possible value
LETTER_WIDTH: Final = 0.09  # inches, of text in the size of titles and legends
LINE_HEIGHT: Final = 0.21  # inches, of a line of a legend
HANDLE_WIDTH: Final = 0.75  # inches, of the line beside a label in a legend, with its gaps
TITLE_GAP: Final = 0.3  # inches, between the titles of two panels
ROW_NAME_LETTERS: Final = 26  # in a line of the name of a row
MARKER_RADIUS: Final = 2.5  # points around a marker that no text may cover
TEXT_OFFSETS: Final = ((6, 6), (6, -13), (-6, 6), (-6, -13))  # points, from the marker

LegendPlace = Literal["each panel", "all panels", "inside"]


class Curve(NamedTuple):
    """Numbers along ``x`` in one color; a curve without numbers is only an entry of the legend."""

    x: Sequence[float]
    y: Sequence[float]
    label: str = ""  # in the legend; empty: not in the legend
    color: str = INK
    dash: Any = "-"  # as matplotlib's linestyle; "none": markers only
    marker: str = ""
    marker_size: float = 6
    is_hollow: bool = False
    y_bars: ErrorBars | None = None
    x_bars: ErrorBars | None = None
    texts: Sequence[str] = ()  # beside the points, where there is room


class Panel(NamedTuple):
    """Curves in one pair of axes."""

    curves: Sequence[Curve]
    x_label: str
    y_label: str = ""
    title: str = ""
    x_ticks: Sequence[float] = ()  # the axis has its ticks here, and is logarithmic if they span much
    has_whole_x: bool = False  # ticks at whole numbers only
    x_possible: tuple[float, float] | None = None  # the axis ends where no value is possible
    y_possible: tuple[float, float] | None = None
    shows_all_possible: bool = False  # the vertical axis starts and ends at the possible values
    has_log_y: bool = False
    row_names: Sequence[str] = ()  # instead of numbers on the vertical axis
    level: float | None = None  # a thin horizontal line


class Chart(NamedTuple):
    """A figure of a report."""

    name: str  # its files' name, without a suffix
    title: str
    caption: str
    panels: Sequence[Panel]
    columns: int = 2
    size: tuple[float, float] = PANEL_SIZE  # inches, of a panel
    is_shared: bool = False  # all panels have the same ranges
    legend: LegendPlace = "each panel"


def draw_chart(chart: Chart) -> Drawing:
    """Draw a chart as PNG and SVG."""
    labels = dict.fromkeys(curve.label for panel in chart.panels for curve in panel.curves if curve.label)
    alternative = f"{chart.title}: {chart.caption}" + (f" Lines: {', '.join(labels)}." if labels else "")
    with figure_style():
        figure = draw_panels(chart.panels, chart.columns, chart.size, chart.legend, chart.is_shared)
        figure.draw_without_rendering()
        figure.draw_without_rendering()  # the first layout may change the ticks, and with them the room for labels
        figure.set_layout_engine("none")  # both files get the same layout
        _place_texts(figure)
        png = encode_figure(figure, format="png", dpi=150)
        metadata = dict.fromkeys(("Creator", "Date", "Format", "Type"))  # without times, so the file is reproducible
        svg = encode_figure(figure, format="svg", metadata=metadata).decode()
    return Drawing(chart.name, chart.title, chart.caption, alternative, png, svg, is_wide=len(chart.panels) > 1)


def draw_picture(panels: Sequence[Panel], columns: int) -> Picture:
    """Draw panels as a picture for TensorBoard; the first panel holds the legend."""
    size = SMALL_PANEL_SIZE if len(panels) > 1 else PANEL_SIZE
    with figure_style():
        return to_picture(draw_panels(panels, columns, size, "inside"))


def draw_panels(
    panels: Sequence[Panel], columns: int, size: tuple[float, float], legend: LegendPlace, is_shared: bool = False
) -> Figure:
    """Draw panels in rows; the arguments are those of a ``Chart``."""
    is_small = size[0] < PANEL_SIZE[0]
    if legend == "all panels" and min(columns, len(panels)) < 3:
        size = (1.5 * size[0], size[1])
    labels = [dict.fromkeys(curve.label for curve in panel.curves if curve.label) for panel in panels]
    more_height = 0.0
    if legend == "all panels":
        layout = _legend_layout((label for some in labels for label in some), size[0] * min(columns, len(panels)), 3)
        more_height = max(0.7, 0.28 + LINE_HEIGHT * layout.lines)
    elif legend == "each panel":
        most_lines = max((_legend_layout(some, size[0], 4).lines for some in labels), default=0)
        more_height = LINE_HEIGHT * max(0, most_lines - 2) * -(-len(panels) // columns)
    figure, all_axes = panel_grid(len(panels), columns, size, more_height=more_height, shared=is_shared)
    entries: dict[str, Any] = {}
    for place, (ax, panel) in enumerate(zip(all_axes, panels, strict=True)):
        handles = {curve.label: _draw_curve(ax, curve) for curve in panel.curves}
        handles.pop("", None)
        entries |= {label: handle for label, handle in handles.items() if label not in entries}
        is_repeated = place % columns > 0 and panel.y_label == panels[place - 1].y_label
        _draw_axes(ax, panel._replace(y_label="") if is_repeated else panel, is_small)
        _wrap_texts(ax, size)
        if handles and legend == "each panel":
            texts, ncols, _ = _legend_layout(handles, size[0], 4)
            below = -0.2 - 0.05 * (ax.get_xlabel().count("\n"))
            place_below: Any = {"loc": "upper center", "bbox_to_anchor": (0.5, below)}
            ax.legend(handles.values(), texts, ncols=ncols, handlelength=3.2, **place_below)
        if handles and legend == "inside" and (place == 0 or not is_small):
            ax.legend(handles.values(), handles.keys(), fontsize=8 if is_small else 10)
    if entries and legend == "all panels":
        texts, ncols, _ = _legend_layout(entries, size[0] * min(columns, len(panels)), 3)
        figure.legend(entries.values(), texts, loc="outside lower center", ncols=ncols, handlelength=3)
    for ax, panel in [*zip(all_axes, panels, strict=True)][: 1 if is_shared else None]:
        _limit_axes(ax, panel, panels if is_shared else [panel])
    return figure


class _LegendLayout(NamedTuple):
    texts: list[str]  # of the entries, broken into lines
    columns: int
    lines: int  # of all rows together


def _legend_layout(labels: Iterable[str], width: float, most_columns: int) -> _LegendLayout:
    """Arrange the entries of a legend so that it is no wider than ``width`` inches."""
    texts = [wrap_label(label, width - HANDLE_WIDTH) for label in dict.fromkeys(labels)]
    longest = max((len(line) for text in texts for line in text.splitlines()), default=0)
    columns = max(1, min(len(texts), most_columns, int(width / (LETTER_WIDTH * longest + HANDLE_WIDTH))))
    rows = -(-len(texts) // columns)  # matplotlib fills column after column
    lines = sum(max(text.count("\n") + 1 for text in texts[row::rows]) for row in range(rows))
    return _LegendLayout(texts, columns, lines)


def wrap_label(text: str, width: float) -> str:
    """Break a text into lines that are no longer than ``width`` inches."""
    return "\n".join(textwrap.wrap(text, max(8, int(width / LETTER_WIDTH)))) or text


def _wrap_texts(ax: Axes, size: tuple[float, float]) -> None:
    """Break the title and the labels of some axes into lines, so that none widens the figure."""
    ax.set_title(wrap_label(ax.get_title(), size[0] - TITLE_GAP))
    ax.set_xlabel(wrap_label(ax.get_xlabel(), size[0]))
    ax.set_ylabel(wrap_label(ax.get_ylabel(), size[1] - 2 * TITLE_GAP))


def _draw_curve(ax: Axes, curve: Curve) -> Any:
    """Draw a curve; returns its handle for the legend."""
    style: dict[str, Any] = {"color": curve.color, "ls": curve.dash, "ms": curve.marker_size, "lw": 1.7}
    style |= {"marker": curve.marker or None} | ({"markerfacecolor": PAPER, "zorder": 5} if curve.is_hollow else {})
    for x, y, text in zip(curve.x, curve.y, curve.texts, strict=False):
        ax.text(x, y, text, fontsize=9, bbox=TEXT_BACKGROUND, in_layout=False)
    if curve.y_bars is None and curve.x_bars is None:
        if curve.dash == "none":
            style |= {"zorder": 5}
        return ax.plot(curve.x, curve.y, **style)[0]
    if curve.y_bars is not None and curve.x_bars is not None:
        style |= {"elinewidth": 0.8}
    return ax.errorbar(curve.x, curve.y, curve.y_bars, curve.x_bars, capsize=3, label=curve.label or None, **style)


def _draw_axes(ax: Axes, panel: Panel, is_small: bool) -> None:
    if panel.title:
        ax.set_title(panel.title)
    ax.set(xlabel=panel.x_label, ylabel=panel.y_label)
    ax.tick_params(labelbottom=True, labelleft=True)
    if any(curve.texts for curve in panel.curves):
        ax.margins(0.08)
    if panel.x_ticks:
        _scale_x_axis(ax, "" if is_small else panel.x_label, panel.x_ticks)
        ax.set_xlabel(ax.get_xlabel() or panel.x_label)
    if panel.has_whole_x:
        ax.locator_params(axis="x", integer=True)
    if is_small:
        ax.tick_params(labelsize=8)
        if not panel.x_ticks:
            ax.locator_params(axis="x", nbins=6)
    if panel.level is not None:
        ax.axhline(panel.level, color=INK, lw=1, alpha=0.5)
    if panel.row_names:
        names = ["\n".join(textwrap.wrap(name, ROW_NAME_LETTERS)) for name in panel.row_names]
        ax.set_yticks(range(len(names)), names)
        ax.locator_params(axis="x", nbins=5)
        ax.set_ylim(len(panel.row_names) - 0.5, -0.5)
    if panel.has_log_y:
        ax.set_yscale("log")
        ax.yaxis.set_major_formatter("{x:g}")
        ax.yaxis.set_minor_formatter("")


def _limit_axes(ax: Axes, panel: Panel, panels: Sequence[Panel]) -> None:
    """End the axes where no value is possible, unless a value lies there; ``panels`` are those that share them."""
    for axis, possible in (("x", panel.x_possible), ("y", panel.y_possible)):
        if not possible:
            continue
        low, high = getattr(ax.viewLim, f"interval{axis}")
        if axis == "y" and panel.shows_all_possible:
            top = possible[1] if math.isfinite(possible[1]) else high
            room = EDGE * (top - possible[0])
            ax.set_ylim(possible[0] - room, top + room)
        elif all(
            possible[0] <= value <= possible[1] for one in panels for c in one.curves for value in getattr(c, axis)
        ):
            room = EDGE * min(high - low, possible[1] - possible[0])
            ax.set(**{f"{axis}lim": (max(low, possible[0] - room), min(high, possible[1] + room))})


def _scale_x_axis(ax: Axes, name: str, values: Sequence[float]) -> None:
    """Put the ticks of the horizontal axis at the values, on a logarithmic axis if they span much.

    Zero has its place on a logarithmic axis, too: the axis is linear up to the smallest positive value.

    Args:
        ax: the axes.
        name: the label of the axis.
        values: all values that are drawn.
    """
    positive = [value for value in values if value > 0]
    if positive and min(values) >= 0 and max(positive) / min(positive) >= LOGARITHMIC_FROM:
        least = min(positive)
        if min(values) == 0:
            ax.set_xscale("symlog", linthresh=least, linscale=0.7)
            name += f"  (logarithmic; linear from 0 to {least:g})" if name else ""
        else:
            ax.set_xscale("log")
            name += "  (logarithmic)" if name else ""
    ticks = _readable_ticks(ax, sorted({*values}))
    ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.minorticks_off()
    ax.margins(x=0.05)
    ax.set_xlabel(name)


def _readable_ticks(ax: Axes, values: Sequence[float]) -> list[float]:
    """The values whose labels have room beside one another, with the first and the last."""
    if len(values) < 2:
        return [*values]
    places = [float(place) for place in ax.xaxis.get_transform().transform(values)]
    room = TICK_ROOM * (places[-1] - places[0])
    ticks, last = [values[0]], places[0]
    for value, place in zip(values[1:-1], places[1:-1], strict=True):
        if place - last >= room and places[-1] - place >= room:
            ticks.append(value)
            last = place
    return [*ticks, values[-1]]


def _place_texts(figure: Figure) -> None:
    """Move each text of a figure to where it overlaps no other, or remove it; the layout must be done."""
    from matplotlib.transforms import Bbox, ScaledTranslation

    per_point = figure.dpi / 72
    for ax in (ax for ax in figure.axes if ax.texts):
        marks = ax.transData.transform([text.get_position() for text in ax.texts])
        taken = [Bbox([mark, mark]).padded(MARKER_RADIUS * per_point) for mark in marks]
        for text in list(ax.texts):
            box = text.get_window_extent()
            for right, up in TEXT_OFFSETS:
                left = -box.width if right < 0 else 0
                moved = box.translated(right * per_point + left, up * per_point)
                if not any(moved.overlaps(other) for other in taken):
                    taken.append(moved)
                    text.set_horizontalalignment("right" if right < 0 else "left")
                    text.set_transform(ax.transData + ScaledTranslation(right / 72, up / 72, figure.dpi_scale_trans))
                    break
            else:
                text.remove()


def draw_histograms(
    groups: Mapping[str, Mapping[str, Tensor]],
    x_label: str,
    shaded: Sequence[tuple[float, float]] = (),
    columns: int = 4,
) -> Picture:
    """Draw distributions in panels.

    Args:
        groups: by the title of a panel, then by label: numbers of any shape.
        x_label: of the horizontal axis.
        shaded: intervals to shade.
        columns: panels in a row.
    """
    import numpy as np

    size = SMALL_PANEL_SIZE if len(groups) > 1 else PANEL_SIZE
    with figure_style():
        figure, all_axes = panel_grid(len(groups), columns, size)
        for ax, (title, group) in zip(all_axes, groups.items(), strict=True):
            values = {label: x.detach().flatten().float().cpu().numpy() for label, x in group.items()}
            everything = np.concatenate([*values.values()])
            low, high = float(everything.min()), float(everything.max())
            bins = min(MAX_BINS, max(MIN_BINS, round(min(map(len, values.values())) ** 0.5)))
            edges = np.linspace(low, high if high > low else low + 1, bins + 1)
            for start, end in shaded:
                ax.axvspan(max(start, edges[0]), min(end, edges[-1]), color=FLAT_SET_COLOR, lw=0)
            for color, (label, x) in zip(COLORS, values.items(), strict=False):
                weights = np.full(len(x), 1 / len(x))
                ax.hist(x, edges.tolist(), weights=weights, histtype="step", color=color, label=label, lw=1.4)
            ax.set(title=title, xlabel=x_label, ylabel="share", xlim=(edges[0], edges[-1]))
            ax.tick_params(labelsize=8)
            ax.locator_params(axis="x", nbins=6)
            if len(values) > 1:
                ax.legend(fontsize=8)
        return to_picture(figure)
