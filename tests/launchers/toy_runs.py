"""Runs that train nothing, for tests of launchers: each follows a course, and its record says how it ended."""

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import NamedTuple

from satae import signals
from satae.launchers.selection import open_launcher

LAUNCHERS = {
    "serial": None,
    "joblib": {"_target_": "plugin.JoblibLauncher", "n_jobs": 2},
    "submitit_local": {
        **{"_target_": "plugin.LocalLauncher", "submitit_folder": "jobs/%j", "timeout_min": 60, "cpus_per_task": None},
        **{"name": "satae-train", "nodes": 1, "tasks_per_node": 1, "mem_gb": None, "stderr_to_stdout": False},
    },
    "slurm": {
        **{"_target_": "plugin.SlurmLauncher", "submitit_folder": "jobs/%j", "timeout_min": 60, "cpus_per_task": 1},
        **{"name": "satae-train", "nodes": 1, "tasks_per_node": 1, "mem_gb": 2, "partition": "cpu", "qos": None},
        **{"signal_delay_s": 120, "max_num_timeout": 100, "array_parallelism": 2, "setup": ["module load python"]},
        "additional_parameters": {"requeue": True},
    },
    "ray": {
        "_target_": "plugin.RayLauncher",
        "ray": {
            "init": {"address": "local", "include_dashboard": False, "log_to_driver": False, "logging_level": "ERROR"},
            "remote": {"num_cpus": None, "max_retries": 0},
        },
    },
}


class ToyRun(NamedTuple):
    directory: Path
    course: str  # ends, fails, stays, stays once, kills


def prepare():
    with open("prepared", "a") as file:
        print(os.getpid(), file=file)


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def work(run, share):
    """Follow a run's course; returns whether it failed."""
    started, again = time.monotonic(), (run.directory / "run.json").exists()
    course = "ends" if again and run.course.endswith(" once") else run.course

    def record(status, **facts):
        facts |= {"pid": os.getpid(), "share": share, "again": again, "times": [started, time.monotonic()]}
        file = run.directory / "run.json.partial"
        file.write_text(json.dumps({"command": "toy", "overrides": [], "status": status, **facts}))
        file.rename(run.directory / "run.json")

    run.directory.mkdir(parents=True, exist_ok=True)
    record("running")
    time.sleep(0.1)
    if course == "kills":
        while len(list(run.directory.parent.glob("*/run.json"))) < 2:  # until another run has started
            time.sleep(0.02)
        die()
    while course.startswith("stays"):
        time.sleep(0.02)
        if (number := signals.pending_signal()) is not None:
            record("interrupted", exit_code=128 + number)
            raise signals.Interrupted(number)
    record("failed" if course == "fails" else "finished", exit_code=int(course == "fails"))
    return course == "fails"


def launch(launcher, *courses, stop_file=None, prepare=prepare):
    """Make runs, one for each course, in folders of the working directory: 0, 1, 2 ..."""
    runs = [ToyRun(Path(str(number)).absolute(), course) for number, course in enumerate(courses)]
    with open_launcher(LAUNCHERS[launcher], len(runs), prepare, stop_file) as opened:
        opened.run(work, runs)


def wait(launcher):
    """Wait while workers are there and no run is known yet."""
    with open_launcher(LAUNCHERS[launcher], 2, prepare, None):
        time.sleep(600)


def main():
    launcher, *courses = sys.argv[1:]
    with signals.handle_signals(""):
        try:
            launch(launcher, *courses) if courses else wait(launcher)
        except signals.Interrupted as interrupted:
            sys.exit(128 + interrupted.number)


def records(folder):
    """What each run has recorded, by its folder."""
    return {path.parent.name: json.loads(path.read_text()) for path in sorted(folder.glob("*/run.json"))}


def statuses(folder):
    return {name: record["status"] for name, record in records(folder).items()}
