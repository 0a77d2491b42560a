"""A sweep under submitit or Ray is what it is in one process, to the last bit; runs resume by themselves."""

import os
import signal
import subprocess
import time
from importlib.util import find_spec

import pytest
from program import PROGRAM, TINY, here, read, replaced, runs, started, there

SWEEP = replaced([*TINY, "epochs=1", "seed=0,1", "sweep=s"])
NAMES = ["seed=0", "seed=1"]
TIMES = ("wall_s", "samples_per_s")

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


def wait_for_first_epochs(folder, program, number):
    while len([*folder.glob("outputs/s/*/metrics.jsonl")]) < number and program.poll() is None:
        time.sleep(0.05)
    assert program.poll() is None


@pytest.mark.parametrize("launcher", LOCAL)
def test_the_numbers_are_the_same_to_the_last_bit(launcher, tmp_path):
    alone = tmp_path / "alone"
    alone.mkdir()
    assert here(alone, *SWEEP, "-m").code == 0
    done = there(tmp_path, *SWEEP, f"hydra/launcher={launcher}", LOKY_MAX_CPU_COUNT="2", OMP_NUM_THREADS="2")
    assert (done.code, done.err) == (0, "")
    assert [*untimed(tmp_path / "outputs")] == NAMES
    assert untimed(tmp_path / "outputs") == untimed(alone)
    first, second, *lines = [line for line in done.out.splitlines() if not line.startswith("run ")]
    assert (first, second) == ("2 of 2 runs at once", "2 runs: 2 new")
    outcomes = sorted(line.split() for line in lines[:2])  # as they end
    assert [name for name, *_ in outcomes] == NAMES
    assert all(numbers[::3] == ["valid", "saturated"] for _, *numbers in outcomes)
    assert len(lines) == 2 + 6  # the table of the sweep, and nothing that the launcher has to say
    assert lines[-3].startswith("warning: 2 of 2 finished runs collapsed")
    for run in runs(tmp_path / "outputs"):
        assert (read(run / "run.json")["jobs"], read(run / "run.json")["threads"]) == (2, 1)


@pytest.mark.parametrize("launcher", LOCAL)
@pytest.mark.slow  # tests/launchers has the same law with runs that only wait
def test_a_signal_ends_all_runs_with_a_checkpoint(launcher, tmp_path):
    with started(tmp_path, *SWEEP, "epochs=1000000", f"hydra/launcher={launcher}") as program:
        wait_for_first_epochs(tmp_path, program, 2)
        program.terminate()
        _, err = program.communicate(timeout=60)
    assert (program.returncode, err) == (128 + signal.SIGTERM, "satae-train: interrupted (SIGTERM)\n")
    assert statuses(tmp_path) == dict.fromkeys(NAMES, "interrupted")
    assert all([*run.glob("checkpoints/step-*")] for run in runs(tmp_path))


def process_of(run):
    """The process that makes a run, as its event file is named."""
    (events,) = run.glob("events.out.tfevents.*.[0-9]")
    return int(events.name.split(".")[-2])


@needs_submitit
@pytest.mark.slow
def test_a_run_that_makes_room_resumes_by_itself_to_the_same_end(tmp_path):
    words = replaced([*SWEEP, "epochs=1500"])
    alone = tmp_path / "alone"
    alone.mkdir()
    assert here(alone, *words, "-m").code == 0
    program = subprocess.Popen(
        [PROGRAM, *words, "hydra/launcher=submitit_local"], cwd=tmp_path, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    with program:
        run = tmp_path / "outputs" / "s" / NAMES[0]
        while not (run / "metrics.jsonl").exists() and program.poll() is None:
            time.sleep(0.05)
        os.kill(process_of(run), signal.SIGUSR2)  # as submitit has Slurm do
        assert program.wait(timeout=240) == 0
    assert len(read(run / "run.json")["resumed"]) == 1
    assert untimed(tmp_path / "outputs") == untimed(alone)
