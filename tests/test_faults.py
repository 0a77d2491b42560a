"""Faults of the disk: reported in one line, nothing is lost, and the run resumes from its checkpoint."""

import builtins
import contextlib
import errno
import fcntl
import os
import shutil
import socket

import evaluated
import pytest
from program import TINY, here, read, typed

from satae import atomic_write as files
from satae import report
from satae.runs import locks
from satae.training import checkpoint
from satae.training.checkpoint import latest_checkpoint

WORDS = (*TINY, "epochs=4", "hydra.run.dir=run", "checkpoint.every_steps=1")
FULL = (errno.ENOSPC, errno.EIO)


def untimed(run):
    return {key: value for key, value in read(run / "metrics.json").items() if key not in ("wall_s", "samples_per_s")}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    assert here(folder, *WORDS).code == 0
    return folder / "run"


@pytest.fixture(scope="module")
def whole(finished):
    return untimed(finished)


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


# file systems without locks, and folders that cannot be written when a run starts or resumes

HOLDER = ".lock-holder"
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS)  # EOPNOTSUPP takes the same way as the first


def without_locks(monkeypatch, number):
    def fault(handle, operation):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", fault)


@pytest.mark.parametrize("number", NO_LOCKS)
def test_runs_start_and_resume_on_a_file_system_without_locks(tmp_path, monkeypatch, whole, number):
    without_locks(monkeypatch, number)
    with pytest.MonkeyPatch.context() as patch:
        failing(patch, files, "append", errno.EIO, 2)
        assert here(tmp_path, *WORDS).code == 1
    assert (tmp_path / "run" / ".lock").exists() or number == errno.ENOSYS
    (tmp_path / "run" / ".lock").touch()  # as it is left where there are locks
    outcome = here(tmp_path, "resume=run")
    assert (outcome.code, outcome.err) == (0, "")
    assert untimed(tmp_path / "run") == whole
    assert not (tmp_path / "run" / HOLDER).exists()


@pytest.mark.parametrize("number", NO_LOCKS)
def test_a_run_has_one_process_at_a_time_on_a_file_system_without_locks(tmp_path, monkeypatch, number):
    without_locks(monkeypatch, number)
    (tmp_path / "run").mkdir()
    with locks.lock_directory(tmp_path / "run"):
        outcome = here(tmp_path, *WORDS)
    place, file = tmp_path / "run", tmp_path / "run" / HOLDER
    by = f"another process (process {os.getpid()} on {socket.gethostname()}) is at work here"
    remedy = f"wait for it, or end it; if it has ended already, delete {file}"
    assert (outcome.code, outcome.err) == (2, f"satae-train: {place}: {by}; {remedy}\n")
    assert not (place / "run.json").exists()


def test_a_sweep_works_on_a_file_system_without_locks(tmp_path, monkeypatch):
    without_locks(monkeypatch, errno.ENOLCK)
    outcome = here(tmp_path, *TINY, "sweep=first", "seed=0,1")
    assert (outcome.code, outcome.err) == (0, "")
    assert not [*tmp_path.rglob(HOLDER)]
    assert len([*tmp_path.glob("outputs/first/over seeds/*/events*")]) == 1


def fail_to_open_the_lock(monkeypatch, number):
    failing(monkeypatch, os, "open", number, 0, lambda path, *_: str(path).endswith("run/.lock"))


def fail_to_lock(monkeypatch, number):
    failing(monkeypatch, fcntl, "flock", number, 0)


def fail_to_write_the_record(monkeypatch, number):
    failing(monkeypatch, files, "replace", number, 0, lambda path, content: path.name == "run.json")


def fail_to_open_the_log(monkeypatch, number):
    failing(monkeypatch, builtins, "open", number, 0, lambda path, *_: str(path).endswith("satae-train.log"))


FAULTS = {
    fail_to_open_the_lock: ".lock",
    fail_to_lock: ".lock",
    fail_to_write_the_record: "",
    fail_to_open_the_log: "",
}


@pytest.mark.parametrize(
    ("fault", "number"),
    [
        *((fail_to_open_the_lock, number) for number in (errno.EROFS, errno.EACCES, errno.ENOSPC, errno.EDQUOT)),
        *((fail_to_lock, number) for number in (errno.EIO,)),
        *((fail_to_write_the_record, number) for number in (errno.ENOSPC,)),
        (fail_to_open_the_log, errno.EROFS),
    ],
)
def test_a_run_that_cannot_open_its_record_says_so_in_one_line_and_does_not_give_0(
    tmp_path, monkeypatch, finished, fault, number
):
    remedy = "make room there" if number in (errno.ENOSPC, errno.EDQUOT) else "make the folder writable"
    shutil.copytree(finished, tmp_path / "old" / "run")
    for folder, words, what in (
        ("new", WORDS, f"the run has not started; {remedy}, or name another folder (hydra.run.dir=...)"),
        ("old", ("resume=run", "epochs=5"), f"the run is as it was; {remedy}"),
    ):
        place = tmp_path / folder / "run"
        place.parent.mkdir(exist_ok=True)
        fault(monkeypatch, number)
        outcome = here(place.parent, *words)
        monkeypatch.undo()
        line = f"satae-train: {place / FAULTS[fault]}: cannot write there ({os.strerror(number)}); {what}\n"
        assert (outcome.code, outcome.err) == (2, line)
        assert (place / "config.yaml").exists() == (folder == "old")
    assert here(tmp_path / "new", *WORDS).code == 0
    assert here(tmp_path / "old", "resume=run", "epochs=5").code == 0


def test_a_run_of_a_sweep_that_cannot_open_its_record_counts_as_failed(tmp_path, monkeypatch):
    where = "seed=0/run.json"
    failing(monkeypatch, files, "replace", errno.EDQUOT, 0, lambda path, content: str(path).endswith(where))
    outcome = here(tmp_path, *TINY, "sweep=first", "seed=0,1")
    assert outcome.code == 1
    assert "cannot write there (Disk quota exceeded); the run has not started; make room there\n" in outcome.err
    assert len([*tmp_path.rglob("metrics.json")]) == 1


# figures


def test_a_figure_that_fails_ends_no_training_no_evaluation_and_no_report(tmp_path, monkeypatch):
    def fail(*given, **named):
        raise RuntimeError("latex was not found")

    for place in ("pictures.to_picture", "charts.to_picture", "charts.encode_figure"):
        monkeypatch.setattr(f"satae.plots.{place}", fail)
    why = "(RuntimeError: latex was not found)"
    trained = here(tmp_path, "data=manifold", *TINY, "epochs=12", "hydra.run.dir=run")
    assert (trained.code, trained.err) == (0, "")
    assert trained.out.count("not drawn") == trained.out.count(f"warning: not drawn: energy {why}") == 1
    words = ("evaluation=code,manifold", "code.train=40", "manifold.other=none")
    evaluation = evaluated.typed(tmp_path, "run=run", *words)
    left_out = ("pre_activations, slope", "energies, map")
    assert (evaluation.code, evaluation.err) == (0, "".join(f"warning: not drawn: {some} {why}\n" for some in left_out))
    with contextlib.chdir(tmp_path):
        outcome = typed(report.main, "satae-report", "run")
    assert outcome.code == 0
    assert outcome.err.startswith("warning: not drawn: ")
    assert outcome.err.endswith(f" {why}\n")
    assert "latex was not found" in (tmp_path / "run" / "report" / "index.html").read_text()
