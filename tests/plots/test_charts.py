"""What is drawn lies where the data of a chart say, within the panels, and becomes a PNG and an SVG."""

import io
import os
import subprocess
import sys

import matplotlib
import numpy as np
import pytest
import torch
from matplotlib.container import ErrorbarContainer
from PIL import Image
from torch import nn

from satae.model.architectures import mlp
from satae.plots import pictures
from satae.plots.charts import Chart, Curve, Panel, draw_chart, draw_histograms, draw_panels, draw_picture
from satae.plots.style import COLORS, DASHES, INK, MARKERS, PANEL_SIZE, PAPER, SMALL_PANEL_SIZE, draw_each

X, Y = [0.0, 0.1, 1.0], [0.3, 0.2, 0.6]
BARS = ([0.1, 0.05, 0.2], [0.2, 0.05, 0.4])


def axes(*panels, size=PANEL_SIZE, legend="each panel", **more):
    return draw_panels(panels, 2, size, legend, **more).axes


def test_points_and_bars_lie_at_the_numbers():
    curve = Curve(X, Y, "relu", COLORS[0], DASHES[1], MARKERS[1], x_bars=BARS, y_bars=BARS)
    (ax,) = axes(Panel([curve], "alpha", "fvu"))
    (line,) = [line for line in ax.containers if isinstance(line, ErrorbarContainer)]
    mark, _, bars = line.lines
    assert mark.get_xydata() == pytest.approx(np.array([X, Y]).T)
    for axis, segments in enumerate(np.array([bar.get_segments() for bar in bars])):
        low, high = segments[:, 0, axis], segments[:, 1, axis]
        center = np.array([X, Y][axis])
        assert center - low == pytest.approx(BARS[0])
        assert high - center == pytest.approx(BARS[1])
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["relu"]


def test_hollow_markers_are_filled_with_paper():
    (ax,) = axes(Panel([Curve(X, Y, marker="o", dash="none", is_hollow=True)], "x"))
    (line,) = ax.lines
    assert line.get_markerfacecolor() == PAPER
    assert ax.get_legend() is None


def test_ticks_are_at_the_values_and_zero_has_its_place_beside_powers_of_ten():
    (ax,) = axes(Panel([Curve([0, 0.01, 1], Y)], "alpha", x_ticks=[0, 0.01, 1]))
    assert ax.get_xlabel() == "alpha  (logarithmic; linear from 0 to 0.01)"
    assert [text.get_text() for text in ax.get_xticklabels()] == ["0", "0.01", "1"]
    assert ax.get_xscale() == "symlog"


def test_an_axis_ends_where_no_value_is_possible_or_shows_all_that_is():
    curve = Curve([0, 1], [0.0, 0.5])
    (ax,) = axes(Panel([curve], "x", y_possible=(0.0, 1.0)))
    assert -0.05 < ax.get_ylim()[0] <= 0
    assert 0.5 < ax.get_ylim()[1] < 0.6
    (ax,) = axes(Panel([curve], "x", y_possible=(0.0, 1.0), shows_all_possible=True))
    assert ax.get_ylim() == pytest.approx((-0.03, 1.03))
    (ax,) = axes(Panel([Curve([0, 1], [-2.0, 0.5])], "x", y_possible=(0.0, 1.0)))
    assert ax.get_ylim()[0] < -2


def test_panels_that_share_axes_have_room_for_all_of_them():
    panels = [Panel([Curve(X, [y * scale for y in Y])], "x", "fvu", y_possible=(0, 9)) for scale in (1, 5)]
    for ax in axes(*panels, is_shared=True):
        assert ax.get_ylim()[0] <= 0.2
        assert ax.get_ylim()[1] >= 3.0
    assert axes(*panels, is_shared=False)[0].get_ylim()[1] < 1


def test_many_panels_have_one_legend_with_each_label_once():
    panels = [Panel([Curve(X, Y, "own"), Curve(X, X, "twin")], "x")] * 3
    figure = draw_panels(panels, 3, SMALL_PANEL_SIZE, "all panels")
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["own", "twin"]


def test_a_chart_becomes_files_whose_colors_the_page_can_replace():
    panel = Panel([Curve(X, Y, "relu", COLORS[0], marker="o", texts=["0", "0.1", "1"])], "alpha", "fvu")
    drawing = draw_chart(Chart("fvu", "Title", "Caption.", [panel]))
    assert Image.open(io.BytesIO(drawing.png)).size == (810, 540)
    assert drawing.alternative == "Title: Caption. Lines: relu."
    assert "currentColor" in drawing.inline
    assert not {INK, PAPER} & {word.strip('";') for word in drawing.inline.replace(":", " ").split()}
    assert draw_chart(Chart("fvu", "Title", "Caption.", [panel])).svg == drawing.svg


def test_texts_that_would_overlap_are_removed():
    panel = Panel([Curve([0.5] * 30, [0.5] * 30, texts=[f"label{n:02}" for n in range(30)])], "x")
    svg = draw_chart(Chart("many", "Title", "Caption.", [panel])).svg
    assert 1 <= svg.count(">label") < 30


@pytest.mark.parametrize("count", [1, 2])
def test_pictures_have_their_size(count):
    curve = Curve(X, Y, "found", COLORS[0])
    picture = draw_picture([Panel([curve], "epsilon", "change", has_log_y=True)] * count, 2)
    assert Image.open(io.BytesIO(picture.png)).size == (picture.width, picture.height)
    drawn = draw_histograms({"layer": {"clean": torch.randn(100)}} | {"more": {"x": torch.ones(3)}}, "z", [(-9, 0)])
    assert drawn.width > drawn.height


# the settings of the user

SETTINGS = {
    "text.usetex": True,
    "image.cmap": "gray",
    "font.size": 30.0,
    "font.family": ["monospace"],
    "axes.prop_cycle": matplotlib.cycler(color=["red"]),
    "savefig.bbox": "tight",
    "savefig.dpi": 30.0,
    "lines.linewidth": 9.0,
    "xtick.labelsize": 20.0,
    "hist.bins": 3,
    "path.sketch": (1.0, 100.0, 2.0),
    "contour.linewidth": 7.0,
}


def everything():
    values = torch.linspace(-1, 1, 50)
    energy = pictures.draw_energy(mlp((2,), nn.ReLU, widths=[4]), torch.zeros(3, 2), (-1.0, 1.0))
    drawing = draw_chart(Chart("a", "t", "c", [Panel([Curve(X, Y, "relu", y_bars=BARS[1])], "x", "y", "title")]))
    return draw_histograms({"a": {"b": values}}, "x"), energy, drawing


@pytest.mark.filterwarnings("ignore")
def test_figures_are_the_same_whatever_the_settings_of_the_user():
    torch.manual_seed(1)
    usual = everything()
    torch.manual_seed(1)
    with matplotlib.rc_context(SETTINGS):
        before = dict(matplotlib.rcParams)
        assert everything() == usual
        assert dict(matplotlib.rcParams) == before


DRAW = """
import hashlib, os
from satae.plots.charts import Chart, Curve, Panel, draw_chart
drawn = draw_chart(Chart("a", "t", "c", [Panel([Curve([1, 2], [1, 3], "relu")], "x", "y", "title")]))
print(hashlib.sha256(drawn.png).hexdigest(), hashlib.sha256(drawn.svg.encode()).hexdigest(), os.environ["MPLBACKEND"])
"""


def test_figures_are_the_same_with_a_backend_and_a_file_of_settings_that_cannot_be_used(tmp_path):
    (tmp_path / "matplotlibrc").write_text("text.usetex: True\nimage.cmap: nothing\nfigure.size: x\nfont.size: 30\n")
    (tmp_path / "without").mkdir()

    def drawn(folder, backend):
        environment = {**os.environ, "MPLBACKEND": backend}
        command = [sys.executable, "-c", DRAW]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        *pictures, kept = done.stdout.split()
        assert kept == backend
        return pictures

    unusable = drawn(tmp_path, "module://matplotlib_inline.backend_inline")
    assert unusable == drawn(tmp_path / "without", "agg")


def test_a_figure_that_fails_is_left_out_with_one_warning(capsys):
    def fail():
        raise ValueError("no font\nat all")

    assert draw_each({"a": fail, "b": lambda: 1, "c": fail}) == {"b": 1}
    assert capsys.readouterr().err == "warning: not drawn: a, c (ValueError: no font)\n"
    lines = []
    draw_each({"a": fail}, lines.append)
    assert lines == ["not drawn: a (ValueError: no font)"]
