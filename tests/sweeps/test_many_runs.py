"""The work on a sweep grows with the number of its runs, not with its square."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from satae.experiment import build
from satae.page import findings
from satae.sweeps import manifest, tensorboard_sweep
from satae.sweeps.aggregate import group_runs
from satae.sweeps.csv_files import groups_csv, runs_csv
from satae.sweeps.moved_data import first_paths
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


@pytest.mark.parametrize("path", ["/first/x.npy", "/moved/x.npy"])
def test_the_data_of_twice_as_many_runs_are_compared_with_about_twice_the_work(configuration, monkeypatch, path):
    config, read = configuration("data=array", f"data.path={path}"), []
    monkeypatch.setattr(build, "dataset", lambda config: read.append(config) or SimpleNamespace(fingerprint="whole:1"))

    def compare_all(count):
        runs = [
            run._replace(
                choices=run.choices
                | {"data": "array", "data.path": "/first/x.npy", "data.valid": 0.15 + run.choices["alpha"]},
                record={"data": {"fingerprint": "whole:1"}},
            )
            for run in results("both", count)
        ]
        found = first_paths([(config, run.choices | {"data.path": path}) for run in runs], runs, ["alpha", "seed"])
        assert found == count * [{} if path == "/first/x.npy" else {"data.path": "/first/x.npy"}]

    compare_all(10)
    few, many = (calls(lambda n=n: compare_all(n)) for n in (80, 160))
    assert many < 2.5 * few
    assert len(read) == (0 if path == "/first/x.npy" else (10 + 80 + 160) // 5)  # once for each data set
