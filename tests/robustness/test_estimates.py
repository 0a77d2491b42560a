"""Fractions and areas are what they are called, and their intervals hold what they say they do."""

import math

import pytest
import torch
from scipy.stats import binom, binomtest
from sklearn.metrics import roc_auc_score

from satae.robustness.estimates import auroc, fraction_estimate, mean_estimate


@pytest.mark.parametrize(("n", "m", "shift", "digits"), [(40, 70, 0.5, 6), (200, 30, 1.5, 6), (60, 60, 0.3, 0)])
def test_the_area_is_that_of_scikit_learn(n, m, shift, digits):
    inside, outside = (torch.randn(n) * 2).round(decimals=digits), (torch.randn(m) + shift).round(decimals=digits)
    labels = [0] * n + [1] * m
    found = auroc(inside, outside)
    assert found.value == pytest.approx(roc_auc_score(labels, torch.cat([inside, outside]).numpy()), abs=1e-12)
    assert found.low < found.value < found.high
    assert found.n == m


@pytest.mark.parametrize("shift", [0.0, 1.0, 2.0])
def test_the_interval_of_the_area_holds_it_nineteen_times_in_twenty(shift):
    true, n, draws = torch.distributions.Normal(0, 1).cdf(torch.tensor(shift / math.sqrt(1 + 4))).item(), 50, 1000
    found = [auroc(torch.randn(n), 2 * torch.randn(n) + shift) for _ in range(draws)]
    held = sum(area.low <= true <= area.high for area in found) / draws
    assert 0.93 <= held <= 0.975


def test_an_area_without_overlap_has_a_wide_interval():
    found = auroc(torch.zeros(30), torch.ones(20))
    assert (found.value, found.high) == (1, 1)
    assert found.low == pytest.approx(fraction_estimate(20, 20).low)
    assert 0.8 < found.low < 0.9
    turned = auroc(torch.ones(30), torch.zeros(20))
    assert (turned.value, turned.low) == (0, 0)
    assert turned.high == pytest.approx(1 - found.low)
    same = auroc(torch.zeros(9), torch.zeros(9))
    assert same.value == 0.5
    assert same.low < 0.3


def test_the_interval_of_a_fraction_is_wilsons():
    # by hand: n = 10, z = 1.96: (x + z^2 / 2) / (n + z^2) +- z / (n + z^2) sqrt(x (n - x) / n + z^2 / 4)
    assert fraction_estimate(5, 10)[1:3] == pytest.approx((0.2366, 0.7634), abs=1e-4)
    assert fraction_estimate(0, 10)[:3] == pytest.approx((0, 0, 0.2775), abs=1e-4)
    assert fraction_estimate(10, 10)[:3] == pytest.approx((1, 0.7225, 1), abs=1e-4)


def test_the_interval_of_a_mean_is_that_of_the_normal_distribution():
    found = mean_estimate(torch.tensor([1.0, 2.0, 3.0]))
    assert found == pytest.approx((2, 2 - 1.959964 / math.sqrt(3), 2 + 1.959964 / math.sqrt(3), 3))
    assert math.isnan(mean_estimate(torch.ones(1)).low)


@pytest.mark.parametrize(("counted", "n"), [(0, 10), (1, 100), (37, 120), (120, 120), (5, 5)])
def test_wilson_interval_equals_scipy(counted, n):
    low, high = binomtest(counted, n).proportion_ci(0.95, "wilson")
    found = fraction_estimate(counted, n)
    assert math.isclose(found.low, low, abs_tol=1e-12)
    assert math.isclose(found.high, high, abs_tol=1e-12)


def test_wilson_interval_covers_the_true_fraction_as_often_as_stated():
    n, p = 200, 0.3
    held = [k for k in range(n + 1) if fraction_estimate(k, n).low <= p <= fraction_estimate(k, n).high]
    assert 0.93 < sum(binom.pmf(k, n, p) for k in held) < 0.97


def test_a_fraction_of_no_examples_has_the_full_interval():
    found = fraction_estimate(0, 0)
    assert (found.low, found.high) == (0, 1)
    assert math.isnan(found.value)


def test_a_fraction_is_printed_in_percent():
    assert fraction_estimate(1, 100).in_percent() == "1.0 % (0.2 to 5.4), n=100"


def test_more_hits_than_examples_are_refused():
    with pytest.raises(ValueError, match="3 of 2"):
        fraction_estimate(3, 2)
