"""The one style of all figures: colors, dashes, markers, sizes, and the files that a figure becomes."""

from __future__ import annotations

import io
import logging
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from satae.messages import brief_line

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# matplotlib takes a second to import, so only the functions that draw import it, inside figure_style

T = TypeVar("T")

INK: Final = "#202327"
PAPER: Final = "#fefefd"  # the page replaces ink and paper by its own colors, for its light and its dark theme
COLORS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", INK)  # Okabe and Ito (2008)
DASHES: Final[Sequence[Any]] = ("-", "--", "-.", ":", (0, (6, 1, 1, 1, 1, 1)), (0, (8, 2)), (0, (2, 1)))
MARKERS: Final = "osD^vP*"
PANEL_SIZE: Final = (5.4, 3.6)  # inches
SMALL_PANEL_SIZE: Final = (3.7, 3.0)  # inches, where a figure has many panels
STYLE: Final[Any] = {
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "figure.facecolor": PAPER,
    "axes.facecolor": PAPER,
    "savefig.facecolor": PAPER,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.formatter.useoffset": False,
    "axes.grid": True,
    "grid.color": INK,
    "grid.alpha": 0.15,
    "legend.frameon": False,
    "legend.fontsize": 10,
    "font.size": 10.5,
    "axes.titlesize": 10.5,
    "figure.dpi": 110,
    "text.parse_math": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "satae-report",
}


class Picture(NamedTuple):
    """A picture as a PNG file holds it."""

    png: bytes
    height: int
    width: int

    @classmethod
    def encode(cls, pixels: np.ndarray) -> Picture:
        """Encode pixels (height, width, 3), uint8."""
        from PIL import Image

        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "png", compress_level=1)
        height, width, _ = pixels.shape
        return cls(file.getvalue(), height, width)


class Drawing(NamedTuple):
    """A figure with its title and caption, as the files that a report holds."""

    name: str  # the files' name, without a suffix
    title: str
    caption: str
    alternative: str  # text for readers who cannot see the figure
    png: bytes
    svg: str
    is_wide: bool  # more than one panel

    @property
    def inline(self) -> str:
        """The SVG for a page: with the colors of the page, and identifiers that no other figure has."""
        body = self.svg[self.svg.index("<svg") :]
        body = re.sub(r'(id="|href="#|url\(#)', rf"\g<1>{self.name}-", body)
        return body.replace(INK, "currentColor").replace(PAPER, "var(--paper)")


@contextmanager
def figure_style() -> Iterator[None]:
    """Set matplotlib to the style, whatever the user's ``matplotlibrc`` and ``MPLBACKEND`` say.

    Characters that the font lacks are drawn as boxes, without a warning. Overflows give no warning either.
    """
    with _without_user_settings():
        import matplotlib
        import matplotlib.figure  # looks for a folder for its cache of fonts, and logs if it finds none

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of settings that will be removed
        style = {name: value for name, value in matplotlib.rcParamsDefault.items() if name != "backend"} | STYLE
    with matplotlib.rc_context(style), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)
        warnings.filterwarnings("ignore", category=RuntimeWarning, module="matplotlib")  # overflows
        yield


@contextmanager
def _without_user_settings() -> Iterator[None]:
    """Import matplotlib here: a backend that does not exist would be an error, a bad setting a warning."""
    backend, log = os.environ.pop("MPLBACKEND", None), logging.getLogger("matplotlib")
    is_disabled, log.disabled = log.disabled, True
    try:
        yield
    finally:
        log.disabled = is_disabled
        if backend is not None:
            os.environ["MPLBACKEND"] = backend


def draw_each(draws: Mapping[str, Callable[[], T]], warn: Callable[[str], object] | None = None) -> dict[str, T]:
    """Draw figures by name; those that fail are left out, with one warning for all of them.

    Args:
        draws: functions that draw a figure each.
        warn: gets the warning; by default, standard error does.
    """
    drawn, failed = dict[str, T](), dict[str, Exception]()
    for name, draw in draws.items():
        try:
            drawn[name] = draw()
        except Exception as fault:  # no figure is worth a training or an evaluation
            failed[name] = fault
    if failed:
        error = next(iter(failed.values()))
        line = f"not drawn: {', '.join(failed)} ({type(error).__name__}: {brief_line(error)})"
        if warn is None:
            print(f"warning: {line}", file=sys.stderr)  # noqa: T201
        else:
            warn(line)
    return drawn


def panel_grid(
    count: int, columns: int, size: tuple[float, float], *, more_height: float = 0.0, shared: bool = False
) -> tuple[Figure, list[Axes]]:
    """A figure with ``count`` axes in rows of ``columns``.

    Args:
        count: the number of panels.
        columns: panels in a row.
        size: of a panel, in inches.
        more_height: for a legend, in inches.
        shared: whether all panels have the same ranges.
    """
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    columns = min(columns, count)
    rows = -(-count // columns)
    layout = ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.06)
    figure = Figure(figsize=(size[0] * columns, size[1] * rows + more_height), layout=layout)
    every = [*figure.subplots(rows, columns, sharex=shared, sharey=shared, squeeze=False).flat]
    for spare in every[count:]:
        spare.set_visible(False)
    return figure, every[:count]


def encode_figure(figure: Figure, **options: Any) -> bytes:
    """The content of a file with the figure; the options are those of matplotlib's ``savefig``."""
    file = io.BytesIO()
    figure.savefig(file, **options)
    return file.getvalue()


def to_picture(figure: Figure) -> Picture:
    """Render a figure as a picture."""
    import numpy as np
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return Picture.encode(np.asarray(canvas.buffer_rgba())[..., :3].copy())
