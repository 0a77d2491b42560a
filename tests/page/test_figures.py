"""What the figures draw: means, 95 % intervals and collapsed runs, as the runs have them."""

import random

import made
import numpy
import pytest
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure

from satae.page import figures, findings, sources
from satae.plots.style import PAPER, figure_style
from satae.sweeps.formatting import format_statistics
from satae.sweeps.groups import Spread, axes, grouped
from satae.sweeps.measures import COLLAPSED, FVU, SATURATED
from satae.sweeps.series import MOST_SERIES, compare

ALPHAS = (0.0, 0.1, 1.0)
ACTS = ("relu", "satlin", "tanh")


def measured(act, alpha, seed):
    """Measures unlike one another in their size and in how far they scatter; one has no fvu."""
    draw = random.Random(repr((act, alpha, seed)))
    fvu = None if (act, alpha, seed) == ("relu", 0.1, 3) else 0.2 + 0.02 * draw.random()
    return {FVU: fvu, SATURATED: 0.5 + 0.1 * draw.random(), COLLAPSED: float(is_collapsed(act, alpha, seed))}


def is_collapsed(act, alpha, seed):
    return (act, alpha) == ("satlin", 0.1) or (act, alpha, seed) == ("relu", 0.0, 2)


def seeds(act, alpha):
    return range(1 if (act, alpha) == ("tanh", 1.0) else 4)


def runs(folder, acts=ACTS, alphas=ALPHAS):
    for act in acts:
        for alpha in alphas:
            for seed in seeds(act, alpha):
                made.whole(
                    folder / f"{act} {alpha} {seed}", measured(act, alpha, seed), act=act, alpha=alpha, seed=seed
                )
    return folder


def planned(folder):
    found = sources.gather([folder]).runs
    return compare(grouped(found), axes([run.choices for run in found]))


@pytest.fixture
def drawn(monkeypatch):
    """The figures of some runs, as they are before they are saved."""
    monkeypatch.setattr(figures, "_save", lambda figure, *_: figure)

    def of(folder):
        with figure_style():
            found = [*figures.draw(planned(folder))]
        assert [type(figure) for figure in found] == [Figure] * 3
        return found

    return of


def spread(metric, act, alpha):
    """As it should be drawn, from the measures themselves."""
    values = [measured(act, alpha, seed)[metric] for seed in seeds(act, alpha)]
    return Spread.of(value for value in values if value is not None)


def half(metric, act, alpha):
    """Of its interval; 0 of one run, which has none."""
    found = spread(metric, act, alpha)
    return found.margin if found.n > 1 else 0.0


def marks(figure):
    """Of each line: where its marks are, and how far its bars go from them along both axes."""
    (ax,) = figure.axes
    for line in [line for line in ax.containers if isinstance(line, ErrorbarContainer)]:
        mark, _, bars = line.lines
        assert bars
        points = mark.get_xydata()
        ends = numpy.array([bar.get_segments() for bar in bars])  # by axis, mark, end
        assert ends.mean(axis=2) == near([points] * len(bars))
        yield points, abs(ends[:, :, 1] - points).max(axis=0)


def hollow(figure):
    (ax,) = figure.axes
    return sorted(tuple(line.get_xydata()[0]) for line in ax.lines if line.get_markerfacecolor() == PAPER)


def near(rows):
    return pytest.approx(numpy.array(rows), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(("place", "metric"), [(0, FVU), (1, SATURATED)])
def test_lines_have_means_with_their_intervals(tmp_path, drawn, place, metric):
    figure = drawn(runs(tmp_path))[place]
    found = [*marks(figure)]
    assert [line.get_label() for line in figure.axes[0].containers] == [*ACTS]
    for act, (points, widths) in zip(ACTS, found, strict=True):
        assert points == near([(alpha, spread(metric, act, alpha).mean) for alpha in ALPHAS])
        assert widths == near([(0, half(metric, act, alpha)) for alpha in ALPHAS])
    assert hollow(figure) == [
        (alpha, pytest.approx(spread(metric, act, alpha).mean)) for act, alpha in (("relu", 0.0), ("satlin", 0.1))
    ]


def test_the_trade_off_has_saturation_to_the_right_and_reconstruction_upwards(tmp_path, drawn):
    figure = drawn(runs(tmp_path))[2]
    found = [*marks(figure)]
    assert [line.get_label() for line in figure.axes[0].containers] == [*ACTS]
    for act, (points, widths) in zip(ACTS, found, strict=True):
        assert points == near([[spread(metric, act, alpha).mean for metric in (SATURATED, FVU)] for alpha in ALPHAS])
        assert widths == near([[half(metric, act, alpha) for metric in (SATURATED, FVU)] for alpha in ALPHAS])
    assert numpy.array(hollow(figure)) == near(
        sorted(
            tuple(spread(metric, act, alpha).mean for metric in (SATURATED, FVU))
            for act, alpha in (("relu", 0.0), ("satlin", 0.1))
        )
    )
    assert (figure.axes[0].get_xlabel(), figure.axes[0].get_ylabel()) == (SATURATED, FVU)


@pytest.mark.parametrize(("place", "metric"), [(0, FVU), (1, SATURATED)])
def test_without_a_number_that_varies_each_configuration_has_its_row(tmp_path, drawn, place, metric):
    figure = drawn(runs(tmp_path, alphas=[0.1]))[place]
    found = [*marks(figure)]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == [*ACTS]
    assert len(found) == len(ACTS)
    for row, (act, (points, widths)) in enumerate(zip(ACTS, found, strict=True)):
        assert points == near([(spread(metric, act, 0.1).mean, row)])
        assert widths == near([(half(metric, act, 0.1), 0)])
    assert hollow(figure) == [(pytest.approx(spread(metric, "satlin", 0.1).mean), 1)]


def test_the_lowest_and_the_highest_are_what_they_are_called(tmp_path):
    values = {"relu": [0.51, 0.53, 0.52, 0.55], "satlin": [0.2, 0.21, 0.23, 0.22]}
    for act, found in values.items():
        for seed, fvu in enumerate(found):
            made.whole(tmp_path / f"{act}{seed}", {FVU: fvu, SATURATED: 0.5}, act=act, seed=seed)
    best, worst = (format_statistics(Spread.of(values[act])) for act in ("satlin", "relu"))
    change = Spread.of(high - low for high, low in zip(values["relu"], values["satlin"], strict=True))
    assert [told for _, told in findings.found(planned(tmp_path))] == [
        f"The lowest {FVU} is {best} for satlin, the highest {worst} for relu."
        f" Seed by seed they differ by {format_statistics(change)} (n = 4)."
    ]


def test_panels_share_axes_on_which_all_of_them_have_room(tmp_path, drawn):
    for place in range(2 * MOST_SERIES):
        for alpha in ALPHAS:
            found = {FVU: 0.1 * (place + 1), SATURATED: 0.05 * (place + 1)}
            made.whole(tmp_path / f"{place} {alpha}", found, act=f"f{place:02}", alpha=alpha, pictures=())
    for figure in drawn(tmp_path):
        assert len(figure.axes) == 2
        for ax in figure.axes:
            (left, right), (low, high) = ax.get_xlim(), ax.get_ylim()
            points = [point for line in ax.containers for point in line.lines[0].get_xydata()]
            assert len(points) == MOST_SERIES * len(ALPHAS)
            assert all(left <= x <= right and low <= y <= high for x, y in points)
