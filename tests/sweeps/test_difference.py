"""satae-report diff: choices, facts and measures of two groups of seeds side by side."""

import json
import math

import made
import pytest
from program import typed

from satae import report
from satae.config import ConfigError
from satae.sweeps.difference import compare
from satae.sweeps.results import read_runs
from satae.training.metric_titles import FVU


def group(folder, fvu, seeds=(0, 1, 2), record=None, **choices):
    """Runs of one configuration, with a validation fvu for each seed."""
    for seed, value in zip(seeds, fvu, strict=True):
        made.whole(folder / f"seed={seed}", {FVU: value, "train/total": 1.0}, record=record, seed=seed, **choices)
    return folder


def compared(*folders):
    return compare(tuple(folder.name for folder in folders), tuple(map(read_runs, folders)))


def diff(monkeypatch, folder, *words):
    monkeypatch.chdir(folder)
    return typed(report.main, "satae-report", "diff", *words)


def test_the_difference_is_paired_by_seed_with_its_interval(tmp_path):
    first = group(tmp_path / "a", [0.30, 0.40, 0.50])
    second = group(tmp_path / "b", [0.61, 0.52, 0.42, 9.0], seeds=(2, 1, 0, 7), alpha=1.0)
    found = compared(first, second)
    change = found.metrics[FVU].change
    assert (change.n, change.mean) == (3, pytest.approx(0.35 / 3))
    assert change.is_settled  # by pairs; the means alone overlap
    assert found.metrics[FVU].as_json() == {
        "A": pytest.approx(0.4),
        "B": pytest.approx((0.61 + 0.52 + 0.42 + 9) / 4),
        "difference": pytest.approx(change.mean),
        "low": pytest.approx(change.mean - change.margin),
        "high": pytest.approx(change.mean + change.margin),
        "pairs": 3,
        "settled": True,
    }


def test_choices_and_facts_are_listed_where_they_differ(tmp_path):
    record = {"versions": {"torch": "9.9"}, "device": "cuda"}
    found = compared(group(tmp_path / "a", [1, 2, 3]), group(tmp_path / "b", [1, 2, 3], record=record, act="satlin"))
    assert found.choices == {"act": ("relu", "satlin")}
    assert found.facts["device"][1] == "cuda"
    assert found.facts["versions.torch"][1] == "9.9"
    assert not any("seed" in key for key in found.choices)


def test_two_equal_groups_differ_in_nothing(tmp_path):
    found = compared(group(tmp_path / "a", [1, 2, 3]), group(tmp_path / "b", [1, 2, 3]))
    assert (found.choices, found.facts) == ({}, {})
    assert {one.change.mean for one in found.metrics.values()} == {0}


def test_two_single_runs_have_a_difference_without_an_interval(tmp_path):
    found = compared(group(tmp_path / "a", [0.5], seeds=(0,)), group(tmp_path / "b", [0.25], seeds=(1,)))
    assert found.choices == {"seed": (0, 1)}
    assert found.metrics[FVU].change.mean == -0.25
    assert found.metrics[FVU].as_json()["low"] is None


def test_groups_without_a_common_seed_have_no_difference(tmp_path):
    found = compared(group(tmp_path / "a", [1, 2], seeds=(0, 1)), group(tmp_path / "b", [1, 2], seeds=(2, 3)))
    assert found.metrics[FVU].change.n == 0
    assert found.metrics[FVU].as_json()["difference"] is None


def test_runs_that_differ_in_more_than_their_seeds_are_refused(tmp_path):
    group(tmp_path / "a", [1, 2], seeds=(0, 1))
    group(tmp_path / "a", [1], seeds=(2,), act="tanh")
    with pytest.raises(ConfigError, match="a: its runs differ in act; name single runs"):
        compared(tmp_path / "a", group(tmp_path / "b", [1], seeds=(0,)))


def test_a_folder_without_a_finished_run_is_refused(tmp_path):
    made.run(tmp_path / "a" / "seed=0", status="failed", error="no memory")
    with pytest.raises(ConfigError, match="a: no run is finished"):
        compared(tmp_path / "a", group(tmp_path / "b", [1], seeds=(0,)))


def test_the_json_is_valid_and_has_no_nan(tmp_path, monkeypatch):
    group(tmp_path / "a", [0.1, 0.2, math.nan])
    group(tmp_path / "b", [0.1, 0.4, 0.5], alpha=1.0)
    outcome = diff(monkeypatch, tmp_path, "a", "b", "--json")
    found = json.loads(outcome.out, parse_constant=pytest.fail)
    assert outcome.code == 0
    assert found["choices"] == {"alpha": {"A": made.CONFIG["alpha"], "B": 1.0}}
    assert found["metrics"][FVU]["pairs"] == 2


def test_the_tables_name_both_sides_and_write_nothing(tmp_path, monkeypatch):
    group(tmp_path / "a", [0.30, 0.40, 0.50])
    group(tmp_path / "b\x1b[31m", [0.42, 0.52, 0.61], alpha=1.0)
    before = sorted(tmp_path.rglob("*"))
    outcome = diff(monkeypatch, tmp_path, "a", "b\x1b[31m")
    assert outcome.code == 0
    assert "A  a  (3 finished runs)" in outcome.out
    assert "\x1b" not in outcome.out
    (line,) = (line for line in outcome.out.splitlines() if line.startswith(FVU))
    assert line.rstrip().endswith("more")
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["a"], "diff: compares two folders, and 1 are named; write diff A B"),
        (["a", "a", "a"], "diff: compares two folders, and 3 are named"),
        (["a", "a", "--jsn"], "--jsn: no such option; the only option of diff is --json"),
        (["a", "nowhere"], "nowhere: no such folder"),
    ],
)
def test_words_that_are_not_two_folders_are_refused(tmp_path, monkeypatch, words, message):
    group(tmp_path / "a", [1, 2, 3])
    outcome = diff(monkeypatch, tmp_path, *words)
    assert (outcome.code, outcome.out) == (2, "")
    assert message in outcome.err
