"""Runs as a Slurm array, with scripts that stand in for Slurm's own programs."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest
from toy_runs import records, statuses

pytestmark = pytest.mark.skipif(not find_spec("submitit"), reason="pip install 'satae[submitit]'")

SUBMIT = 'cp "$1" "$TOY/job.sh"; echo Submitted batch job 7; for task in 0 1; do task "$task" > /dev/null 2>&1 & done'
TASK = 'SLURM_JOB_ID=$((8 + $1)) SLURM_ARRAY_JOB_ID=7 SLURM_ARRAY_TASK_ID=$1 sh "$TOY/job.sh" >> "$TOY/task.$1" 2>&1'
PROGRAMS = {
    "sbatch": SUBMIT,
    "task": TASK,
    "srun": 'shift 5; exec "$@"',  # what stands before the command are options
    "sacct": "echo 'JobID|State|NodeList'",  # jobs are known by their results
    "squeue": 'cat "$TOY/state"',
    "scontrol": '[ "$1" = requeue ] && task "${2#7_}" > /dev/null 2>&1 &',
    "scancel": 'echo "$@" > "$TOY/cancelled"; kill $(sed -n "s/.*\\"pid\\": \\([0-9]*\\).*/\\1/p" "$TOY"/*/run.json)',
}


@pytest.fixture
def slurm(tmp_path):
    """The environment of a machine with Slurm."""
    folder = tmp_path / "slurm"
    folder.mkdir()
    for name, script in PROGRAMS.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    (tmp_path / "state").write_text("RUNNING")
    return os.environ | {
        "PATH": f"{folder}:{os.environ['PATH']}",
        "PYTHONPATH": str(Path(__file__).parent),
        "TOY": str(tmp_path),
    }


@contextlib.contextmanager
def program(folder, environment, *courses):
    words = [sys.executable, "-c", "import toy_runs; toy_runs.main()", "slurm", *courses]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(words, cwd=folder, env=environment, **pipes) as process:
        try:
            yield process
        finally:
            process.kill()


SLURM_OUTPUT = """2 runs for Slurm, at most 2 at once
run 1 of 2 finished, about 1 s left
run 2 of 2 finished
"""


def wait_until(condition):
    deadline = time.monotonic() + 30
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert condition()


@pytest.mark.parametrize("number", [signal.SIGUSR2, signal.SIGTERM], ids=["time limit", "preemption"])
def test_a_run_that_makes_room_is_queued_again_and_resumes(slurm, tmp_path, number):
    with program(tmp_path, slurm, "stays once", "ends") as process:
        wait_until(lambda: "0" in statuses(tmp_path))
        os.kill(records(tmp_path)["0"]["pid"], number)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (0, SLURM_OUTPUT, "")
    assert statuses(tmp_path) == {"0": "finished", "1": "finished"}
    assert [record["again"] for record in records(tmp_path).values()] == [True, False]
    assert [record["share"] for record in records(tmp_path).values()] == [[2, 1], [2, 1]]
    options = {line.removeprefix("#SBATCH --") for line in (tmp_path / "job.sh").read_text().splitlines()}
    assert options >= {"array=0-1%2", "partition=cpu", "time=60", "mem=2GB", "cpus-per-task=1", "signal=USR2@120"}
    assert options >= {"requeue", "job-name=satae-train", "module load python"}


def test_an_interrupt_cancels_the_array_and_runs_leave_a_checkpoint(slurm, tmp_path):
    (tmp_path / "state").write_text("COMPLETING")  # what scancel makes of a job
    with program(tmp_path, slurm, "stays", "stays") as process:
        wait_until(lambda: len(statuses(tmp_path)) == 2)
        process.send_signal(signal.SIGINT)
        wait_until(lambda: statuses(tmp_path) == {"0": "interrupted", "1": "interrupted"})
    # the program waited for Slurm's accounting to say that the jobs had ended, which it does not do here
    assert (tmp_path / "cancelled").read_text() == "7\n"


def test_a_closed_terminal_ends_the_program_but_not_its_jobs(slurm, tmp_path):
    with program(tmp_path, slurm, "stays", "stays") as process:
        wait_until(lambda: len(statuses(tmp_path)) == 2)
        process.send_signal(signal.SIGHUP)
        process.communicate(timeout=30)
    assert process.returncode == 128 + signal.SIGHUP
    assert not (tmp_path / "cancelled").exists()
    assert statuses(tmp_path) == {"0": "running", "1": "running"}
    (tmp_path / "state").write_text("COMPLETING")  # cancelled, not preempted: no job is queued again
    for record in records(tmp_path).values():
        os.kill(record["pid"], signal.SIGTERM)
    wait_until(lambda: statuses(tmp_path) == {"0": "interrupted", "1": "interrupted"})
