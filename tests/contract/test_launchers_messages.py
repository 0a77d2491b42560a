"""What users read about launchers."""

from importlib.util import find_spec

import pytest
from program import TINY, files, here

from satae.launchers.selection import unknown_launcher_message, unknown_option_message

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
