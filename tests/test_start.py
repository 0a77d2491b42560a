"""A run can start from the weights of another run."""

import shutil

import pytest
import torch
import yaml
from program import TINY, files, here, read, runs
from test_resume import check_same, stop_after

from satae.evaluation.baselines import train_baseline
from satae.evaluation.subject import TrainedRun
from satae.experiment import build
from satae.experiment.experiment import Experiment
from satae.runs.loading import read_start, read_state
from satae.training.checkpoint import best_path, list_checkpoints

START = (*TINY, "hydra.run.dir=first")
NEXT = (*TINY, "start=first", "alpha=1", "epochs=4", "checkpoint.every_steps=1", "hydra.run.dir=next")


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    folder = tmp_path_factory.mktemp("start")
    assert here(folder, *START).code == 0
    return folder / "first"


@pytest.fixture
def place(first, tmp_path):
    """A folder with a copy of the run from which others start."""
    shutil.copytree(first, tmp_path / "first")
    return tmp_path


def content(folder):
    return {name: (folder / name).read_bytes() for name in files(folder) if (folder / name).is_file()}


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(x, b[name]) for name, x in a.items())


@pytest.mark.parametrize("best", [False, True])
def test_a_new_run_has_the_weights_of_its_start(first, configuration, best):
    wanted = read_state(first, best=best).part("model")
    words = [f"start={first}", f"start_best={str(best).lower()}", "alpha=1", "noise=masking", "optim=sgd"]
    config = configuration(*TINY, *words)
    experiment = Experiment.from_config(config, read_start(config))
    assert same(experiment.model.state_dict(), wanted)
    assert experiment.optimizer.state_dict()["state"] == {}


def test_a_start_on_other_data_keeps_their_standardization(first, configuration):
    config = configuration(*TINY, f"start={first}", "data.split_seed=1")
    own, start = Experiment.from_config(config, read_start(config)).model.state_dict(), read_state(first).part("model")
    assert not torch.equal(own["mean"], start["mean"])
    assert [name for name in own if not torch.equal(own[name], start[name])] == ["mean", "std"]


def test_a_run_may_start_from_an_exported_file(place):
    state = read_state(place / "first")
    shutil.copy(best_path(place / "first"), place / "weights.safetensors")
    assert here(place, *NEXT, "start=weights.safetensors").code == 0
    start = read(place / "next" / "run.json")["start"]
    assert (start["path"], start["weights"]) == (str(place / "weights.safetensors"), "newest")
    assert start["step"] <= state.step


def test_the_start_is_recorded_read_only_and_not_needed_again(place, monkeypatch):
    before = content(place / "first")
    assert here(place, *NEXT).code == 0
    assert content(place / "first") == before
    assert yaml.safe_load((place / "next" / "config.yaml").read_text())["start"] == str(place / "first")
    start = read(place / "next" / "run.json")["start"]
    assert (start["weights"], start["step"], len(start["sha256"])) == ("newest", 4, 64)
    (place / "next").rename(place / "whole")
    stop_after(monkeypatch, 5)
    assert here(place, *NEXT).code == 130
    monkeypatch.undo()
    shutil.rmtree(place / "first")
    assert here(place, "resume=next").code == 0
    check_same(place / "next", place / "whole")
    assert read(place / "next" / "run.json")["start"] == start


@pytest.fixture
def killed(place, monkeypatch):
    """A run that was killed before its first checkpoint."""
    stop_after(monkeypatch, 1)
    assert here(place, *NEXT).code == 130
    monkeypatch.undo()
    assert not list_checkpoints(place / "next")
    return place


def test_a_run_without_a_checkpoint_resumes_from_its_start(killed):
    outcome = here(killed, "resume=next")
    assert outcome.code == 0
    assert f"starts from the newest weights of {killed / 'first'}, step 4" in outcome.out
    (killed / "next").rename(killed / "resumed")
    assert here(killed, *NEXT).code == 0
    check_same(killed / "resumed", killed / "next")


def test_a_run_without_a_checkpoint_says_that_its_start_is_gone(killed):
    (killed / "first").rename(killed / "elsewhere")
    before = content(killed / "next")
    outcome = here(killed, "resume=next")
    assert outcome.code == 2
    assert "next: has no checkpoint yet, so that it needs its start: start=" in outcome.err
    assert "put it back" in outcome.err
    assert content(killed / "next") == before


def test_a_run_without_a_checkpoint_says_that_its_start_has_changed(killed):
    assert here(killed, "resume=first", "epochs=3").code == 0
    outcome = here(killed, "resume=next")
    assert (outcome.code, outcome.out) == (2, "")
    assert "its weights have changed since this run started; start over with rerun=next" in outcome.err
    outcome = here(killed, "rerun=next", "hydra.run.dir=again")
    assert outcome.code == 0
    assert "its weights have changed since next started" in outcome.err


def test_each_run_of_a_sweep_starts_from_the_same_weights(place):
    words = (*TINY, "sweep=s", "start=first", "alpha=0.1,1")
    assert here(place, *words).code == 0
    found = [read(run / "run.json")["start"] for run in runs(place / "outputs")]
    assert len(found) == 2
    assert found[0] == found[1]
    assert "2 done already" in here(place, *words).out


def test_a_start_with_commas_in_its_name_is_one_start(place):
    (place / "first").rename(place / "alpha=0,seed=1")
    assert here(place, *NEXT, "start=alpha=0,seed=1").code == 0
    assert read(place / "next" / "run.json")["start"]["path"] == str(place / "alpha=0,seed=1")


def test_an_activation_other_than_that_of_the_start_is_named(place):
    assert "step 4, trained with act=relu" in here(place, *NEXT, "act=tanh").out
    assert read(place / "next" / "run.json")["start"]["act"] == "act=relu"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["arch.widths=[8,4]"],
            "has arch.widths=[16,4], whose weights do not fit arch.widths=[8,4]; give both the same",
        ),
        (["arch.tied=true"], "has arch.tied=false, whose weights do not fit arch.tied=true"),
        (["data=manifold"], "takes inputs of shape [1, 8, 8], but data=manifold has [2]"),
        (["start=nowhere"], "nowhere: no checkpoint there; name a run directory that satae-train has made"),
        (["start="], "start=: is empty"),
        (["start=null", "start_best=true"], "start_best=true: is for a run with start=RUN"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_written(place, words, message):
    outcome = here(place, *NEXT, *words)
    assert (outcome.code, outcome.out) == (2, "")
    assert message in outcome.err
    assert outcome.err.count("\n") == 1
    assert not (place / "next").exists()


def test_damaged_weights_are_refused(place):
    for _, file in list_checkpoints(place / "first"):
        file.write_bytes(file.read_bytes()[:-8] + b"\xff" * 8)
    outcome = here(place, *NEXT)
    assert outcome.code == 2
    assert "not a checkpoint that can be read" in outcome.err
    assert not (place / "next").exists()


@pytest.mark.parametrize("word", ["resume=first", "rerun=first"])
def test_start_beside_resume_or_rerun_names_the_three(place, word):
    outcome = here(place, word, "start=first")
    assert outcome.code == 2
    assert f"{word} start=first: name one of the three" in outcome.err


def test_a_baseline_starts_from_the_same_weights(place, configuration):
    assert here(place, *NEXT).code == 0
    run = TrainedRun.read(place / "next", best=False)
    config = configuration(*NEXT[:-1], f"start={place / 'first'}", "alpha=0")
    experiment = Experiment.from_config(config, read_start(config))
    for _ in experiment.fit():
        pass
    found = train_baseline(run.config, build.dataset(run.config), run.state.step, torch.device("cpu"))
    assert same(found.state_dict(), experiment.model.state_dict())
