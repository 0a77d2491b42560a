import math

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from satae.sweeps.bands import bands


def history(*values, measure="valid/fvu"):
    return [{"epoch": epoch, measure: value} for epoch, value in enumerate(values, 1)]


@given(st.lists(st.lists(st.floats(0, 10), min_size=1, max_size=4), min_size=2, max_size=5))
def test_mean_and_margin_are_those_of_each_epoch(curves):
    for band in bands([history(*curve) for curve in curves]):
        there = [curve[band.epoch - 1] for curve in curves if len(curve) >= band.epoch]
        spread = band.spreads["valid/fvu"]
        assert spread.n == len(there) >= 2
        assert spread.mean == pytest.approx(numpy.mean(there), abs=1e-9)
        half = stats.t.ppf(0.975, len(there) - 1) * numpy.std(there, ddof=1) / math.sqrt(len(there))
        assert spread.margin == pytest.approx(half, rel=1e-6, abs=1e-9)


def test_an_epoch_that_one_seed_has_come_to_is_left_out():
    assert [band.epoch for band in bands([history(1, 2, 3), history(1, 2)])] == [1, 2]
    assert bands([history(1, 2)]) == []
    assert bands([]) == []


def test_what_is_not_finite_does_not_count():
    (band,) = bands([history(1, math.nan), history(1, 2)])
    assert band.epoch == 1


def test_measures_that_are_not_shown_are_left_out():
    assert bands([history(1, measure="samples_per_s")] * 2) == []
