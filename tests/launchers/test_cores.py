"""How the cores of a machine are divided among runs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from satae.config import ConfigError
from satae.launchers.base import share_cores

COUNT = st.integers(1, 200)


@pytest.mark.parametrize(
    ("machine", "n_jobs", "count", "expected"),
    [
        (8, -1, 100, (8, 1)),
        (8, -1, 2, (2, 4)),  # no core idle where there are few runs
        (8, -2, 100, (7, 1)),
        (8, 3, 100, (3, 2)),
        (8, 4, 1, (1, 8)),
        (2, -9, 5, (1, 2)),
        (2, 5, 9, (5, 1)),  # as was asked
    ],
)
def test_the_cores_are_divided_among_the_runs_that_go_on_at_once(machine, n_jobs, count, expected):
    assert share_cores(machine, n_jobs, count) == expected


@given(COUNT, st.integers(-300, 200).filter(bool), COUNT)
def test_no_more_threads_than_cores_and_no_more_jobs_than_runs(machine, n_jobs, count):
    jobs, threads = share_cores(machine, n_jobs, count)
    assert 1 <= jobs <= count
    assert threads >= 1
    assert jobs * threads <= max(machine, n_jobs)


def test_no_jobs_at_all_are_refused():
    with pytest.raises(ConfigError, match=r"hydra\.launcher\.n_jobs=0: must be at least 1, or -1 for one run a core"):
        share_cores(8, 0, 3)
