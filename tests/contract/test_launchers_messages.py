"""What users read about launchers."""

import json
import re
from importlib.util import find_spec

import pytest
from program import TINY, files, here

from satae.launchers.base import CoreShare, Launcher
from satae.launchers.selection import unknown_launcher_message, unknown_option_message
from satae.messages import rough_duration

JOBLIB = ("-m", "hydra/launcher=joblib", "seed=0,1")


@pytest.mark.parametrize("value", ["0", "many", "null", "1.5"])
def test_an_impossible_number_of_jobs_is_refused_in_one_line(tmp_path, value):
    outcome = here(tmp_path, *TINY, *JOBLIB, f"hydra.launcher.n_jobs={value}")
    assert outcome.code == 2
    assert outcome.err.startswith(f"satae-train: hydra.launcher.n_jobs={value}: ")
    assert len(outcome.err.splitlines()) == 1
    assert files(tmp_path) == []


def test_an_impossible_number_of_cores_is_refused_in_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "all")
    outcome = here(tmp_path, *TINY, *JOBLIB)
    line = "satae-train: LOKY_MAX_CPU_COUNT=all: is not a number of cores; set it to one, or unset it\n"
    assert (outcome.code, outcome.err, files(tmp_path)) == (2, line, [])


@pytest.mark.parametrize(
    ("name", "key", "message"),
    [
        ("joblib", "n_job", "hydra/launcher=joblib has no such option; did you mean n_jobs?"),
        ("ray_here", "n_cpus", "hydra/launcher=ray has no such option"),
        ("slurm", "n_jobs", "needs hydra/launcher=joblib"),
        ("slurm", "partitoin", "hydra/launcher=slurm has no such option; did you mean partition?"),
    ],
)
def test_an_unknown_option_of_a_launcher_is_named_with_the_launchers_that_have_it(name, key, message):
    found = unknown_option_message(f"hydra.launcher.{key}", {"hydra/launcher": name})
    assert found.startswith(f"hydra.launcher.{key}: {message}")


def test_an_unknown_launcher_is_named_with_the_choices_and_the_users_own():
    known = ["basic", "joblib", "mine", "ray_here", "slurm", "submitit_slurm"]
    message = "hydra/launcher=zzz: choose one of joblib, submitit_local, slurm, ray, ray_cluster, mine"
    assert unknown_launcher_message("zzz", known) == message


@pytest.mark.skipif(not find_spec("submitit"), reason="pip install 'satae[submitit]'")
@pytest.mark.parametrize("name", ["slurm", "submitit_slurm"])
def test_slurm_on_a_machine_without_it_is_refused_before_the_sweep_exists(tmp_path, monkeypatch, name):
    monkeypatch.setenv("PATH", str(tmp_path))
    outcome = here(tmp_path, *TINY, "sweep=./S", f"hydra/launcher={name}", "seed=0,1")
    assert outcome.code == 2
    assert outcome.err.startswith("satae-train: hydra/launcher=slurm: this machine has no Slurm (no srun); start it on")
    assert files(tmp_path) == []


def test_a_launcher_for_a_single_run_has_no_effect_and_that_is_said(tmp_path):
    line = "warning: hydra/launcher=joblib: is for sweeps (-m, or sweep=); this run is made here\n"
    assert here(tmp_path, *TINY, "hydra/launcher=joblib", "hydra.run.dir=run")[::2] == (0, line)
    assert here(tmp_path, *TINY, "hydra/launcher=joblib", "hydra.sweep.dir=s", "-m", "seed=0").err == ""


def test_a_sweep_says_how_many_runs_it_skips_resumes_and_starts(tmp_path):
    sweep = (*TINY, "sweep=./S")
    assert here(tmp_path, *sweep, "seed=0,1").out.splitlines()[0] == "2 runs: 2 new"
    record = tmp_path / "S" / "seed=1" / "run.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | {"status": "interrupted"}))
    out = here(tmp_path, *sweep, "seed=0,1,2,3").out
    assert out.splitlines()[0] == "4 runs: 1 done already (skipped), 1 resumed, 2 new"


def test_the_end_of_each_run_of_a_sweep_is_counted_without_a_time_before_one_has_finished(tmp_path):
    lines = [line for line in here(tmp_path, *TINY, "-m", "seed=0,1").out.splitlines() if line.startswith("run ")]
    assert [re.sub(r"\d+ s", "1 s", line) for line in lines] == [
        "run 1 of 2 finished, about 1 s left",
        "run 2 of 2 finished",
    ]


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        (None, ["failed", "finished, about 7 min left", "finished, about 6 min left"]),
        (CoreShare(2, 1), ["failed", "finished, about 3 min left", "finished, about 4 min left"]),
        (CoreShare(9, 1), ["failed", "finished, about 2 min left", "finished, about 2 min left"]),
    ],
)
def test_the_time_left_follows_from_the_finished_runs_and_the_workers(tmp_path, capsys, share, expected):
    launcher = Launcher(lambda: None, None)
    launcher.share = share
    for number, (status, seconds) in enumerate([("failed", 900.0), ("finished", 100.0), ("finished", 140.0)]):
        run = tmp_path / str(number)
        run.mkdir()
        written = {"command": "", "overrides": [], "status": status, "wall_s": seconds}
        (run / "run.json").write_text(json.dumps(written))
        launcher.print_progress(run, 6)
    assert capsys.readouterr().out.splitlines() == [f"run {n + 1} of 6 {text}" for n, text in enumerate(expected)]


def test_a_single_run_and_a_run_that_never_started_have_no_time_left(tmp_path, capsys):
    Launcher(lambda: None, None).print_progress(tmp_path, 1)
    Launcher(lambda: None, None).print_progress(tmp_path, 2)
    assert capsys.readouterr().out == "run 1 of 2 not started\n"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.1, "1 s"), (89, "89 s"), (90, "2 min"), (5399, "90 min"), (5400, "1.5 h")]
)
def test_a_rough_duration_has_one_unit(seconds, text):
    assert rough_duration(seconds) == text
