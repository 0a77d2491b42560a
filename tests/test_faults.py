"""Faults of the disk: reported in one line, nothing is lost, and the run resumes from its checkpoint."""

import errno
import os

import pytest
from program import TINY, here, read

from satae import atomic_write as files
from satae.training import checkpoint
from satae.training.checkpoint import latest_checkpoint

WORDS = (*TINY, "epochs=4", "hydra.run.dir=run", "checkpoint.every_steps=1")
FULL = (errno.ENOSPC, errno.EIO)


def untimed(run):
    return {key: value for key, value in read(run / "metrics.json").items() if key not in ("wall_s", "samples_per_s")}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    assert here(folder, *WORDS).code == 0
    return untimed(folder / "run")


def failing(monkeypatch, owner, name, number, after, wanted=lambda *args: True):
    """Have a call fail, as a disk does, from the one after so many on; whether it did."""
    call, calls = getattr(owner, name), []

    def fault(*args, **named):
        if wanted(*args):
            calls.append(args)
            if len(calls) > after:
                raise OSError(number, os.strerror(number))
        return call(*args, **named)

    monkeypatch.setattr(owner, name, fault)
    return calls


def check_failed(folder, monkeypatch, calls, after, number):
    """Run into the fault; it is reported in one line with a remedy, and recorded."""
    outcome = here(folder, *WORDS)
    monkeypatch.undo()
    assert len(calls) > after
    assert outcome.code == 1
    assert len(outcome.err.splitlines()) == 1
    assert os.strerror(number) in outcome.err
    assert "resume with: satae-train resume=run" in outcome.err
    record = read(folder / "run" / "run.json")
    assert (record["status"], record["exit_code"]) == ("failed", 1)


def is_checkpoint(path, content):
    return path.suffix == checkpoint.SUFFIX


@pytest.mark.parametrize("number", FULL)
@pytest.mark.parametrize("after", [0, 1, 4])
@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("replace", is_checkpoint),
        ("append", lambda path, content: True),
        ("sync", lambda path: path.name == "metrics.jsonl"),
    ],
    ids=["checkpoint", "metrics", "sync"],
)
def test_a_disk_fault_is_reported_in_one_line_and_the_run_resumes_later(
    tmp_path, monkeypatch, whole, name, wanted, after, number
):
    if name == "append" and after > 3:
        pytest.skip("there are four epochs")
    calls = failing(monkeypatch, files, name, number, after, wanted)
    check_failed(tmp_path, monkeypatch, calls, after, number)
    if after and name != "append":
        assert latest_checkpoint(tmp_path / "run") is not None
    assert here(tmp_path, "resume=run").code == 0
    assert untimed(tmp_path / "run") == whole


@pytest.mark.parametrize("number", FULL)
@pytest.mark.parametrize("after", [0, 3])
def test_a_fault_of_the_event_file_is_reported_in_one_line_and_the_run_resumes_later(
    tmp_path, monkeypatch, whole, number, after
):
    from tensorboard.summary.writer.record_writer import RecordWriter

    calls = failing(monkeypatch, RecordWriter, "write", number, after)
    check_failed(tmp_path, monkeypatch, calls, after, number)
    assert here(tmp_path, "resume=run").code == 0
    assert untimed(tmp_path / "run") == whole


def test_the_first_fault_is_reported_if_even_the_end_cannot_be_written(tmp_path, monkeypatch):
    failing(monkeypatch, files, "replace", errno.ENOSPC, 4)
    outcome = here(tmp_path, *WORDS)
    assert outcome.code == 1
    assert len(outcome.err.splitlines()) == 1
    assert "No space left on device" in outcome.err


def test_an_out_of_memory_error_names_a_remedy(tmp_path, monkeypatch):
    def full(self):
        raise RuntimeError(
            "[enforce fail at alloc_cpu.cpp:118] . DefaultCPUAllocator: can't allocate memory: you tried"
        )

    monkeypatch.setattr("satae.experiment.experiment.Experiment.state", full)
    outcome = here(tmp_path, *WORDS)
    assert outcome.code == 1
    assert outcome.err.startswith("satae-train: out of memory; choose a smaller batch_size, arch or n_jobs")
