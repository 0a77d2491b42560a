"""Axes that show zero beside powers of ten, and texts that do not overlap."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.transforms import Transform

LOGARITHMIC_FROM: Final = 20.0  # ratio of the largest to the smallest number
TICK_ROOM: Final = 0.1  # of an axis, for the label of a tick
EDGE: Final = 0.03  # of an axis, beyond the last possible value
MARKER_RADIUS: Final = 2.5  # points around a marker that no text may cover
TEXT_OFFSETS: Final = ((6, 6), (6, -13), (-6, 6), (-6, -13))  # points, from the marker


def scale_x_axis(ax: Axes, name: str, values: Sequence[float]) -> None:
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


def limit_axis(ax: Axes, axis: str, possible: tuple[float, float], values: Sequence[float]) -> None:
    """End an axis, ``"x"`` or ``"y"``, where no value is possible, unless a value lies there."""
    if not all(possible[0] <= value <= possible[1] for value in values):
        return
    low, high = ax.viewLim.intervalx if axis == "x" else ax.viewLim.intervaly
    room = EDGE * min(high - low, possible[1] - possible[0])
    ax.set(**{f"{axis}lim": (max(low, possible[0] - room), min(high, possible[1] + room))})


def place_texts(figure: Figure) -> None:
    """Move each text of a figure to where it overlaps no other, or remove it; the layout must be done."""
    from matplotlib.transforms import Bbox

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
                    text.set_transform(_offset(ax, right, up))
                    break
            else:
                text.remove()


def _offset(ax: Axes, right: float, up: float) -> Transform:
    from matplotlib.transforms import ScaledTranslation

    return ax.transData + ScaledTranslation(right / 72, up / 72, ax.figure.dpi_scale_trans)
