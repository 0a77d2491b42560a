"""The work on a sweep grows with the number of its runs, not with its square."""

import sys
from pathlib import Path

import pytest

from satae.page import findings
from satae.sweeps import manifest, tensorboard_sweep
from satae.sweeps.aggregate import group_runs
from satae.sweeps.csv_files import groups_csv, runs_csv
from satae.sweeps.results import RunResult
from satae.sweeps.series import compare

METRICS = {"valid/fvu": 0.1, "valid/saturated_fraction": 0.2}
SHAPES = {"seeds": lambda i: (0, i), "configurations": lambda i: (i, 0), "both": lambda i: (i // 5, i % 5)}


def results(shape, count):
    places = [SHAPES[shape](i) for i in range(count)]
    return [
        RunResult(Path(f"S/alpha={a},seed={s}"), {"alpha": a, "seed": s}, {"status": "finished"}, METRICS)
        for a, s in places
    ]


def calls(function):
    """The number of calls of functions, and of items that C functions look at, while a function works."""
    count = 0

    def counted(frame, event, argument):
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(counted)
    try:
        function()
    finally:
        sys.setprofile(None)
    return count


def names(runs):
    return tensorboard_sweep._named_groups(
        runs, manifest.index_runs({run.name: run.choices for run in runs}, ["alpha", "seed"])
    )


WORK = {
    "names": names,
    "statistics": lambda runs: findings.interval_note(group_runs(runs)),
    "table": lambda runs: groups_csv(group_runs(runs), ["alpha", "seed"]),
    "runs": lambda runs: runs_csv(runs, lambda run: run.name),
    "summary": lambda runs: [*findings.summary(compare(group_runs(runs), ["alpha", "seed"]))],
    "new runs": lambda runs: manifest.assign_run_names(
        [manifest.RequestedRun([f"alpha={run.name}"], run.choices) for run in runs], runs[::2], ["alpha", "seed"]
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", WORK)
def test_twice_as_many_runs_take_about_twice_the_work(kind, shape):
    WORK[kind](results(shape, 10))  # imports
    few, many = (calls(lambda n=n: WORK[kind](results(shape, n))) for n in (80, 160))
    assert many < 2.5 * few
