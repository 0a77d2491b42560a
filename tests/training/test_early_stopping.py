"""A run stops after ``patience`` epochs without a lower validation loss, and resumes to the same bits."""

import json
import shutil

import pytest
import torch
from program import TINY, here, read, replaced

from satae.training import checkpoint
from satae.training.checkpoint import latest_checkpoint, list_checkpoints
from satae.training.loop import fit

LOUD = "optim.lr=0.03"  # the validation loss soon rises and falls
WORDS = replaced([*TINY, "epochs=40", "alpha=0.2", "alpha_schedule=constant", LOUD, "checkpoint.every_epochs=1"])
TIMED = ("wall_s", "samples_per_s")


def history(run):
    """The metrics of each epoch that do not depend on the clock or on which epochs are measured more closely."""
    lines = (run / "metrics.jsonl").read_text().splitlines()
    rare = ("valid/code_sensitivity",)
    return [{k: v for k, v in json.loads(line).items() if k not in (*TIMED, *rare)} for line in lines]


def patience_left(losses):
    """The number of losses since the lowest one."""
    return len(losses) - 1 - losses.index(min(losses))


def assert_same(run, other):
    assert history(run) == history(other)
    states = [latest_checkpoint(place) for place in (run, other)]
    assert states[0].facts == states[1].facts
    assert all(torch.equal(x, states[1].tensors[name]) for name, x in states[0].tensors.items())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with ``early`` and ``late``, which stopped after their patience, and ``whole``, which has none."""
    folder = tmp_path_factory.mktemp("early")
    for name, patience in (("early", 3), ("late", 6), ("whole", "null")):
        assert here(folder, *WORDS, f"patience={patience}", f"hydra.run.dir={name}").code == 0
    return folder


def test_a_run_stops_when_its_patience_ends_and_not_before(folder):
    whole = [epoch["valid/total"] for epoch in history(folder / "whole")]
    assert len(whole) == 40
    for name, patience in (("early", 3), ("late", 6)):
        found = history(folder / name)
        assert found == history(folder / "whole")[: len(found)]
        assert [patience_left(whole[:n]) >= patience for n in range(1, len(found) + 1)] == [False] * (
            len(found) - 1
        ) + [True]
        record = read(folder / name / "run.json")
        assert record["status"] == "finished"
        assert str(len(found)) in record["stopped_early"]
        assert read(folder / name / "metrics.json")["valid/total"] == found[-1]["valid/total"]
    assert len(history(folder / "early")) < len(history(folder / "late")) < 40
    assert "stopped_early" not in read(folder / "whole" / "run.json")


@pytest.mark.parametrize("left", [1, 2, 4])
def test_an_interrupted_run_stops_at_the_same_epoch_with_the_same_bits(folder, tmp_path, monkeypatch, left):
    last = len(history(folder / "early"))

    def cut(*args, should_pause, **named):
        def stop(step):
            if step >= 2 * (last - left) + 1:  # within an epoch
                raise KeyboardInterrupt
            return should_pause(step)

        return fit(*args, should_pause=stop, **named)

    monkeypatch.setattr("satae.experiment.experiment.fit", cut)
    assert here(tmp_path, *WORDS, "patience=3", "hydra.run.dir=early").code == 130
    monkeypatch.undo()
    assert here(tmp_path, "resume=early").code == 0
    assert_same(tmp_path / "early", folder / "early")


def test_a_run_killed_between_its_last_checkpoint_and_its_end_stops_without_another_step(folder, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("satae.plots.pictures.save", lambda *_: 1 / 0)
        assert here(tmp_path, *WORDS, "patience=3", "hydra.run.dir=early").code == 1
    assert here(tmp_path, "resume=early").code == 0
    assert_same(tmp_path / "early", folder / "early")
    assert read(tmp_path / "early" / "run.json")["stopped_early"]


def test_a_greater_patience_continues_to_the_same_bits(folder, tmp_path):
    assert here(tmp_path, *WORDS, "patience=3", "hydra.run.dir=late").code == 0
    outcome = here(tmp_path, "resume=late")
    assert "already finished, after" in outcome.out
    assert here(tmp_path, "resume=late", "patience=6").code == 0
    assert_same(tmp_path / "late", folder / "late")
    assert here(tmp_path, "resume=late", "patience=null").code == 0
    assert history(tmp_path / "late") == history(folder / "whole")
    assert "stopped_early" not in read(tmp_path / "late" / "run.json")


def test_more_epochs_give_a_stopped_run_its_whole_patience_again(folder, tmp_path):
    assert here(tmp_path, *WORDS, "patience=3", "hydra.run.dir=early").code == 0
    before = len(history(tmp_path / "early"))
    assert here(tmp_path, "resume=early", "epochs=41").code == 0
    assert len(history(tmp_path / "early")) >= before + 3


@pytest.mark.parametrize(("lr", "alpha", "epochs"), [(0.001, 5, 20), (0.03, 500, 13)])
def test_epochs_of_the_ramp_are_not_counted(tmp_path, lr, alpha, epochs):
    """In the first case the loss rises throughout the ramp and falls after it; in the second it rises in both."""
    words = [*WORDS, "alpha_schedule=linear", "epochs=20", "patience=2", "hydra.run.dir=ramp"]
    assert here(tmp_path, *words, f"optim.lr={lr}", f"alpha={alpha}").code == 0
    found = history(tmp_path / "ramp")
    full = [epoch["valid/total"] for epoch in found if epoch["alpha"] == alpha]
    ramp = [epoch["valid/total"] for epoch in found if epoch["alpha"] < alpha]
    assert (len(ramp), len(found)) == (10, epochs)
    assert patience_left(ramp) >= 1
    assert patience_left(full) == (0 if epochs == 20 else 2)


def test_a_checkpoint_of_an_earlier_version_resumes_without_its_count(folder, tmp_path):
    assert here(tmp_path, *WORDS, "patience=3", "epochs=5", "hydra.run.dir=run").code == 0
    for _, path in list_checkpoints(tmp_path / "run"):
        state = checkpoint.load(path)
        del state.facts["waited"]
        del state.facts["config"]["patience"]
        checkpoint.save(path, state)
    saved = tmp_path / "run" / "config.yaml"
    saved.write_text("".join(line for line in saved.read_text().splitlines(True) if "patience" not in line))
    assert here(tmp_path, "resume=run", "epochs=6").code == 0
    assert len(history(tmp_path / "run")) == 6


@pytest.mark.parametrize("count", [-1, 1.5, "3", True])
def test_a_count_that_is_no_number_of_epochs_is_refused_in_one_line(folder, tmp_path, count):
    shutil.copytree(folder / "early", tmp_path / "early")
    _, path = list_checkpoints(tmp_path / "early")[0]
    checkpoint.save(path, checkpoint.load(path).with_facts(waited=count))
    outcome = here(tmp_path, "resume=early", "patience=6")
    assert outcome.code == 2
    assert f"early: cannot resume (the epochs since its best loss are {count}); start over with" in outcome.err
    assert outcome.err.count("\n") == 1


def test_a_sweep_counts_runs_that_stopped_early_as_finished_and_does_not_train_them_again(tmp_path):
    words = ["-m", *WORDS, "patience=3", "sweep=s", "seed=0,1"]
    outcome = here(tmp_path, *words)
    assert outcome.code == 0
    assert "2 of 2 finished runs stopped early" in outcome.out
    before = {path: path.read_bytes() for path in (tmp_path / "outputs" / "s").glob("*/run.json")}
    again = here(tmp_path, *words)
    assert again.code == 0
    assert "2 done already (skipped)" in again.out
    assert len(before) == 2
    assert before == {path: path.read_bytes() for path in before}
    page = (tmp_path / "outputs" / "s" / "report" / "index.html").read_text()
    assert "2 stopped early" in page
