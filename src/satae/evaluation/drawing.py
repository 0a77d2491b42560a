"""Figures of an evaluation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

import numpy as np
from torch import Tensor

from satae.model.flat import Interval
from satae.plots.style import COLORS, Picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIZE: Final = (3.6, 2.9)  # inches, of one panel of several
ALONE: Final = (5.4, 3.8)  # of a single one
COLUMNS: Final = 4
FEWEST_BINS, MOST_BINS = 10, 60
FLAT: Final = "#d9d9d9"
DOTS: Final = 110  # an inch
MARKS: Final = ("o", "s", "^", "D")

Scale = Literal["auto", "share", "log"]


class Line(NamedTuple):
    """A curve in a panel, with a mark of its own; a dashed one belongs to the one before it, whose colour it has."""

    label: str
    x: Sequence[float]
    y: Sequence[float]
    dashed: bool = False
    stars: Sequence[float] = ()  # places of ``x`` that stand out
    ends: Sequence[tuple[float, float]] = ()  # of the interval of each number


def curves(
    panels: Mapping[tuple[str, str], Sequence[Line]], x_label: str, columns: int = COLUMNS, scale: Scale = "auto"
) -> Picture:
    """Curves in panels.

    Args:
        panels: by (title, label of the vertical axis).
        x_label: of the horizontal axis.
        columns: panels in a row.
        scale: of the vertical axis: ``share`` from 0 to 1, ``log``, or whatever the numbers need.
    """
    with _figure(len(panels), columns) as (figure, every):
        for ax, ((title, y_label), lines) in zip(every, panels.items(), strict=True):
            place = -1
            for line in lines:
                place += not line.dashed
                _draw(ax, line, place % len(MARKS))
            ax.set(title=title, xlabel=x_label, ylabel=y_label)
            if scale == "log":
                ax.set_yscale("log")
                ax.yaxis.set_major_formatter("{x:g}")
                ax.yaxis.set_minor_formatter("")
            elif scale == "share":
                ax.set_ylim(0, 1)
        every[0].legend(fontsize=8)
        return _encoded(figure)


def _draw(ax: Axes, line: Line, place: int) -> None:
    style: dict[str, Any] = {"c": COLORS[place], "marker": MARKS[place], "ms": 4, "ls": "--" if line.dashed else "-"}
    ax.plot(line.x, line.y, label=line.label, mfc="none" if line.dashed else COLORS[place], **style)
    ax.vlines(
        line.x[: len(line.ends)], [low for low, _ in line.ends], [high for _, high in line.ends], style["c"], lw=1
    )
    at = [(x, y) for x, y in zip(line.x, line.y, strict=True) if x in line.stars]
    ax.plot([x for x, _ in at], [y for _, y in at], "*", ms=13, c=COLORS[place], label="_as in training")


def histograms(
    groups: Mapping[str, Mapping[str, Tensor]], x_label: str, flat: Sequence[Interval] = (), columns: int = COLUMNS
) -> Picture:
    """Distributions in panels: by title, then by label.

    Args:
        groups: numbers of any shape.
        x_label: of the horizontal axis.
        flat: intervals to shade.
        columns: panels in a row.
    """
    with _figure(len(groups), columns) as (figure, every):
        for ax, (title, group) in zip(every, groups.items(), strict=True):
            values = {label: x.detach().flatten().float().cpu().numpy() for label, x in group.items()}
            everything = np.concatenate([*values.values()])
            ends = (float(everything.min()), float(everything.max()))
            bins = min(MOST_BINS, max(FEWEST_BINS, round(min(map(len, values.values())) ** 0.5)))
            edges = np.linspace(ends[0], ends[1] if ends[1] > ends[0] else ends[0] + 1, bins + 1)
            for low, high in flat:
                ax.axvspan(max(low, edges[0]), min(high, edges[-1]), color=FLAT, lw=0)
            for colour, (label, x) in zip(COLORS, values.items(), strict=False):
                weights = np.full(len(x), 1 / len(x))
                ax.hist(x, edges.tolist(), weights=weights, histtype="step", color=colour, label=label, lw=1.4)
            ax.set(title=title, xlabel=x_label, ylabel="share", xlim=(edges[0], edges[-1]))
            if len(values) > 1:
                ax.legend(fontsize=8)
        return _encoded(figure)


@contextmanager
def _figure(panels: int, columns: int) -> Iterator[tuple[Figure, list[Axes]]]:
    import matplotlib
    from matplotlib.figure import Figure

    columns = min(columns, panels)
    rows = -(-panels // columns)
    with matplotlib.rc_context({"text.parse_math": False, "font.size": 9, "axes.titlesize": 10}):
        width, height = SIZE if panels > 1 else ALONE
        figure = Figure(figsize=(width * columns, height * rows), dpi=DOTS, layout="constrained")
        every = [*figure.subplots(rows, columns, squeeze=False).flat]
        for spare in every[panels:]:
            spare.set_visible(False)
        yield figure, every[:panels]


def _encoded(figure: Figure) -> Picture:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return Picture.encode(np.asarray(canvas.buffer_rgba())[..., :3].copy())
