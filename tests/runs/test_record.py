import json
import os
import signal
import time

import pytest

from satae import atomic_write as files
from satae.config import ConfigError
from satae.runs.layout import CONFIG_FILE
from satae.runs.record import RunRecord, close_unfinished, read_record
from satae.signals import Interrupted
from satae.training.loop import NonFiniteWeights


@pytest.fixture
def begin(tmp_path, configuration):
    def begun(*overrides, command="satae-train -m act=relu alpha=0,1"):
        return RunRecord.start(tmp_path, configuration(), command, list(overrides))

    return begun


def test_a_second_run_cannot_start_in_the_directory(tmp_path, begin):
    first = begin("alpha=0")
    with pytest.raises(ConfigError, match="another process is at work here"):
        begin("alpha=1")
    with first:
        pass
    with pytest.raises(ConfigError, match="holds a run already"):
        begin("alpha=1")
    assert read_record(first.directory)["overrides"] == ["alpha=0"]
    assert (tmp_path / CONFIG_FILE).exists()


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (None, "finished", 0),
        (RuntimeError("x"), "failed", 1),
        (NonFiniteWeights(7), "failed", 3),
        (KeyboardInterrupt(), "interrupted", 130),
        (Interrupted(signal.SIGTERM), "interrupted", 143),
    ],
)
def test_the_end_of_a_run_is_recorded(tmp_path, begin, error, status, code):
    def run():
        with begin():
            assert read_record(tmp_path)["status"] == "running"
            if error:
                raise error

    if error:
        with pytest.raises(type(error)):
            run()
    else:
        run()
    found = read_record(tmp_path)
    assert (found["status"], found["exit_code"]) == (status, code)
    assert found["ended"] >= found["started"]
    close_unfinished(tmp_path, OSError("too late"))
    assert read_record(tmp_path) == found


@pytest.mark.parametrize(
    ("error", "status", "code"), [(OSError("killed"), "failed", 1), (KeyboardInterrupt(), "interrupted", 130)]
)
def test_a_run_whose_process_was_killed_is_closed(tmp_path, begin, error, status, code):
    begin("alpha=0")
    close_unfinished(tmp_path, error)
    found = json.loads((tmp_path / "run.json").read_text())
    assert (found["status"], found["exit_code"], found["overrides"]) == (status, code, ["alpha=0"])
    assert found["error"] == f"{type(error).__name__}: {error}"


def test_an_interrupted_run_is_rewound_to_its_checkpoint(tmp_path, begin, configuration):
    def cut_off():
        with begin("alpha=0") as record:
            for number in (1, 2, 3):
                record.add_epoch(number, {"valid/fvu": 1 / number, "valid/psnr": float("nan")})
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cut_off()
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"epoch": 4, "valid')  # torn
    record = RunRecord.resume(tmp_path, "satae-train resume=x")
    last = record.rewind(2, configuration("epochs=7"))
    assert last["valid/fvu"] == 0.5
    assert last["valid/psnr"] != last["valid/psnr"]
    assert [json.loads(line)["epoch"] for line in (tmp_path / "metrics.jsonl").read_text().splitlines()] == [1, 2]
    found = read_record(tmp_path)
    assert found["status"] == "interrupted"  # until it is at work
    with record:
        found = read_record(tmp_path)
        assert found["status"] == "running"
        assert not {"ended", "error", "exit_code"} & {*found}
        assert found["resumed"][0]["command"] == "satae-train resume=x"
        assert found["resumed"][0]["sources"] == found["sources"]
    assert "epochs: 7" in (tmp_path / CONFIG_FILE).read_text()


def test_the_name_of_a_new_run_directory_is_on_the_disk(tmp_path, configuration, monkeypatch):
    real, synced = os.fsync, set()

    def fsync(handle):
        synced.add(os.fstat(handle).st_ino)
        real(handle)

    monkeypatch.setattr(files.os, "fsync", fsync)
    directory = tmp_path / "outputs" / "day" / "time"
    RunRecord.start(directory, configuration(), "satae-train", [])
    assert {path.stat().st_ino for path in (directory, *[*directory.parents][:3])} <= synced


def test_a_log_with_missing_epochs_is_not_resumed(tmp_path, begin, configuration):
    with begin("alpha=0") as record:
        record.add_epoch(1, {})
        record.add_epoch(3, {})
    record = RunRecord.resume(tmp_path, "satae-train resume=x")
    with pytest.raises(ValueError, match="the lines of the first 3 epochs are not all there"):
        record.rewind(3, configuration())


def test_the_wall_time_sums_all_processes(tmp_path, begin, configuration, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])

    def cut_off():
        with begin("alpha=0"):
            now[0] = 10.0
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cut_off()
    now[0] = 100.0
    with RunRecord.resume(tmp_path, "satae-train resume=x") as record:
        now[0] = 105.0
        record.write_final_metrics({})
    assert json.loads((tmp_path / "metrics.json").read_text())["wall_s"] == 15.0
