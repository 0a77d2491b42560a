"""What figures have in common: their colours, their panels, their files."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from satae.page import words
from satae.page.scales import label_points
from satae.page.series import Panel, Plan
from satae.page.spreads import TWO
from satae.plots.palette import INK

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PAPER: Final = "#fefefd"  # the page puts its own in the place of ink and paper, for light and dark
SIZE: Final = (5.4, 3.6)  # inches, of one panel
DASHES: Final[Sequence[Any]] = ("-", "--", "-.", ":", (0, (6, 1, 1, 1, 1, 1)), (0, (8, 2)), (0, (2, 1)))
STYLE: Final[Any] = {
    **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), INK),
    **dict.fromkeys(("figure.facecolor", "axes.facecolor", "savefig.facecolor"), PAPER),
    **dict.fromkeys(("axes.spines.top", "axes.spines.right", "legend.frameon", "axes.formatter.useoffset"), False),
    **{"grid.color": INK, "grid.alpha": 0.15, "axes.grid": True, "font.size": 10.5, "legend.fontsize": 10},
    **{"text.parse_math": False, "svg.fonttype": "none", "svg.hashsalt": "satae-report"},
}


class Drawing(NamedTuple):
    """A figure."""

    name: str  # of its files
    title: str
    caption: str
    alternative: str  # for who does not see it
    png: bytes
    svg: str
    wide: bool  # more than one panel

    @property
    def inline(self) -> str:
        """The SVG for a page: its colours, and identifiers that no other figure has."""
        body = self.svg[self.svg.index("<svg") :]
        body = re.sub(r'(id="|href="#|url\(#)', rf"\g<1>{self.name}-", body)
        return body.replace(INK, "currentColor").replace(PAPER, "var(--paper)")


def panels(plan: Plan) -> tuple[Figure, list[Axes]]:
    """A figure with axes for each panel, all of the same ranges."""
    columns = min(2, len(plan.panels))
    rows = -(-len(plan.panels) // columns)
    figure = empty(SIZE[0] * columns, SIZE[1] * rows)
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).flat
    all_axes = [*grid]
    for spare in all_axes[len(plan.panels) :]:
        spare.set_visible(False)
    return figure, all_axes[: len(plan.panels)]


def empty(width: float, height: float) -> Figure:
    """A figure of some inches, without axes."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    return Figure(figsize=(width, height), layout=ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.06))


def _legend(ax: Axes, panel: Panel) -> None:
    ax.tick_params(labelbottom=True, labelleft=True)
    if panel.title:
        ax.set_title(words.short(panel.title, 60), fontsize=10.5)
    longest = max(len(words.short(line.label)) for line in panel.lines)
    columns = max(1, min(len(panel.lines), 4, 56 // (longest + 6)))
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=columns, handlelength=3.2)


def drawn(figure: Figure, name: str, title: str, caption: str, plan: Plan) -> Drawing:
    """A figure with all that is said about it.

    Args:
        figure: with what it shows.
        name: of its files.
        title: over it.
        caption: what it shows.
        plan: what its lines are of; the panels are those of the first axes.
    """
    for ax, panel in zip(figure.axes, plan.panels, strict=False):
        if len(plan.lines) > 1:
            _legend(ax, panel)
    hollow = any(point.collapsed for line in plan.lines for point in line.points)
    caption += f"{bars(plan)}{' Hollow: a run collapsed.' if hollow else ''}{left_out(plan)}"
    lines = ", ".join(words.short(line.label) for panel in plan.panels for line in panel.lines)
    return kept(figure, name, title, caption, lines, wide=len(plan.panels) > 1)


def bars(plan: Plan) -> str:
    """What is said of the bars in a figure."""
    seeds = {len(point.runs) for line in plan.lines for point in line.points} - {0, 1}
    if not seeds:
        return " One run each: no intervals."
    of_more = ["95 % intervals of the mean over the seeds"] if seeds != {TWO} else []
    of_two = ["of two seeds, their range"] if TWO in seeds else []
    return f" Bars: {'; '.join([*of_more, *of_two])}."


def left_out(plan: Plan) -> str:
    """What is said of the lines that are not in a figure; nothing where all are."""
    return f" {plan.left_out.capitalize()}; they are in the tables." if plan.left_out else ""


def kept(figure: Figure, name: str, title: str, caption: str, lines: str, *, wide: bool) -> Drawing:
    """A figure as both kinds of file, and in words.

    Args:
        figure: with what it shows.
        name: of its files.
        title: over it.
        caption: what it shows.
        lines: what its lines are of, where they are told apart.
        wide: whether it has more than one panel.
    """
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # laid out once for both kinds of file
    label_points(figure)
    alternative = f"{title}: {caption} Lines: {lines}." if lines else f"{title}: {caption}"
    png = _saved(figure, format="png", dpi=150)
    none = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    svg = _saved(figure, format="svg", metadata=none).decode()
    return Drawing(name, title, caption, alternative, png, svg, wide)


def _saved(figure: Figure, **how: Any) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, **how)
    return file.getvalue()


@contextmanager
def styled() -> Iterator[None]:
    """matplotlib as the figures want it; signs that its font has not are shown as boxes, without a warning each."""
    import matplotlib

    with matplotlib.rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)
        yield
