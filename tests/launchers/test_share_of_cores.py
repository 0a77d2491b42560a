"""How the cores of a machine are divided among runs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from program import TINY, here, read, runs

from satae.errors import ConfigError
from satae.launchers.base import share_cores, share_machine
from satae.training.machine import available_cores
from satae.training.torch_settings import DEFAULT_THREADS

COUNT = st.integers(1, 200)


@pytest.mark.parametrize(
    ("machine", "n_jobs", "runs", "expected"),
    [
        (8, -1, 100, (8, 1)),
        (8, -1, 2, (2, 4)),  # no core is idle where runs are few
        (8, -2, 100, (7, 1)),
        (8, 3, 100, (3, 2)),
        (8, 4, 1, (1, 8)),
        (2, -9, 5, (1, 2)),
        (2, 5, 9, (5, 1)),  # more than the cores, if the user wants that
    ],
)
def test_runs_at_once_divide_the_cores(machine, n_jobs, runs, expected):
    assert share_cores(machine, n_jobs, runs) == expected


@given(COUNT, st.integers(-300, 200).filter(bool), COUNT)
def test_threads_stay_within_the_cores_and_jobs_within_the_runs(machine, n_jobs, runs):
    jobs, threads = share_cores(machine, n_jobs, runs)
    assert 1 <= jobs <= runs
    assert threads >= 1
    assert jobs * threads <= max(machine, n_jobs)


def test_no_jobs_at_all_are_refused():
    with pytest.raises(ConfigError, match=r"hydra\.launcher\.n_jobs=0: must be at least 1"):
        share_cores(8, 0, 3)


@pytest.mark.parametrize(
    ("machine", "threads", "runs", "expected"), [(8, None, 2, (2, 4)), (8, 3, 9, (2, 3)), (2, 4, 9, (1, 2))]
)
def test_threads_of_each_run_can_be_chosen(monkeypatch, machine, threads, runs, expected):
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", str(machine))
    monkeypatch.setattr("os.cpu_count", lambda: machine)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {*range(machine)})
    assert share_machine(threads, runs) == expected


def test_few_threads_are_no_reason_for_few_runs_at_once(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    few = available_cores()
    monkeypatch.setenv("OMP_NUM_THREADS", "64")
    assert available_cores() == few


@pytest.mark.parametrize(("words", "threads"), [([], None), (["threads=3"], 3)], ids=["by default", "chosen"])
def test_a_single_run_has_all_cores_unless_the_user_says_otherwise(tmp_path, words, threads):
    tiny = [word for word in TINY if not word.startswith("threads")]
    assert here(tmp_path, *tiny, *words, "-m", "hydra/launcher=joblib", "seed=0").code == 0
    record = read(runs(tmp_path)[0] / "run.json")
    assert (record["jobs"], record["threads"]) == (1, threads or min(DEFAULT_THREADS, available_cores()))


def test_runs_one_after_another_record_no_share(tmp_path):
    assert here(tmp_path, *TINY, "-m", "seed=0").code == 0
    assert "jobs" not in read(runs(tmp_path)[0] / "run.json")
