"""Grids and modes that files and Hydra's own options ask for."""

import pytest
from program import TINY, here, read, runs

from satae.cli.flags import parse_flags
from satae.cli.plan import make_plan
from satae.errors import ConfigError

GRID = "hydra: {mode: MULTIRUN, sweeper: {params: {alpha: '0,0.1', seed: range(2)}}}"
GRID_WITHOUT_MODE = GRID.replace("mode: MULTIRUN, ", "")


@pytest.fixture
def planned(tmp_path, monkeypatch):
    """The names of the runs that a command line makes beside the preset ``experiment=own``."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own/experiment").mkdir(parents=True)

    def plan(preset, *words):
        (tmp_path / "own/experiment/own.yaml").write_text(f"# @package _global_\n{preset}\n")
        chosen = [] if any(word.startswith("experiment=") for word in words) else ["experiment=own"]
        plan = make_plan(parse_flags(["--config-dir=own", *chosen, *words]), "")
        return [job.directory.name for job in plan.jobs] if plan.sweep else "one run"

    return plan


FOUR = ["alpha=0,seed=0", "alpha=0,seed=1", "alpha=0.1,seed=0", "alpha=0.1,seed=1"]


@pytest.mark.parametrize(
    ("preset", "words", "names"),
    [
        (GRID, [], FOUR),
        (GRID, ["sweep=first", "fail_fast=true"], FOUR),
        (GRID, ["alpha=0.5"], ["alpha=0.5,seed=0", "alpha=0.5,seed=1"]),
        (
            GRID,
            ["seed=0", "act=relu,tanh"],
            [f"alpha={a},act={f},seed=0" for a in ("0", "0.1") for f in ("relu", "tanh")],
        ),
        (GRID_WITHOUT_MODE, ["-m"], FOUR),
        (GRID_WITHOUT_MODE, ["hydra.mode=MULTIRUN", "fail_fast=true"], FOUR),
        ("hydra: {mode: MULTIRUN}", ["alpha=0,1"], ["alpha=0", "alpha=1"]),
        ("alpha: 1", ["hydra.mode=MULTIRUN", "seed=0,1"], ["seed=0", "seed=1"]),
        ("alpha: 1", ["hydra.mode=RUN"], "one run"),
        (GRID, ["-m", "data=array", "data.path=1_0", "alpha=0", "seed=0,1"], FOUR[:2]),
        ("hydra: {mode: MULTIRUN, sweeper: {params: {data: array, data.path: '1_0,2_0'}}}", [], None),
    ],
)
def test_a_grid_of_a_file_is_made(planned, preset, words, names):
    assert planned(preset, *words) == (names or ["data.path=1_0", "data.path=2_0"])


@pytest.mark.parametrize(
    ("preset", "words", "refusal"),
    [
        (GRID_WITHOUT_MODE, [], r"hydra\.sweeper\.params: alpha=0,0\.1 seed=range\(2\) needs -m"),
        ("hydra: {launcher: {n_jobs: 2}}", ["-m", "seed=0,1"], "config: Key 'n_jobs' not in 'BasicLauncherConf'"),
        (GRID, ["hydra.mode=RUN"], r"hydra\.sweeper\.params: .* needs -m"),
        ("hydra: {sweeper: {params: {data: array, data.path: 1_0}}}", ["-m"], r"params\.data\.path=10: YAML may have"),
        (GRID, ["hydra.sweeper.params.alpha=1"], r"hydra\.sweeper\.params\.alpha=1: is for files"),
        (
            GRID,
            ["-m", "experiment=own,paper/toy_satlin"],
            r"hydra\.sweeper\.params: cannot be followed",
        ),
    ],
)
def test_a_grid_that_cannot_be_made_is_refused(planned, preset, words, refusal):
    with pytest.raises(ConfigError, match=refusal):
        planned(preset, *words)


def test_a_sweep_with_a_grid_of_a_file_resumes_by_its_name(tmp_path):
    (tmp_path / "own/experiment").mkdir(parents=True)
    preset = "# @package _global_\nhydra: {mode: MULTIRUN, sweeper: {params: {alpha: '0,0.1'}}}\n"
    (tmp_path / "own/experiment/own.yaml").write_text(preset)
    typed = (*TINY, "epochs=1", "--config-dir=own", "experiment=own", "sweep=first")
    assert here(tmp_path, *typed).code == 0
    assert [run.name for run in runs(tmp_path)] == ["alpha=0", "alpha=0.1"]
    manifest = read(tmp_path / "outputs/first/sweep.json")
    for again in (typed, ("--config-dir=own", "sweep=first")):
        outcome = here(tmp_path, *again)
        assert (outcome.code, outcome.out.partition("\n")[0]) == (0, "2 runs: 2 done already (skipped)")
    assert read(tmp_path / "outputs/first/sweep.json")["varied"] == manifest["varied"] == ["alpha"]
