"""Runs at once in worker processes of joblib: what can be asked for, and what each gets of the machine."""

import pytest
from hydra.core.config_store import ConfigStore
from program import TINY, files, here, read, runs, there

from satae.launchers.base import available_cores
from satae.training.torch_settings import DEFAULT_THREADS

JOBLIB = ("-m", "hydra/launcher=joblib")


@pytest.mark.parametrize("value", ["0", "many", "null", "1.5"])
def test_a_number_of_jobs_that_cannot_be_is_refused_in_one_line(tmp_path, value):
    outcome = here(tmp_path, *TINY, *JOBLIB, f"hydra.launcher.n_jobs={value}", "seed=0,1")
    assert outcome.code == 2
    assert outcome.err.startswith(f"satae-train: hydra.launcher.n_jobs={value}: ")
    assert len(outcome.err.splitlines()) == 1
    assert files(tmp_path) == []


def test_without_the_launcher_it_is_told_what_to_install(tmp_path, monkeypatch):
    monkeypatch.delitem(ConfigStore.instance().repo["hydra"]["launcher"], "joblib.yaml")
    outcome = here(tmp_path, *TINY, *JOBLIB, "seed=0,1")
    told = "satae-train: hydra/launcher=joblib: is not installed; install it with pip install 'satae[joblib]'\n"
    assert (outcome.code, outcome.err, files(tmp_path)) == (2, told, [])


def test_a_number_of_cores_that_is_none_is_refused_in_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "all")
    outcome = here(tmp_path, *TINY, *JOBLIB, "seed=0,1")
    told = "satae-train: LOKY_MAX_CPU_COUNT=all: is not a number of cores; set it to one, or unset it\n"
    assert (outcome.code, outcome.err, files(tmp_path)) == (2, told, [])


def test_few_threads_are_no_reason_for_few_runs_at_once(tmp_path):
    tiny = [word for word in TINY if not word.startswith("threads")]
    outcome = there(tmp_path, *tiny, *JOBLIB, "seed=0,1")
    assert (outcome.code, outcome.err) == (0, "")
    record = read(runs(tmp_path)[0] / "run.json")
    assert (record["jobs"], record["threads"]) == (min(2, available_cores()), 1)


@pytest.mark.parametrize(("words", "threads"), [([], None), (["threads=3"], 3)], ids=["by default", "chosen"])
def test_a_run_that_is_alone_has_all_cores_unless_the_user_says_otherwise(tmp_path, words, threads):
    tiny = [word for word in TINY if not word.startswith("threads")]
    assert here(tmp_path, *tiny, *words, *JOBLIB, "seed=0").code == 0
    record = read(runs(tmp_path)[0] / "run.json")
    assert (record["jobs"], record["threads"]) == (1, threads or min(DEFAULT_THREADS, available_cores()))


@pytest.mark.parametrize(("n_jobs", "told"), [("", "1 of 2 runs at once"), ("n_jobs: 2", "2 of 2 runs at once")])
def test_a_configuration_of_ones_own_with_the_launcher_is_given_workers_too(tmp_path, n_jobs, told):
    folder = tmp_path / "own" / "hydra" / "launcher"
    folder.mkdir(parents=True)
    target = "hydra_plugins.hydra_joblib_launcher.joblib_launcher.JoblibLauncher"
    (folder / "mine.yaml").write_text(f"_target_: {target}\n{n_jobs}\n")
    outcome = here(tmp_path, *TINY, "-m", "--config-dir", "own", "hydra/launcher=mine", "seed=0,1")
    assert (outcome.code, outcome.out.splitlines()[0]) == (0, told)


def test_runs_one_after_another_share_nothing(tmp_path):
    assert here(tmp_path, *TINY, "-m", "seed=0").code == 0
    assert "jobs" not in read(runs(tmp_path)[0] / "run.json")
