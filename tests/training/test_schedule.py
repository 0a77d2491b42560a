"""How alpha grows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from satae.training.loop import alpha_schedule

ALPHAS = st.floats(0, 100)


@given(alpha=ALPHAS, done=st.floats(0, 1))
def test_constant_is_alpha_throughout(alpha, done):
    assert alpha_schedule(alpha, "constant")(done) == alpha


@pytest.mark.parametrize(("done", "weight"), [(0, 0), (0.125, 0.05), (0.25, 0.1), (0.5, 0.2), (0.75, 0.2), (1, 0.2)])
def test_linear_rises_over_the_first_half_and_stays(done, weight):
    assert alpha_schedule(0.2, "linear")(done) == pytest.approx(weight)


@given(alpha=ALPHAS, first=st.floats(0, 1), second=st.floats(0, 1))
def test_linear_never_falls_and_never_exceeds_alpha(alpha, first, second):
    rising = alpha_schedule(alpha, "linear")
    assert 0 <= rising(min(first, second)) <= rising(max(first, second)) <= alpha


def test_an_unknown_schedule_is_refused():
    with pytest.raises(ValueError, match="alpha_schedule=cosine: choose one of linear, constant"):
        alpha_schedule(0.1, "cosine")
