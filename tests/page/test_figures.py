"""The charts of a sweep hold means, 95 % intervals and collapsed runs, as the runs have them."""

import random

import made
import pytest

from satae.page import figures, findings, sources
from satae.sweeps.aggregate import SeedStatistics, group_runs, varying_keys
from satae.sweeps.series import MAX_SERIES, compare
from satae.sweeps.text import format_change, format_statistics
from satae.training.metric_titles import COLLAPSED, FVU, SATURATED, split_title

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
                measures = measured(act, alpha, seed)
                made.whole(folder / f"{act} {alpha} {seed}", measures, act=act, alpha=alpha, seed=seed, pictures=())
    return folder


def compared(folder):
    found = sources.collect_runs([folder]).runs
    return compare(group_runs(found), varying_keys([run.choices for run in found]))


@pytest.fixture(scope="module")
def charts(tmp_path_factory):
    return [*figures.sweep_charts(compared(runs(tmp_path_factory.mktemp("charts"))))]


def spread(metric, act, alpha):
    """As it should be drawn, from the measures themselves."""
    values = [measured(act, alpha, seed)[metric] for seed in seeds(act, alpha)]
    return SeedStatistics.from_values(value for value in values if value is not None)


def half(metric, act, alpha):
    """Of its interval; 0 of one run, which has none."""
    found = spread(metric, act, alpha)
    return found.margin if found.n > 1 else 0.0


def curves(chart):
    (panel,) = chart.panels
    return [curve for curve in panel.curves if not curve.is_hollow]


def hollow(chart):
    (panel,) = chart.panels
    return sorted(point for curve in panel.curves if curve.is_hollow for point in zip(curve.x, curve.y, strict=True))


def near(values):
    return pytest.approx([*values], rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(("place", "metric"), [(0, FVU), (1, SATURATED)])
def test_lines_have_means_with_their_intervals(charts, place, metric):
    found = curves(charts[place])
    assert [curve.label for curve in found] == [*ACTS]
    for act, curve in zip(ACTS, found, strict=True):
        assert [*curve.x] == [*ALPHAS]
        assert [*curve.y] == near(spread(metric, act, alpha).mean for alpha in ALPHAS)
        for side in curve.y_bars:
            assert [*side] == near(half(metric, act, alpha) for alpha in ALPHAS)
    assert hollow(charts[place]) == [
        (alpha, pytest.approx(spread(metric, act, alpha).mean)) for act, alpha in (("relu", 0.0), ("satlin", 0.1))
    ]


def test_the_trade_off_has_saturation_to_the_right_and_reconstruction_upwards(charts):
    (panel,) = charts[2].panels
    for act, curve in zip(ACTS, curves(charts[2]), strict=True):
        assert curve.label == act
        for metric, at, bars in ((SATURATED, curve.x, curve.x_bars), (FVU, curve.y, curve.y_bars)):
            assert [*at] == near(spread(metric, act, alpha).mean for alpha in ALPHAS)
            for side in bars:
                assert [*side] == near(half(metric, act, alpha) for alpha in ALPHAS)
        assert curve.texts == [f"{alpha:g}" for alpha in ALPHAS]
    collapsed = (("relu", 0.0), ("satlin", 0.1))
    expected = sorted((spread(SATURATED, *place).mean, spread(FVU, *place).mean) for place in collapsed)
    assert hollow(charts[2]) == [(pytest.approx(x), pytest.approx(y)) for x, y in expected]
    assert (panel.x_label, panel.y_label) == (split_title(SATURATED), split_title(FVU))


@pytest.mark.parametrize(("place", "metric"), [(0, FVU), (1, SATURATED)])
def test_without_a_number_that_varies_each_configuration_has_its_row(tmp_path, place, metric):
    chart = [*figures.sweep_charts(compared(runs(tmp_path, alphas=[0.1])))][place]
    (panel,) = chart.panels
    (curve,) = curves(chart)
    assert panel.row_names == [*ACTS]
    assert [*curve.y] == [0, 1, 2]
    assert [*curve.x] == near(spread(metric, act, 0.1).mean for act in ACTS)
    for side in curve.x_bars:
        assert [*side] == near(half(metric, act, 0.1) for act in ACTS)
    assert hollow(chart) == [(pytest.approx(spread(metric, "satlin", 0.1).mean), 1)]


def test_the_lowest_and_the_highest_are_what_they_are_called(tmp_path):
    values = {"relu": [0.51, 0.53, 0.52, 0.55], "satlin": [0.2, 0.21, 0.23, 0.22]}
    for act, found in values.items():
        for seed, fvu in enumerate(found):
            made.whole(tmp_path / f"{act}{seed}", {FVU: fvu, SATURATED: 0.5}, act=act, seed=seed)
    best, worst = (format_statistics(SeedStatistics.from_values(values[act])) for act in ("satlin", "relu"))
    change = SeedStatistics.from_values(high - low for high, low in zip(values["relu"], values["satlin"], strict=True))
    assert [told for _, told in findings.summary(compared(tmp_path))] == [
        f"The lowest validation fvu is {best} for satlin, the highest {worst} for relu."
        f" Seed by seed they differ by {format_statistics(change)} (n = 4)."
    ]
    assert format_change(change) == f"+{format_statistics(change)}"


def test_many_lines_are_split_into_panels(tmp_path):
    for place in range(2 * MAX_SERIES):
        for alpha in ALPHAS:
            found = {FVU: 0.1 * (place + 1), SATURATED: 0.05 * (place + 1)}
            made.whole(tmp_path / f"{place} {alpha}", found, act=f"f{place:02}", alpha=alpha, pictures=())
    charts = [*figures.sweep_charts(compared(tmp_path))]
    assert len(charts) == 3
    for chart in charts:
        assert [len(panel.curves) for panel in chart.panels] == [MAX_SERIES, MAX_SERIES]
        assert chart.is_shared
