import math

import pytest
from scipy.stats import binom, binomtest

from satae.robustness.proportions import Share


@pytest.mark.parametrize(("counted", "n"), [(0, 10), (1, 100), (37, 120), (120, 120), (5, 5)])
def test_it_is_the_interval_of_scipy(counted, n):
    low, high = binomtest(counted, n).proportion_ci(0.95, "wilson")
    share = Share.of(counted, n)
    assert math.isclose(share.low, low, abs_tol=1e-12)
    assert math.isclose(share.high, high, abs_tol=1e-12)


def test_it_holds_the_true_share_about_as_often_as_it_says():
    n, p = 200, 0.3
    held = [k for k in range(n + 1) if Share.of(k, n).low <= p <= Share.of(k, n).high]
    assert 0.93 < sum(binom.pmf(k, n, p) for k in held) < 0.97


def test_of_nothing_nothing_is_known():
    share = Share.of(0, 0)
    assert (share.low, share.high) == (0, 1)
    assert math.isnan(share.value)


def test_it_is_told_in_percent():
    assert str(Share.of(1, 100)) == "1.0 % (0.2 to 5.4), n=100"


def test_more_than_all_is_refused():
    with pytest.raises(ValueError, match="3 of 2"):
        Share.of(3, 2)
