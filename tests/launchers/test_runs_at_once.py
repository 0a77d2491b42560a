"""Each launcher makes every run, shares the cores, and leaves no process and no run behind."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import BrokenExecutor
from importlib.util import find_spec
from pathlib import Path

import pytest
import toy_runs
from toy_runs import records, statuses

from satae import signals
from satae.launchers import base
from satae.launchers.selection import open_launcher

needs_submitit = pytest.mark.skipif(not find_spec("submitit"), reason="pip install 'satae[submitit]'")
needs_ray = pytest.mark.skipif(not find_spec("ray"), reason="pip install 'satae[ray]'")
AT_ONCE = [
    "joblib",
    pytest.param("submitit_local", marks=needs_submitit),
    pytest.param("ray", marks=[needs_ray, pytest.mark.slow]),
]


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))  # jobs import toy_runs
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "2")


@contextlib.contextmanager
def program(launcher, *courses, folder=".", **environment):
    """A program that makes runs, in a process group of its own, as a terminal starts it."""
    with subprocess.Popen(
        [sys.executable, "-c", "import toy_runs; toy_runs.main()", launcher, *courses],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        env={**os.environ, **environment},
        process_group=0,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def wait_until(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert condition()


def exists(process):
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, 0)
        return True
    return False


def largest_overlap(spans):
    return max(sum(start <= other[0] < end for start, end in spans) for other in spans)


def test_runs_one_after_another_share_nothing(tmp_path):
    toy_runs.launch("serial", "ends", "fails", "ends")
    assert statuses(tmp_path) == {"0": "finished", "1": "failed", "2": "finished"}
    assert {(record["pid"], record["share"]) for record in records(tmp_path).values()} == {(os.getpid(), None)}


@pytest.mark.parametrize("launcher", AT_ONCE)
def test_each_run_is_made_once_on_its_share_of_the_cores_and_no_process_is_left(launcher, tmp_path, capfd):
    toy_runs.launch(launcher, "ends", "fails", "ends")
    made = records(tmp_path)
    assert statuses(tmp_path) == {"0": "finished", "1": "failed", "2": "finished"}
    assert all(record["share"] == [2, 1] and not record["again"] for record in made.values())
    assert largest_overlap([record["times"] for record in made.values()]) <= 2
    assert capfd.readouterr().out.startswith("2 of 3 runs at once\n")
    wait_until(lambda: not any(exists(record["pid"]) for record in made.values()), seconds=10)


@pytest.mark.parametrize("launcher", AT_ONCE[1:])
def test_a_run_whose_process_is_killed_leaves_the_others(launcher, tmp_path, capfd):
    toy_runs.launch(launcher, "kills", "ends", "ends")
    assert statuses(tmp_path) == {"0": "failed", "1": "finished", "2": "finished"}
    assert records(tmp_path)["0"]["error"] == f"WorkerKilledError: {base.WorkerKilledError()}"
    assert f"satae-train: {tmp_path / '0'}: its process was killed" in capfd.readouterr().err


@pytest.mark.parametrize("launcher", AT_ONCE)
def test_a_failed_run_ends_the_others_with_a_checkpoint_if_asked(launcher, tmp_path):
    toy_runs.launch(launcher, "stays", "fails", "ends", stop_file=tmp_path / ".failed")
    assert statuses(tmp_path).items() <= {"0": "interrupted", "1": "failed"}.items()
    assert signals.pending_signal() is None


def test_a_failed_run_ends_the_runs_after_it_if_asked(tmp_path):
    toy_runs.launch("serial", "ends", "fails", "ends", stop_file=tmp_path / ".failed")
    assert statuses(tmp_path) == {"0": "finished", "1": "failed"}


@pytest.mark.parametrize("launcher", ["serial", *AT_ONCE])
@pytest.mark.parametrize(
    ("number", "send"),
    [(signal.SIGINT, os.killpg), (signal.SIGTERM, os.kill), (signal.SIGHUP, os.killpg)],
)
def test_a_signal_ends_all_runs_with_a_checkpoint(launcher, number, send, tmp_path):
    going_on = 1 if launcher == "serial" else 2
    with program(launcher, "stays", "stays", "ends") as process:
        wait_until(lambda: len(statuses(tmp_path)) == going_on)
        send(process.pid, number)
        _, err = process.communicate(timeout=60)  # a process that was left would keep the pipes open
    assert (process.returncode, err) == (128 + number, "")
    assert statuses(tmp_path) == dict.fromkeys("01"[:going_on], "interrupted")


@pytest.mark.parametrize("launcher", AT_ONCE[:2])
def test_runs_end_soon_after_the_main_process_is_killed(launcher, tmp_path):
    with program(launcher, "stays", "stays") as process:
        wait_until(lambda: len(statuses(tmp_path)) == 2)
        process.kill()
        process.wait()
        process.communicate(timeout=30)  # a process that was left would keep the pipes open
    assert statuses(tmp_path) == {"0": "interrupted", "1": "interrupted"}


REACHES = """
import os, sys, time

def reach(moment):
    if os.environ["MOMENT"] == moment:
        open(os.path.join(os.environ["FOLDER"], moment), "a").close()
        time.sleep(1)

class Imports:
    def find_spec(name, *_):
        if name == "toy_runs":
            reach("imports")

if "popen_loky" in (words := " ".join(sys.orig_argv)) or "submitit.core._submit" in words:
    reach("starts")
    sys.meta_path.insert(0, Imports)
"""


@pytest.mark.parametrize("launcher", AT_ONCE[:2])
def test_no_process_stays_when_the_main_process_is_killed_while_workers_start(launcher, tmp_path, monkeypatch):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(REACHES)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"), prepend=os.pathsep)
    courses = ["stays"] * 2 if launcher == "submitit_local" else ()  # its workers start with the runs
    with contextlib.ExitStack() as stack:
        processes = {}
        for moment in ("starts", "imports", "prepared"):
            folder = tmp_path / moment
            folder.mkdir()
            started = program(launcher, *courses, folder=folder, MOMENT=moment, FOLDER=str(folder))
            processes[folder / moment] = stack.enter_context(started)
        for reached, process in processes.items():
            wait_until(reached.exists)
            process.kill()
            process.wait()
        for process in processes.values():
            process.communicate(timeout=60)  # a process that was left would keep the pipes open


# joblib


def test_workers_start_and_prepare_before_the_runs_are_known(tmp_path):
    prepared = tmp_path / "prepared"
    with open_launcher(toy_runs.LAUNCHERS["joblib"], 4, toy_runs.prepare):
        wait_until(lambda: prepared.exists() and len(prepared.read_text().splitlines()) == 2)


def test_runs_of_a_killed_worker_are_made_again_alone(tmp_path, capfd):
    toy_runs.launch("joblib", "kills", "stays once", "ends")
    made = records(tmp_path)
    assert statuses(tmp_path) == {"0": "failed", "1": "finished", "2": "finished"}
    assert [record["again"] for record in made.values()] == [True, True, False]
    assert largest_overlap([record["times"] for record in made.values()]) == 1
    out, err = capfd.readouterr()
    assert out.splitlines() == [
        "2 of 3 runs at once",
        "a process was killed; 2 runs are made again alone, then the others",
        "run 1 of 3 failed",
        "run 2 of 3 finished, about 1 s left",
        "run 3 of 3 finished",
    ]
    assert err == f"satae-train: {tmp_path / '0'}: {base.WorkerKilledError()}\n"
    assert made["0"]["error"] == f"WorkerKilledError: {base.WorkerKilledError()}"


def test_workers_that_die_before_any_run_are_an_error(tmp_path):
    with pytest.raises(BrokenExecutor):
        toy_runs.launch("joblib", "ends", "ends", prepare=toy_runs.die)
    assert statuses(tmp_path) == {}


def test_a_run_at_a_time_needs_no_worker(tmp_path):
    toy_runs.launch("joblib", "ends")
    assert {(record["pid"], *record["share"]) for record in records(tmp_path).values()} == {(os.getpid(), 1, 2)}


# submitit


@needs_submitit
def test_a_job_that_makes_room_at_its_time_limit_is_started_again(tmp_path):
    with program("submitit_local", "stays once", "ends") as process:
        wait_until(lambda: "0" in statuses(tmp_path))
        os.kill(records(tmp_path)["0"]["pid"], signal.SIGUSR2)  # as submitit has Slurm do
        out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, ""), out
    assert records(tmp_path)["0"]["again"]
    assert statuses(tmp_path) == {"0": "finished", "1": "finished"}
    assert {path.name for path in tmp_path.iterdir()} >= {"jobs"}
