"""Axes that show zero beside powers of ten, and labels that do not lie on one another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.transforms import Transform

WIDE: Final = 20.0  # the ratio of the largest to the smallest number from which an axis is logarithmic
ROOM: Final = 0.1  # of an axis, for the label of a value
EDGE: Final = 0.03  # of an axis, beyond the last value that is possible
MARK: Final = 2.5  # points around the middle of a marker that no text may cover
PLACES: Final = ((6, 6), (6, -13), (-6, 6), (-6, -13))  # points from what is labelled


def scale(ax: Axes, name: str, values: Sequence[float]) -> None:
    """Have an axis show some values, at which it has its ticks; zero has its place, too.

    Args:
        ax: has the axis as its horizontal one.
        name: of what is shown.
        values: of all that is drawn.
    """
    positive = [value for value in values if value > 0]
    if positive and min(values) >= 0 and max(positive) / min(positive) >= WIDE:
        least = min(positive)
        if min(values) == 0:
            ax.set_xscale("symlog", linthresh=least, linscale=0.7)
            name += f"  (logarithmic; from 0 to {least:g} linear)"
        else:
            ax.set_xscale("log")
            name += "  (logarithmic)"
    ticks = _apart(ax, sorted({*values}))
    ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.minorticks_off()
    ax.margins(x=0.05)
    ax.set_xlabel(name)


def _apart(ax: Axes, values: Sequence[float]) -> list[float]:
    """Values whose labels have room beside one another, the first and the last among them."""
    if len(values) < 2:
        return [*values]
    places = [float(place) for place in ax.xaxis.get_transform().transform(values)]
    room = ROOM * (places[-1] - places[0])
    kept, last = [values[0]], places[0]
    for value, place in zip(values[1:-1], places[1:-1], strict=True):
        if place - last >= room and places[-1] - place >= room:
            kept.append(value)
            last = place
    return [*kept, values[-1]]


def keep_to(ax: Axes, axis: str, possible: tuple[float, float], values: Sequence[float]) -> None:
    """Have an axis, ``"x"`` or ``"y"``, end where no value can be, unless one is there."""
    if not all(possible[0] <= value <= possible[1] for value in values):
        return
    low, high = ax.viewLim.intervalx if axis == "x" else ax.viewLim.intervaly
    room = EDGE * min(high - low, possible[1] - possible[0])
    ax.set(**{f"{axis}lim": (max(low, possible[0] - room), min(high, possible[1] + room))})


def label_points(figure: Figure) -> None:
    """Move each text in a figure that is laid out to where it lies on no other one, or take it out."""
    from matplotlib.transforms import Bbox

    per_point = figure.dpi / 72
    for ax in (ax for ax in figure.axes if ax.texts):
        marks = ax.transData.transform([text.get_position() for text in ax.texts])
        taken = [Bbox([mark, mark]).padded(MARK * per_point) for mark in marks]
        for text in list(ax.texts):
            box = text.get_window_extent()
            for right, up in PLACES:
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
