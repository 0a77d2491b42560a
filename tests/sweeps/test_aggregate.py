import math
from pathlib import Path

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from satae.config.schema import flatten
from satae.sweeps.aggregate import (
    SeedGroup,
    SeedStatistics,
    group_runs,
    holm,
    in_typed_order,
    statistics_by_epoch,
    student_quantile,
    varying_keys,
)
from satae.sweeps.results import RunResult
from satae.training.metric_titles import FVU

finite = st.floats(-1e3, 1e3)


def result(**choices):
    return RunResult(Path("run"), choices, {"status": "finished"}, {})


def test_varying_keys_are_listed_with_the_seed_last():
    choices = [{"seed": seed, "act": act, "alpha": 0.1} for seed in (0, 1) for act in ("relu", "tanh")]
    assert varying_keys(choices) == ["act", "seed"]


def test_an_option_of_one_choice_does_not_vary_beside_another_choice():
    shrink = {"act": "shrink", "act.threshold": 0.5}
    assert varying_keys([shrink, {"act": "relu"}]) == ["act"]
    assert varying_keys([shrink, shrink | {"act.threshold": 1.0}, {"act": "relu"}]) == ["act", "act.threshold"]


@pytest.mark.parametrize("key", ["threads", "device", "checkpoint.keep", "data.dir"])
def test_execution_options_do_not_count_as_varying(key):
    assert varying_keys([{key: 1}, {key: 2}]) == []


def test_seeds_form_one_group_and_groups_are_sorted_by_number():
    runs = [result(seed=seed, alpha=alpha) for seed in (1, 0) for alpha in (1, 0.1, 0, 10.0)]
    found = group_runs(runs)
    assert [group.name for group in found] == ["alpha=0", "alpha=0.1", "alpha=1", "alpha=10"]
    assert [[run.seed for run in group.runs] for group in found] == [[0, 1]] * 4


def test_group_names_list_options_in_the_typed_order():
    runs = [result(act=act, alpha=alpha, seed=seed) for act in ("relu", "tanh") for alpha in (0, 1) for seed in (0, 1)]
    assert [group.name for group in group_runs(runs)][:2] == ["act=relu,alpha=0", "act=relu,alpha=1"]
    typed = ["seed", "alpha", "act"]
    assert [group.name for group in group_runs(runs, typed)][:2] == ["alpha=0,act=relu", "alpha=0,act=tanh"]
    assert varying_keys([run.choices for run in runs], typed) == ["alpha", "act", "seed"]


def test_typed_order_puts_options_after_their_choice_and_the_rest_last():
    assert in_typed_order(["seed", "alpha", "lr", "noise", "noise.level"], ["noise", "alpha", "seed"]) == [
        *("noise", "noise.level", "alpha", "lr", "seed")
    ]


def test_one_configuration_is_one_group():
    (group,) = group_runs([result(seed=0), result(seed=1)])
    assert (group.name, len(group.runs)) == ("all", 2)


@given(st.lists(finite, min_size=2, max_size=8))
def test_the_confidence_interval_is_that_of_students_t(values):
    spread = SeedStatistics.from_values(values)
    low, high = stats.t.interval(0.95, len(values) - 1, loc=spread.mean, scale=stats.sem(values) or 1e-300)
    assert spread.mean - spread.margin == pytest.approx(low, rel=1e-6, abs=1e-6)
    assert spread.mean + spread.margin == pytest.approx(high, rel=1e-6, abs=1e-6)


def test_the_confidence_interval_covers_the_mean_in_95_percent_of_samples():
    samples = numpy.random.default_rng(0).normal(3.0, 2.0, (2000, 4))
    spreads = [SeedStatistics.from_values(sample) for sample in samples.tolist()]
    assert sum(abs(spread.mean - 3.0) <= spread.margin for spread in spreads) / 2000 == pytest.approx(0.95, abs=0.02)


def test_one_value_has_no_interval_and_no_value_has_no_mean():
    one, none = SeedStatistics.from_values([2.0, math.nan]), SeedStatistics.from_values([])
    assert (one.n, one.mean) == (1, 2.0)
    assert math.isnan(one.margin)
    assert none.n == 0
    assert math.isnan(none.mean)


@given(st.lists(st.integers(-1000, 1000), min_size=2, max_size=8))
def test_the_p_value_is_that_of_the_paired_t_test_and_agrees_with_the_interval(values):
    first, second = numpy.array(values) / 7.0, numpy.arange(len(values)) / 3.0
    found = SeedStatistics.from_values((first - second).tolist())
    if found.deviation > 1e-9:
        assert found.p_value == pytest.approx(stats.ttest_rel(first, second).pvalue, rel=1e-6)
        if abs(found.p_value - 0.05) > 1e-9:
            assert (found.p_value < 0.05) == (abs(found.mean) > found.margin)


def test_the_p_value_of_one_seed_is_unknown_and_that_of_equal_differences_is_1():
    assert math.isnan(SeedStatistics.from_values([2.0]).p_value)
    assert SeedStatistics.from_values([0.1, 0.1, 0.1]).p_value == 1
    assert SeedStatistics.from_values([0.0, 0.0]).p_value == 1
    assert SeedStatistics.from_values([1.7e308, -1.7e308]).p_value == 1
    assert SeedStatistics.from_values([1.7e308, 1.6e308, 1.5e308]).p_value < 0.01


p_values = st.lists(st.floats(0, 1), max_size=8)


def test_holm_agrees_with_an_example_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


@given(p_values, st.floats(0.001, 0.999))
def test_holm_rejects_what_the_step_down_procedure_rejects(found, level):
    rejected = set()
    for rank, place in enumerate(sorted(range(len(found)), key=lambda place: found[place])):
        if found[place] * (len(found) - rank) > level:
            break
        rejected.add(place)
    assert {place for place, p in enumerate(holm(found)) if p <= level} == rejected


@given(st.permutations(range(6)), st.lists(st.floats(0, 1), min_size=6, max_size=6))
def test_holm_keeps_the_order_and_does_not_depend_on_that_of_the_rows(order, found):
    corrected = holm(found)
    assert holm([found[place] for place in order]) == [corrected[place] for place in order]
    ranked = sorted(range(6), key=lambda place: found[place])
    assert [corrected[place] for place in ranked] == sorted(corrected)
    assert all(min(1, p) <= q <= min(1, 6 * p) for p, q in zip(found, corrected, strict=True))


@given(st.floats(0, 1))
def test_holm_does_not_change_a_single_p_value(p):
    assert holm([p]) == [p]


def test_the_quantile_agrees_with_printed_tables():
    assert student_quantile(4) == pytest.approx(2.776, abs=5e-4)


def test_a_flat_configuration_has_the_keys_that_users_type():
    config = {"act": {"name": "shrink", "threshold": 0.5}, "alpha": 0.1, "checkpoint": {"keep": 2}}
    assert flatten(config) == {"act": "shrink", "act.threshold": 0.5, "alpha": 0.1, "checkpoint.keep": 2}


@pytest.mark.parametrize("size", [2.0**-1000, 2.0**900, 2.0**1022])
def test_huge_and_tiny_numbers_have_exact_statistics(size):
    small, spread = (
        SeedStatistics.from_values([0.5, 0.75, 1.0]),
        SeedStatistics.from_values([0.5 * size, 0.75 * size, size]),
    )
    assert (spread.mean, spread.deviation, spread.margin) == (
        small.mean * size,
        small.deviation * size,
        small.margin * size,
    )


def test_a_deviation_beyond_every_float_is_infinite():
    assert SeedStatistics.from_values([1.7e308, -1.7e308]) == (2, 0.0, math.inf, math.inf, -1.7e308, 1.7e308)


def log(*values, metric="valid/fvu"):
    return [{"epoch": epoch, metric: value} for epoch, value in enumerate(values, 1)]


@given(st.lists(st.lists(st.floats(0, 10), min_size=1, max_size=4), min_size=2, max_size=5))
def test_mean_and_margin_of_an_epoch_come_from_the_runs_that_finished_it(curves):
    for epoch, found in statistics_by_epoch([log(*curve) for curve in curves], [FVU]).items():
        values = [curve[epoch - 1] for curve in curves if len(curve) >= epoch]
        assert found[FVU].n == len(values) >= 2
        assert found[FVU].mean == pytest.approx(numpy.mean(values), abs=1e-9)
        half = stats.t.ppf(0.975, len(values) - 1) * numpy.std(values, ddof=1) / math.sqrt(len(values))
        assert found[FVU].margin == pytest.approx(half, rel=1e-6, abs=1e-9)


def test_an_epoch_that_one_run_finished_is_left_out():
    assert [*statistics_by_epoch([log(1, 2, 3), log(1, 2)], [FVU])] == [1, 2]
    assert statistics_by_epoch([log(1, 2)], [FVU]) == {}
    assert statistics_by_epoch([], [FVU]) == {}


def test_a_value_that_is_not_finite_does_not_count_for_an_epoch():
    assert [*statistics_by_epoch([log(1, math.nan), log(1, 2)], [FVU])] == [1]


def test_other_metrics_are_left_out_of_the_statistics_by_epoch():
    assert statistics_by_epoch([log(1, metric="samples_per_s")] * 2, [FVU]) == {}


def test_paired_differences_are_taken_over_common_seeds():
    def point(values):
        runs = [result()._replace(metrics={FVU: value}, choices={"seed": seed}) for seed, value in values.items()]
        return SeedGroup({}, runs)

    first, second = point({0: 1.0, 1: 2.0, 2: 9.0}), point({1: 5.0, 0: 2.0, 3: 7.0})
    assert second.change(first, FVU) == SeedStatistics.from_values([1.0, 3.0])
    assert point({1: 1.0}).change(point({0: 1.0}), FVU).n == 0
