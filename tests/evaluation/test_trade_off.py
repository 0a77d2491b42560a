"""Accuracy under attack beside accuracy without one: the front, and what alpha=0 reaches at the same accuracy."""

import itertools
import math

import made
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import evaluated
from satae.evaluation.parts.defence import Defence
from satae.evaluation.parts.defence_trade_off import NONE_REACHES, Candidate, pareto_front, reached_accuracy
from satae.evaluation.reported_evaluations import read_evaluations
from satae.page import sources
from satae.sweeps.aggregate import SeedGroup, group_runs


def candidate(clean, robust, is_masked=False):
    return Candidate(SeedGroup({}, []), "own", clean, robust, is_masked, has_penalty=False)


accuracies = st.integers(0, 8).map(lambda eighths: eighths / 8)
some = st.lists(st.builds(candidate, accuracies, accuracies, st.booleans()), max_size=8)


def beats(a, b):
    return (
        not a.is_masked and a.clean >= b.clean and a.robust >= b.robust and (a.clean, a.robust) != (b.clean, b.robust)
    )


@given(some)
def test_the_front_holds_what_no_other_beats(candidates):
    expected = [one for one in candidates if not any(beats(other, one) for other in candidates)]
    found = pareto_front(candidates)
    assert sorted(found) == sorted(expected)
    assert all(a.robust >= b.robust and a.clean <= b.clean for a, b in itertools.pairwise(found) if not b.is_masked)


@given(some, accuracies, accuracies)
def test_the_reached_accuracy_is_that_of_a_mixture_and_falls_with_the_clean_one(candidates, clean, more):
    front = pareto_front(candidates)
    reached, _ = reached_accuracy(front, clean)
    assert math.isnan(reached) == (clean > max((one.clean for one in candidates), default=-1))
    for a, b in itertools.product(candidates, candidates):  # with a share of a, b answers the rest
        if a.clean >= clean >= b.clean and a.clean > b.clean:
            share = (clean - b.clean) / (a.clean - b.clean)
            assert reached >= share * a.robust + (1 - share) * b.robust - 1e-9
    assert not reached_accuracy(front, max(clean, more))[0] > reached + 1e-9
    assert not reached > max((one.robust for one in candidates), default=0)


def test_nothing_is_extrapolated():
    front = pareto_front([candidate(0.9, 0.2), candidate(0.7, 0.4), candidate(0.8, 0.1)])
    for clean, reached in ((0.5, 0.4), (0.7, 0.4), (0.75, 0.35), (0.8, 0.3), (0.9, 0.2)):
        assert reached_accuracy(front, clean) == (pytest.approx(reached), False)
    assert math.isnan(reached_accuracy(front, 0.91)[0])


def test_a_masked_model_is_named_and_beats_none():
    masked, holds = candidate(0.9, 0.5, is_masked=True), candidate(0.8, 0.3)
    assert pareto_front([masked, holds]) == [holds, masked] or pareto_front([masked, holds]) == [masked, holds]
    assert reached_accuracy([masked, holds], 0.85) == (0.5, True)
    assert reached_accuracy([holds], 0.7) == (0.3, False)


# on the page


def measured(folder, accuracies, verdicts=("holds", "holds"), alone=(0.95, 0.3), seeds=(0, 1, 2), **choices):
    """Runs of one configuration: pairs of accuracies by victim, a little more for each seed."""
    for seed in seeds:
        place = made.whole(folder / f"{choices} {seed}", pictures=(), seed=seed, **choices)
        words = dict(zip(("own", "twin"), verdicts, strict=True)) | {"alone": "holds"}
        rows = [
            [victim, epsilon, value, max(0.0, value - 0.1), min(1.0, value + 0.1), 200, words[victim]]
            for victim, pair in ({"alone": alone} | accuracies).items()
            for epsilon, value in zip((0.0, 0.1), (one + 0.01 * seed for one in pair), strict=True)
        ]
        evaluated.write_part(place, "defence", {"epsilon": 0.1}, {"defence": rows})
    return folder


def section_of(folder):
    """The section of the report, and the options in which the configurations differ."""
    runs = sources.collect_runs([folder])
    groups = group_runs(runs.runs)
    (section,) = read_evaluations(runs.runs, groups, runs.name).sections
    return section, [*dict.fromkeys(key for group in groups for key in group.values)]


def table(folder, alone=False):
    """The rows of the configurations, or that of the classifier alone."""
    (found,) = Defence.tables(*section_of(folder))
    rows = [dict(zip(found.head, row, strict=True)) for row in found.rows]
    return [row for row in rows if (row["model"] == "alone") == alone]


def trade_off(folder):
    """The panels of the figure."""
    section, axes = section_of(folder)
    return next(chart for chart in section.charts(axes) if chart.name == "defence_trade_off").panels


def points(panel, label):
    curve = next(curve for curve in panel.curves if curve.label == label)
    return [[round(x, 9), round(y, 9)] for x, y in zip(curve.x, curve.y, strict=True)]


@pytest.fixture
def sweep(tmp_path):
    """alpha=0 with two activations, and alpha=1 with one."""
    measured(tmp_path, {"own": (0.9, 0.2)}, act="relu", alpha=0.0)
    measured(tmp_path, {"own": (0.7, 0.4)}, act="satlin", alpha=0.0)
    return measured(tmp_path, {"own": (0.8, 0.5), "twin": (0.7, 0.4)}, act="satlin", alpha=1.0)


def test_the_table_says_what_alpha_0_reaches_at_the_same_clean_accuracy(sweep):
    relu, satlin, saturated = table(sweep)
    assert [row["with alpha=0"] for row in (relu, satlin)] == ["–", "–"]
    assert saturated["with alpha=0"] == "0.3100"  # halfway between .21 and .41, the means over the seeds
    assert [row["on the front"] for row in (relu, satlin, saturated)] == ["yes", "no", "yes"]
    assert saturated["under attack"].replace("\N{NO-BREAK SPACE}", " ") == "0.510 ± 0.025\n[0.4100, 0.6100]\n(holds 3)"
    assert saturated["n"] == "3"
    (alone,) = table(sweep, alone=True)
    spread = "± 0.025".replace(" ", "\N{NO-BREAK SPACE}")
    assert alone["clean"] == f"0.960\N{NO-BREAK SPACE}{spread}\n[0.8600, 1.000]"
    assert alone["under attack"].startswith(f"0.310\N{NO-BREAK SPACE}{spread}\n[0.2100, 0.4100]\n")
    assert [alone[name] for name in ("act", "alpha", "n", "on the front", "with alpha=0")] == ["–", "–", "3", "–", "–"]


def test_a_clean_accuracy_that_alpha_0_does_not_reach_is_said(sweep):
    measured(sweep, {"own": (0.95, 0.1), "twin": (0.9, 0.2)}, act="relu", alpha=0.5)
    found = {(row["act"], row["alpha"]): row for row in table(sweep)}
    assert found["relu", "0.5"]["with alpha=0"] == NONE_REACHES
    assert found["relu", "0.5"]["on the front"] == "yes"


def test_means_that_differ_by_rounding_are_equal(tmp_path):
    measured(tmp_path, {"own": (0.9, 0.2)}, act="relu", alpha=0.0)
    measured(tmp_path, {"own": (0.9 + 1e-12, 0.1), "twin": (0.9, 0.2)}, act="relu", alpha=1.0)
    plain, saturated = table(tmp_path)
    assert (plain["on the front"], saturated["on the front"]) == ("yes", "no")
    assert saturated["with alpha=0"] == "0.2100"


def test_a_masked_configuration_is_on_the_front_only_in_name(tmp_path):
    measured(tmp_path, {"own": (0.9, 0.2)}, alpha=0.0)
    measured(tmp_path, {"own": (0.95, 0.5), "twin": (0.9, 0.2)}, ("masked", "holds"), alpha=1.0)
    assert [row["on the front"] for row in table(tmp_path)] == ["yes", "masked"]
    (panel,) = trade_off(tmp_path)
    assert points(panel, "the front") == [[0.91, 0.21], [0.91, 0.21], [0.91, 0.21]]
    crosses = [curve for curve in panel.curves if curve.marker == "X" and curve.x]
    assert [[*curve.x] for curve in crosses] == [[pytest.approx(0.96)]]


def test_twins_stand_for_alpha_0_where_no_run_has_it(tmp_path):
    for alpha in (0.5, 1.0):
        own = (0.9 - 0.1 * alpha, 0.2 + 0.1 * alpha)
        measured(tmp_path, {"own": own, "twin": (0.9, 0.2)}, seeds=range(2 + (alpha == 1.0)), alpha=alpha)
    found = table(tmp_path)
    assert [(row["alpha"], row["model"], row["n"]) for row in found] == [
        ("0.5", "own", "2"),
        ("1", "own", "3"),
        ("1", "twin", "3"),
    ]
    assert [row["with alpha=0"] for row in found] == ["0.2100", "0.2100", "–"]
    (panel,) = trade_off(tmp_path)
    twins = [curve for curve in panel.curves if curve.dash == "--" and curve.x]
    assert [([*curve.x], [*curve.y], curve.texts) for curve in twins] == [
        ([pytest.approx(0.91)], [pytest.approx(0.21)], ["0"])
    ]


def test_the_figure_has_a_point_for_each_configuration_and_one_for_the_classifier_alone(sweep):
    (panel,) = trade_off(sweep)
    assert points(panel, "relu") == [[0.91, 0.21]]
    assert points(panel, "satlin") == [[0.71, 0.41], [0.81, 0.51]]
    assert points(panel, "the classifier alone") == [[0.96, 0.31]]
    assert points(panel, "reached with alpha=0") == [[0.71, 0.41], [0.71, 0.41], [0.91, 0.21]]
    steps = [[0.81, 0.51], [0.81, 0.21], [0.91, 0.21], [0.91, 0.21]]
    assert points(panel, "the front") == [[0.71, 0.51], *steps]
    satlin = next(curve for curve in panel.curves if curve.label == "satlin")
    for bars in (satlin.x_bars, satlin.y_bars):
        assert bars[0] == pytest.approx([0.02484, 0.02484], abs=1e-5)  # Student's t over three seeds


def test_bars_of_one_run_are_over_inputs_on_both_axes(tmp_path):
    for alpha in (0.0, 1.0):
        measured(tmp_path, {"own": (0.8, 0.4)}, seeds=[0], alpha=alpha)
    (panel,) = trade_off(tmp_path)
    bars = [end for curve in panel.curves if curve.x_bars for end in (*curve.x_bars, *curve.y_bars)]
    assert [length for end in bars[4:] for length in end] == pytest.approx([0.1] * 8)
    assert [length for end in bars[:4] for length in end] == pytest.approx([0.1, 0.05, 0.1, 0.1])  # alone, of .95


def test_accuracies_on_different_data_are_not_compared(tmp_path):
    for name, clean in (("digits", 0.9), ("mnist", 0.99)):
        data = {"name": name, "split_seed": 0}
        measured(tmp_path, {"own": (clean, 0.2)}, data=data, alpha=0.0)
        measured(tmp_path, {"own": (clean - 0.1, 0.1), "twin": (clean, 0.2)}, data=data, alpha=1.0)
    assert [(row["data"], row["with alpha=0"], row["on the front"]) for row in table(tmp_path)] == [
        ("digits", "–", "yes"),
        ("digits", "0.2100", "no"),
        ("mnist", "–", "yes"),
        ("mnist", "0.2100", "no"),
    ]


def test_one_configuration_has_neither_table_nor_figure(tmp_path):
    measured(tmp_path, {"own": (0.9, 0.2), "twin": (0.9, 0.1)})
    section, axes = section_of(tmp_path)
    assert [*Defence.tables(section, axes)] == []
    assert "defence_trade_off" not in [chart.name for chart in section.charts(axes)]
