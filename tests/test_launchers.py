"""Runs that submitit or Ray makes are those of one process, and one that is lost leaves the others."""

import contextlib
import os
import signal
import subprocess
import time
from importlib.util import find_spec

import pytest
from program import PROGRAM, TINY, here, read, runs, started, there

from satae.cli.compose import compose_runs
from satae.launchers import base, selection

SWEEP = (*TINY, "alpha=0,0.1", "seed=0,1", "sweep=s")
NAMES = ["alpha=0,seed=0", "alpha=0,seed=1", "alpha=0.1,seed=0", "alpha=0.1,seed=1"]
TIMES = ("wall_s", "samples_per_s")
# the process that makes one of the runs kills itself as it first writes a measure
KILLS = """
import os, signal, sys

def note(event, arguments):
    if event == "open" and str(arguments[0]).endswith("alpha=0,seed=1/metrics.jsonl"):
        os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(note)
"""

needs_submitit = pytest.mark.skipif(not find_spec("submitit"), reason="pip install 'satae[submitit]'")
needs_ray = pytest.mark.skipif(not find_spec("ray"), reason="pip install 'satae[ray]'")
LOCAL = [
    pytest.param("submitit_local", marks=needs_submitit),
    pytest.param("ray", marks=[needs_ray, pytest.mark.slow]),
]


def untimed(folder):
    return {
        run.name: {key: value for key, value in read(run / "metrics.json").items() if key not in TIMES}
        for run in runs(folder)
        if (run / "metrics.json").exists()
    }


def statuses(folder):
    return {run.name: read(run / "run.json")["status"] for run in runs(folder)}


def places(folder, code):
    """A program of its own in which ``code`` is run at the start of each process."""
    (folder / "site").mkdir()
    (folder / "site" / "sitecustomize.py").write_text(code)
    return {"PYTHONPATH": str(folder / "site"), "OMP_NUM_THREADS": "2"}


@pytest.fixture(scope="module")
def serial(tmp_path_factory):
    folder = tmp_path_factory.mktemp("serial")
    assert here(folder, *SWEEP, "-m").code == 0
    return folder


@pytest.mark.parametrize("launcher", LOCAL)
def test_the_numbers_are_the_same_to_the_last_bit(launcher, serial, tmp_path):
    done = there(tmp_path, *SWEEP, f"hydra/launcher={launcher}", OMP_NUM_THREADS="2")
    assert (done.code, done.err) == (0, "")
    assert untimed(tmp_path) == untimed(serial)
    assert [*untimed(serial)] == NAMES
    first, *lines = done.out.splitlines()
    assert first == "2 of 4 runs at once"
    told = [line.split() for line in lines[:4]]  # as they end
    assert sorted(name for name, *_ in told) == NAMES
    assert all(numbers[::3] == ["valid", "saturated"] for _, *numbers in told)
    assert len(lines) == 4 + 6  # and nothing that the launcher has to say
    for run in runs(tmp_path):
        assert (read(run / "run.json")["jobs"], read(run / "run.json")["threads"]) == (2, 1)


@pytest.mark.parametrize("launcher", LOCAL)
def test_a_run_whose_process_is_killed_leaves_the_others(launcher, tmp_path):
    done = there(tmp_path, *SWEEP, f"hydra/launcher={launcher}", **places(tmp_path, KILLS))
    assert done.code == 1
    assert "Traceback" not in done.err
    assert statuses(tmp_path) == {name: "failed" if name == NAMES[1] else "finished" for name in NAMES}
    assert "its process was killed" in read(tmp_path / "outputs" / "s" / NAMES[1] / "run.json")["error"]


@pytest.fixture
def long_sweep(tmp_path, request):
    """A sweep of two runs that would take for ever, with the program that makes them."""
    words = [*TINY, "epochs=1000000", "seed=0,1", "sweep=s", f"hydra/launcher={request.param}"]
    program = started(tmp_path, *words)
    with program:
        deadline = time.monotonic() + 60
        while len(list(tmp_path.glob("outputs/s/*/metrics.jsonl"))) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        yield program, tmp_path
        with contextlib.suppress(ProcessLookupError):
            os.killpg(program.pid, signal.SIGKILL)


def checkpoints(folder):
    return {run.name for run in runs(folder) if [*run.glob("checkpoints/step-*")]}


@pytest.mark.parametrize("long_sweep", LOCAL, indirect=True)
@pytest.mark.parametrize(("number", "send"), [(signal.SIGINT, os.killpg), (signal.SIGTERM, os.kill)])
def test_a_signal_ends_all_runs_with_a_checkpoint(long_sweep, number, send):
    program, folder = long_sweep
    send(program.pid, number)
    _, err = program.communicate(timeout=60)
    by = "" if number == signal.SIGINT else " (SIGTERM)"
    assert (program.returncode, err) == (128 + number, f"satae-train: interrupted{by}\n")
    assert statuses(folder) == {"seed=0": "interrupted", "seed=1": "interrupted"}
    assert checkpoints(folder) == {"seed=0", "seed=1"}


@pytest.mark.parametrize("long_sweep", [LOCAL[0]], indirect=True)
def test_jobs_do_not_outlive_a_program_that_is_killed(long_sweep):
    program, folder = long_sweep
    program.kill()
    program.wait(timeout=60)
    program.communicate(timeout=60)  # a job that was left would keep the pipes open
    assert statuses(folder) == {"seed=0": "interrupted", "seed=1": "interrupted"}
    assert checkpoints(folder) == {"seed=0", "seed=1"}


def job_processes(folder):
    """The processes of submitit's jobs, by the name of their run."""
    return {
        run.name: int(events.name.split(".")[-2])
        for run in runs(folder)
        for events in run.glob("events.out.tfevents.*.[0-9]")
    }


@needs_submitit
@pytest.mark.slow
def test_a_run_that_makes_room_goes_on_by_itself_to_the_same_end(tmp_path):
    words = [*TINY, "epochs=3000", "seed=0,1", "sweep=s"]
    alone = tmp_path / "alone"
    alone.mkdir()
    assert here(alone, *words, "-m").code == 0
    program = subprocess.Popen(
        [PROGRAM, *words, "hydra/launcher=submitit_local"], cwd=tmp_path, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    with program:
        run = tmp_path / "outputs" / "s" / "seed=0"
        while not (run / "metrics.jsonl").exists() and program.poll() is None:
            time.sleep(0.05)
        os.kill(job_processes(tmp_path / "outputs")["seed=0"], signal.SIGUSR2)  # as submitit has Slurm do
        assert program.wait(timeout=120) == 0
    assert "asked to end" in (run / "satae-train.log").read_text()
    assert "going on from step" in (run / "satae-train.log").read_text()
    assert untimed(tmp_path / "outputs") == untimed(alone)


# what is typed


@pytest.mark.parametrize("name", ["joblib", "submitit_local", "submitit_slurm", "slurm", "ray", "ray_cluster"])
def test_a_launcher_whose_extra_is_missing_is_refused_in_one_line(name, tmp_path):
    hide = """
import sys

class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.startswith("hydra_plugins"):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Hidden())
"""
    done = there(tmp_path, *SWEEP, f"hydra/launcher={name}", **places(tmp_path, hide))
    extra = {"slurm": "submitit"}.get(name, name.partition("_")[0])
    assert (done.code, done.out) == (2, "")
    assert done.err.endswith(f"is not installed; install it with pip install 'satae[{extra}]'\n")
    assert done.err.count("\n") == 1
    assert not (tmp_path / "outputs").exists()


@needs_submitit
def test_slurm_is_asked_for_what_a_run_needs(tmp_path):
    (run, _), _ = compose_runs(["alpha=0,1", "hydra/launcher=slurm"], multirun=True)
    options = run.launcher_options(tmp_path)
    assert options["_target_"].endswith(".SlurmLauncher")
    assert options["max_num_timeout"] > 0  # else a time limit is the end
    assert options["additional_parameters"]["requeue"] is True
    with selection.open_launcher(options, 500, int) as launcher:
        assert launcher.share == (256, 1)


@needs_submitit
@pytest.mark.parametrize(
    ("machine", "threads", "runs", "share"), [(8, None, 2, (2, 4)), (8, 3, 9, (2, 3)), (2, 4, 9, (1, 2))]
)
def test_jobs_and_threads_are_the_cores(monkeypatch, machine, threads, runs, share):
    monkeypatch.setattr(base, "available_cores", lambda: machine)
    assert base.share_machine(threads, runs) == share


def test_the_plugins_own_names_have_ready_configurations():
    assert selection.replace_plugin_names(["alpha=1", "hydra/launcher=ray"]) == ["alpha=1", "hydra/launcher=ray_here"]
    assert selection.replace_plugin_names(["hydra/launcher=joblib"]) == ["hydra/launcher=joblib"]


@pytest.mark.parametrize(
    ("name", "key", "told"),
    [
        ("joblib", "n_job", "hydra/launcher=joblib has no such option; did you mean n_jobs?"),
        ("ray_here", "n_cpus", "hydra/launcher=ray has no such option"),
        ("slurm", "n_jobs", "needs hydra/launcher=joblib"),
        ("slurm", "partitoin", "hydra/launcher=slurm has no such option; did you mean partition?"),
    ],
)
def test_an_option_that_a_launcher_has_not_is_told_with_what_has_it(name, key, told):
    said = selection.unknown_option_message(f"hydra.launcher.{key}", {"hydra/launcher": name})
    assert said.startswith(f"hydra.launcher.{key}: {told}")


@pytest.mark.parametrize("name", ["joblib", "submitit_local", "submitit_slurm", "ray"])
def test_a_plugin_that_is_not_there_can_be_installed(name):
    assert f"pip install 'satae[{name.partition('_')[0]}]'" in selection.unknown_launcher_message(name, [])


def test_a_launcher_of_ones_own_is_offered_and_inner_names_are_not():
    said = selection.unknown_launcher_message("zzz", ["basic", "joblib", "mine", "ray_here", "slurm", "submitit_slurm"])
    assert said == "hydra/launcher=zzz: choose one of joblib, submitit_local, slurm, ray, ray_cluster, mine"
