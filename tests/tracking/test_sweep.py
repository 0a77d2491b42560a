import csv
import json

import pytest

from satae.tracking.sweep import FILE, read_runs, summarise


@pytest.fixture
def sweep(tmp_path):
    values = {("0", 0): 0.2, ("0", 1): 0.4, ("0.1", 0): 0.5, ("0.1", 1): None}
    for number, ((alpha, seed), fvu) in enumerate(values.items()):
        folder = tmp_path / str(number)
        folder.mkdir()
        status = "failed" if fvu is None else "finished"
        run = {"status": status, "command": "satae-train", "overrides": [f"alpha={alpha}", f"seed={seed}", "act=relu"]}
        (folder / "run.json").write_text(json.dumps(run))
        if fvu is not None:
            metrics = {"alpha": 0.07, "valid/fvu": fvu, "valid/saturated_fraction": 0.5, "valid/collapsed": 0.0}
            (folder / "metrics.json").write_text(json.dumps(metrics))
    return tmp_path


def test_runs_are_read_in_the_order_of_their_numbers(tmp_path, sweep):
    for number in (10, 9):
        (sweep / str(number)).mkdir()
        (sweep / str(number) / "run.json").write_text('{"status": "running", "command": "", "overrides": []}')
    assert [run.name for run in read_runs(sweep)] == ["0", "1", "2", "3", "9", "10"]


def test_seeds_are_taken_together_and_failures_counted(sweep, capsys):
    summarise(sweep)
    header, plain, saturated, *_ = capsys.readouterr().out.splitlines()
    assert header.split()[:2] == ["alpha", "runs"]  # act does not vary, the seed is averaged over
    assert plain.split()[:5] == ["0", "2", "0.300", "±", "0.141"]
    assert saturated.split()[:3] == ["0.1", "2", "0.500"]
    assert saturated.split()[-1] == "1"


def test_the_csv_file_has_a_row_for_each_run(sweep):
    summarise(sweep)
    with (sweep / FILE).open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["run"], row["status"], row["valid/fvu"]) for row in rows] == [
        ("0", "finished", "0.2"),
        ("1", "finished", "0.4"),
        ("2", "finished", "0.5"),
        ("3", "failed", ""),
    ]


def test_an_empty_sweep_says_nothing(tmp_path, capsys):
    summarise(tmp_path)
    assert capsys.readouterr().out == ""
    assert not (tmp_path / FILE).exists()
