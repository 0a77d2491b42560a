import math

import pytest
from scipy.stats import binom, binomtest

from satae.robustness.proportion import Proportion


@pytest.mark.parametrize(("counted", "n"), [(0, 10), (1, 100), (37, 120), (120, 120), (5, 5)])
def test_wilson_interval_equals_scipy(counted, n):
    low, high = binomtest(counted, n).proportion_ci(0.95, "wilson")
    share = Proportion.from_count(counted, n)
    assert math.isclose(share.low, low, abs_tol=1e-12)
    assert math.isclose(share.high, high, abs_tol=1e-12)


def test_wilson_interval_covers_the_true_proportion_as_often_as_stated():
    n, p = 200, 0.3
    held = [k for k in range(n + 1) if Proportion.from_count(k, n).low <= p <= Proportion.from_count(k, n).high]
    assert 0.93 < sum(binom.pmf(k, n, p) for k in held) < 0.97


def test_a_proportion_of_no_examples_has_the_full_interval():
    share = Proportion.from_count(0, 0)
    assert (share.low, share.high) == (0, 1)
    assert math.isnan(share.value)


def test_a_proportion_is_printed_in_percent():
    assert str(Proportion.from_count(1, 100)) == "1.0 % (0.2 to 5.4), n=100"


def test_more_hits_than_examples_are_refused():
    with pytest.raises(ValueError, match="3 of 2"):
        Proportion.from_count(3, 2)
