"""Figures of an evaluation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from torch import Tensor

from satae.colours import COLOURS
from satae.model.flat import Interval
from satae.tracking.pictures import Picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIZE: Final = (3.6, 2.9)  # inches, of one panel
COLUMNS: Final = 4
FEWEST_BINS, MOST_BINS = 10, 60
FLAT: Final = "#d9d9d9"
DOTS: Final = 110  # an inch


class Line(NamedTuple):
    """A curve in a panel."""

    label: str
    x: Sequence[float]
    y: Sequence[float]
    dashed: bool = False
    marked: Sequence[float] = ()  # places of ``x`` that stand out


def curves(panels: Mapping[tuple[str, str], Sequence[Line]], x_label: str, columns: int = COLUMNS) -> Picture:
    """Curves in panels: by (title, label of the vertical axis), in rows of ``columns``."""
    with _figure(len(panels), columns) as (figure, every):
        for ax, ((title, y_label), lines) in zip(every, panels.items(), strict=True):
            for colour, line in zip(COLOURS, lines, strict=False):
                ax.plot(line.x, line.y, "--" if line.dashed else "-", marker="o", ms=3.5, c=colour, label=line.label)
                at = [(x, y) for x, y in zip(line.x, line.y, strict=True) if x in line.marked]
                ax.plot([x for x, _ in at], [y for _, y in at], "*", ms=13, c=colour, label="_as in training")
            ax.set(title=title, xlabel=x_label, ylabel=y_label)
        every[0].legend(fontsize=8)
        return _encoded(figure)


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
            for colour, (label, x) in zip(COLOURS, values.items(), strict=False):
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
        figure = Figure(figsize=(SIZE[0] * columns, SIZE[1] * rows), dpi=DOTS, layout="constrained")
        every = [*figure.subplots(rows, columns, squeeze=False).flat]
        for spare in every[panels:]:
            spare.set_visible(False)
        yield figure, every[:panels]


def _encoded(figure: Figure) -> Picture:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return Picture.of(np.asarray(canvas.buffer_rgba())[..., :3].copy())
