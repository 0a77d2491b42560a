import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from satae.config.flat import flat
from satae.sweeps.groups import Spread, as_typed, axes, grouped, quantile
from satae.sweeps.results import Result

finite = st.floats(-1e3, 1e3)


def result(**choices):
    return Result(Path("run"), choices, {"status": "finished"}, {})


def test_what_varies_is_an_axis_and_the_seed_the_last():
    choices = [{"seed": seed, "act": act, "alpha": 0.1} for seed in (0, 1) for act in ("relu", "tanh")]
    assert axes(choices) == ["act", "seed"]


def test_an_option_of_one_choice_is_no_axis_beside_another_choice():
    shrink = {"act": "shrink", "act.threshold": 0.5}
    assert axes([shrink, {"act": "relu"}]) == ["act"]
    assert axes([shrink, shrink | {"act.threshold": 1.0}, {"act": "relu"}]) == ["act", "act.threshold"]


@pytest.mark.parametrize("key", ["threads", "device", "checkpoint.keep", "data.dir"])
def test_what_does_not_change_a_run_is_no_axis(key):
    assert axes([{key: 1}, {key: 2}]) == []


def test_seeds_of_a_configuration_are_one_group_and_numbers_are_in_order():
    runs = [result(seed=seed, alpha=alpha) for seed in (1, 0) for alpha in (1, 0.1, 0, 10.0)]
    found = grouped(runs)
    assert [group.name for group in found] == ["alpha=0", "alpha=0.1", "alpha=1", "alpha=10"]
    assert [[run.seed for run in group.runs] for group in found] == [[0, 1]] * 4


def test_configurations_are_named_in_the_order_that_was_typed():
    runs = [result(act=act, alpha=alpha, seed=seed) for act in ("relu", "tanh") for alpha in (0, 1) for seed in (0, 1)]
    assert [group.name for group in grouped(runs)][:2] == ["act=relu,alpha=0", "act=relu,alpha=1"]
    typed = ["seed", "alpha", "act"]
    assert [group.name for group in grouped(runs, typed)][:2] == ["alpha=0,act=relu", "alpha=0,act=tanh"]
    assert axes([run.choices for run in runs], typed) == ["alpha", "act", "seed"]


def test_an_option_comes_after_its_choice_and_what_was_not_typed_after_that():
    assert as_typed(["seed", "alpha", "lr", "noise", "noise.level"], ["noise", "alpha", "seed"]) == [
        *("noise", "noise.level", "alpha", "lr", "seed")
    ]


def test_one_configuration_is_one_group():
    (group,) = grouped([result(seed=0), result(seed=1)])
    assert (group.name, len(group.runs)) == ("all", 2)


@given(st.lists(finite, min_size=2, max_size=8))
def test_the_interval_is_students(values):
    spread = Spread.of(values)
    low, high = stats.t.interval(0.95, len(values) - 1, loc=spread.mean, scale=stats.sem(values) or 1e-300)
    assert spread.mean - spread.margin == pytest.approx(low, rel=1e-6, abs=1e-6)
    assert spread.mean + spread.margin == pytest.approx(high, rel=1e-6, abs=1e-6)


def test_the_interval_covers_the_mean_as_often_as_it_says():
    import numpy

    samples = numpy.random.default_rng(0).normal(3.0, 2.0, (2000, 4))
    spreads = [Spread.of(sample) for sample in samples.tolist()]
    assert sum(abs(spread.mean - 3.0) <= spread.margin for spread in spreads) / 2000 == pytest.approx(0.95, abs=0.02)


def test_one_value_has_no_interval_and_none_no_mean():
    one, none = Spread.of([2.0, math.nan]), Spread.of([])
    assert (one.n, one.mean) == (1, 2.0)
    assert math.isnan(one.margin)
    assert none.n == 0
    assert math.isnan(none.mean)


def test_a_quantile_known_from_tables():
    assert quantile(4) == pytest.approx(2.776, abs=5e-4)


def test_a_configuration_is_flat_as_words_are_typed():
    config = {"act": {"name": "shrink", "threshold": 0.5}, "alpha": 0.1, "checkpoint": {"keep": 2}}
    assert flat(config) == {"act": "shrink", "act.threshold": 0.5, "alpha": 0.1, "checkpoint.keep": 2}


@pytest.mark.parametrize("size", [2.0**-1000, 2.0**900, 2.0**1022])
def test_the_largest_and_the_least_numbers_have_a_mean_and_a_spread(size):
    small, spread = Spread.of([0.5, 0.75, 1.0]), Spread.of([0.5 * size, 0.75 * size, size])
    assert (spread.mean, spread.deviation, spread.margin) == (
        small.mean * size,
        small.deviation * size,
        small.margin * size,
    )


def test_a_spread_that_no_number_can_be_is_infinite():
    assert Spread.of([1.7e308, -1.7e308]) == (2, 0.0, math.inf, math.inf)
