"""The launcher that a command line chooses."""

import os
from importlib.util import find_spec

import pytest
from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from program import TINY, files, here

from satae.cli.compose import compose_runs
from satae.errors import ConfigError
from satae.launchers.base import Launcher
from satae.launchers.selection import open_launcher, replace_plugin_names


def prepare():
    pass


@pytest.mark.parametrize("options", [None, {"_target_": "plugin.BasicLauncher"}])
def test_no_launcher_and_that_of_hydra_make_one_run_after_another(options):
    with open_launcher(options, 3, prepare) as launcher:
        assert (type(launcher), launcher.share) == (Launcher, None)


def test_no_runs_need_no_workers():
    with open_launcher({"_target_": "plugin.JoblibLauncher", "n_jobs": 2}, 0, prepare) as launcher:
        assert type(launcher) is Launcher


def test_a_launcher_of_another_package_is_refused_with_the_choices(tmp_path):
    with pytest.raises(
        ConfigError, match=r"cannot use other\.Launcher; choose one of joblib, submitit_local, slurm, ray"
    ):
        open_launcher({"_target_": "other.Launcher"}, 3, prepare)
    folder = tmp_path / "own" / "hydra" / "launcher"
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text("_target_: os.system\ncommand: touch done\n")
    before = files(tmp_path)
    outcome = here(tmp_path, *TINY, "-m", "--config-dir", "own", "hydra/launcher=mine", "seed=0,1")
    assert (outcome.code, len(outcome.err.splitlines()), files(tmp_path)) == (2, 1, before)


def test_a_configuration_of_the_users_own_can_choose_a_launcher(tmp_path):
    folder = tmp_path / "own" / "hydra" / "launcher"
    folder.mkdir(parents=True)
    target = "hydra_plugins.hydra_joblib_launcher.joblib_launcher.JoblibLauncher"
    (folder / "mine.yaml").write_text(f"_target_: {target}\n")
    outcome = here(tmp_path, *TINY, "-m", "--config-dir", "own", "hydra/launcher=mine", "seed=0,1")
    assert (outcome.code, outcome.out.splitlines()[0]) == (0, "1 of 2 runs at once")


@pytest.mark.skipif(not find_spec("submitit"), reason="pip install 'satae[submitit]'")
def test_slurm_starts_runs_again_unless_the_user_says_otherwise(tmp_path, monkeypatch):
    srun = tmp_path / "bin" / "srun"
    srun.parent.mkdir()
    srun.touch(0o755)
    monkeypatch.setenv("PATH", str(srun.parent), prepend=os.pathsep)
    (run, _), _ = compose_runs(["alpha=0,1", "hydra/launcher=slurm"], multirun=True)
    options = run.launcher_options(tmp_path)
    assert options["max_num_timeout"] > 0  # else a time limit is the end
    assert options["additional_parameters"]["requeue"] is True
    assert options["submitit_folder"].startswith(f"{tmp_path}/.submitit/")
    with open_launcher(options, 500, prepare) as launcher:
        assert launcher.share == (256, 1)


def test_our_configurations_replace_those_of_the_plugins():
    assert replace_plugin_names(["alpha=1", "hydra/launcher=ray"]) == ["alpha=1", "hydra/launcher=ray_here"]
    assert replace_plugin_names(["hydra/launcher=joblib"]) == ["hydra/launcher=joblib"]


@pytest.mark.parametrize("name", ["joblib", "submitit_local", "submitit_slurm", "slurm", "ray", "ray_cluster"])
def test_a_launcher_whose_extra_is_missing_is_refused(name, tmp_path, monkeypatch):
    Plugins.instance()  # Hydra loads its plugins when it is first used
    for plugin in ("joblib", "submitit_local", "submitit_slurm", "ray"):
        monkeypatch.delitem(ConfigStore.instance().repo["hydra"]["launcher"], f"{plugin}.yaml", raising=False)
    outcome = here(tmp_path, *TINY, "seed=0,1", "-m", f"hydra/launcher={name}")
    extra = {"slurm": "submitit"}.get(name, name.partition("_")[0])
    assert (outcome.code, outcome.out, files(tmp_path)) == (2, "", [])
    assert outcome.err.endswith(f"is not installed; install it with pip install 'satae[{extra}]'\n")
    assert outcome.err.count("\n") == 1


def test_a_joblib_option_without_effect_is_reported(capsys):
    options = {"_target_": "plugin.JoblibLauncher", "n_jobs": 1, "verbose": 5, "batch_size": "auto"}
    with open_launcher(options, 2, prepare):
        assert capsys.readouterr().err == "warning: hydra.launcher.verbose has no effect; only n_jobs is used\n"
