"""A sweep is shown whatever the directories of its runs hold."""

import json
import logging

import made
import pytest

from satae.cli import plan
from satae.sweeps import tensorboard_sweep
from satae.sweeps.tensorboard_sweep import update_run
from satae.training.metric_titles import FVU

NOT_SHOWN = [OverflowError("too large"), ValueError("first\nsecond"), TypeError(), OSError(28, "No space left")]


@pytest.fixture
def sweep(tmp_path):
    for seed in range(3):
        history = [{"epoch": epoch, FVU: 0.5 / epoch} for epoch in (1, 2)]
        made.run(tmp_path / f"seed={seed}", {FVU: 0.25 + 0.01 * seed}, seed=seed, history=history)
    return tmp_path


def ended(sweep, capsys):
    plan._show_sweep(plan.Plan([], None, "satae-train"), sweep, with_report=False)
    return capsys.readouterr()


@pytest.mark.parametrize("started", ["yesterday", "", "0001-01-01T00:00:00", "9999-12-31T23:59:59"])
def test_a_run_with_an_impossible_start_time_is_shown(sweep, capsys, started):
    record = json.loads((sweep / "seed=1" / "run.json").read_text())
    (sweep / "seed=1" / "run.json").write_text(json.dumps(record | {"started": started}))
    out, err = ended(sweep, capsys)
    assert "0.260 ± 0.010" in out
    assert err == ""
    assert list((sweep / "seed=1").glob("events*.session"))


@pytest.mark.parametrize("line", [{"epoch": 3, FVU: 10**400}, {"epoch": 10**400}, {"epoch": 2**63, FVU: 0.1}])
def test_a_number_beyond_every_float_ends_the_log_but_not_the_sweep(sweep, capsys, line):
    for seed in range(2):
        with (sweep / f"seed={seed}" / "metrics.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")
    out, err = ended(sweep, capsys)
    assert "0.260 ± 0.010" in out
    assert err == ""


@pytest.mark.parametrize("error", NOT_SHOWN, ids=repr)
def test_the_table_is_printed_if_tensorboard_files_fail(sweep, capsys, monkeypatch, error):
    def refuse(*_):
        raise error

    monkeypatch.setattr(tensorboard_sweep, "show_band", refuse)
    out, err = ended(sweep, capsys)
    assert "0.260 ± 0.010" in out
    assert (sweep / "runs.csv").is_file()
    assert err.startswith("not shown in TensorBoard, or not all of it: ")
    assert len(err.splitlines()) == 1


def test_a_sweep_without_runs_prints_nothing_and_has_no_csv_file(tmp_path, capsys):
    assert ended(tmp_path, capsys) == ("", "")
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("error", NOT_SHOWN, ids=repr)
def test_a_run_survives_an_error_of_its_sweeps_display(sweep, caplog, monkeypatch, error):
    def refuse(*_):
        raise error

    monkeypatch.setattr(tensorboard_sweep, "show_band", refuse)
    with caplog.at_level(logging.WARNING):
        update_run(sweep / "seed=0")
    (told,) = caplog.messages
    assert told.startswith("not shown beside the other runs of its sweep: ")
    assert len(told.splitlines()) == 1
