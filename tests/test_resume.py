"""An interrupted run resumes as if nothing had happened: through the command line, as users do it."""

import errno
import itertools
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy
import pytest
import torch
from program import PROGRAM, TINY, files, here, read, replaced, runs, there
from safetensors.torch import save_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import satae
from satae.experiment import build
from satae.experiment.experiment import Experiment
from satae.model import products
from satae.training import checkpoint
from satae.training.checkpoint import best_path, latest_checkpoint, list_checkpoints
from satae.training.loop import fit

WORDS = replaced([*TINY, "epochs=6", "alpha=0.2", "act=tanh", "hydra.run.dir=run", "checkpoint.every_steps=1"])
TIMED = ("wall_s", "samples_per_s")
KINDS = {
    "mlp": (),
    "tied": ("arch.tied=true", "noise=masking"),
    "conv": ("arch=conv", "arch.channels=[3]", "arch.code=4", "arch.batch_norm=true", "noise=adversarial"),
}


def untimed(metrics):
    return {key: value for key, value in metrics.items() if key not in TIMED}


def words_of(kind):
    return [*(word for word in WORDS if kind != "conv" or "widths" not in word), *KINDS[kind]]


@pytest.fixture(scope="module", params=KINDS)
def whole(request, tmp_path_factory):
    """The words of a run, and the directory of one that nobody disturbed."""
    folder = tmp_path_factory.mktemp(request.param)
    words = words_of(request.param)
    assert here(folder, *words).code == 0
    return words, folder / "run"


def stop_after(monkeypatch, steps, error=KeyboardInterrupt):
    """Interrupt the next training after so many steps, as a signal or a fault would."""

    def cut(*args, should_pause, **named):
        def stop(step):
            if step >= steps:
                raise error
            return should_pause(step)

        return fit(*args, should_pause=stop, **named)

    monkeypatch.setattr("satae.experiment.experiment.fit", cut)


def check_same(run, whole):
    assert untimed(read(run / "metrics.json")) == untimed(read(whole / "metrics.json"))
    ours, theirs = (
        [untimed(json.loads(line)) for line in (place / "metrics.jsonl").read_text().splitlines()]
        for place in (run, whole)
    )
    assert ours == theirs
    states = [latest_checkpoint(place) for place in (run, whole)]
    assert states[0].facts == states[1].facts
    assert all(torch.equal(x, states[1].tensors[name]) for name, x in states[0].tensors.items())
    best = [satae.load(place, best=True).state_dict() for place in (run, whole)]
    assert all(torch.equal(x, best[1][name]) for name, x in best[0].items())
    assert read(run / "run.json")["status"] == "finished"


@pytest.mark.parametrize("steps", [1, 3, 9, 11])
def test_an_interrupted_run_resumes_to_the_same_end(whole, tmp_path, monkeypatch, steps):
    words, undisturbed = whole
    stop_after(monkeypatch, steps)
    assert here(tmp_path, *words).code == 130
    assert read(tmp_path / "run" / "run.json")["status"] == "interrupted"
    monkeypatch.undo()
    outcome = here(tmp_path, "resume=run")
    assert (outcome.code, outcome.err) == (0, "")
    assert "resuming from step" in outcome.out or (steps == 1 and "from the start: no checkpoint" in outcome.out)
    check_same(tmp_path / "run", undisturbed)


def test_a_run_interrupted_many_times_resumes_to_the_same_end(whole, tmp_path, monkeypatch):
    words, undisturbed = whole
    for steps in (2, 4, 7, 8, 11):
        stop_after(monkeypatch, steps)
        assert here(tmp_path, *(["resume=run"] if steps > 2 else words)).code == 130
        monkeypatch.undo()
    assert here(tmp_path, "resume=run").code == 0
    check_same(tmp_path / "run", undisturbed)
    assert len(read(tmp_path / "run" / "run.json")["resumed"]) == 5


def test_tensorboard_shows_each_epoch_once(whole, tmp_path, monkeypatch):
    words, undisturbed = whole
    stop_after(monkeypatch, 9)
    here(tmp_path, *words, "checkpoint.every_steps=5")  # epochs 3 and 4 are logged, but the checkpoint is of step 5
    monkeypatch.undo()
    assert here(tmp_path, "resume=run").code == 0
    for tag in ("valid/fvu", "train/total", "alpha"):
        found = [
            [(event.step, event.value) for event in EventAccumulator(str(run)).Reload().Scalars(tag)]
            for run in (tmp_path / "run", undisturbed)
        ]
        assert found[0] == found[1]
        assert [step for step, _ in found[0]] == [1, 2, 3, 4, 5, 6]


def test_everything_logged_before_a_checkpoint_is_on_the_disk(tmp_path, monkeypatch):
    """Where the program is killed right after it, TensorBoard and the history have every epoch that is done."""
    real, seen = checkpoint.save, []

    def save(path, state):
        if path != best_path(tmp_path / "run"):
            shutil.rmtree(tmp_path / "killed", ignore_errors=True)
            shutil.copytree(tmp_path / "run", tmp_path / "killed")
            shown = EventAccumulator(str(tmp_path / "killed")).Reload()
            steps = [event.step for event in shown.Scalars("alpha")] if shown.Tags()["scalars"] else []
            lines = (tmp_path / "killed" / "metrics.jsonl").read_text().splitlines()
            seen.append((state.step, steps, len(lines)))
        real(path, state)

    monkeypatch.setattr(checkpoint, "save", save)
    assert here(tmp_path, *WORDS, "checkpoint.every_steps=3").code == 0
    assert seen == [(step, [*range(1, step // 2 + 1)], step // 2) for step in (3, 6, 9, 12)]


def test_a_damaged_newest_checkpoint_is_replaced_by_the_one_before_with_a_warning(whole, tmp_path, monkeypatch):
    words, undisturbed = whole
    stop_after(monkeypatch, 9)
    here(tmp_path, *words)
    monkeypatch.undo()
    (_, newest), (_, before) = list_checkpoints(tmp_path / "run")
    newest.write_bytes(newest.read_bytes()[:-3])
    outcome = here(tmp_path, "resume=run")
    assert outcome.code == 0
    (line,) = outcome.err.splitlines()
    assert line.endswith(f"using {before.name}")
    check_same(tmp_path / "run", undisturbed)


@pytest.mark.parametrize("put", [shutil.copy, lambda newest, wrong: wrong.mkdir()], ids=["a copy", "a folder"])
def test_what_is_named_like_a_newer_checkpoint_does_not_keep_a_run_from_resuming(interrupted, put):
    (_, newest), *_ = list_checkpoints(interrupted / "run")
    put(newest, newest.with_name("step-999999999.safetensors"))
    outcome = here(interrupted, "resume=run")
    assert outcome.code == 0
    (line,) = outcome.err.splitlines()
    assert "step-999999999.safetensors: " in line
    assert line.endswith(f"using {newest.name}")
    assert read(interrupted / "run" / "run.json")["status"] == "finished"


def test_a_checkpoint_of_a_newer_format_is_refused_by_name_and_kept(interrupted):
    (_, newest), *_ = list_checkpoints(interrupted / "run")
    save_file({"a": torch.zeros(2)}, newest, {"format": str(checkpoint.FORMAT + 1)})
    before = newest.read_bytes()
    outcome = here(interrupted, "resume=run")
    assert outcome.code == 2
    assert "a checkpoint of format 3; this version of satae reads format 2" in outcome.err
    assert newest.read_bytes() == before


def test_a_checkpoint_without_read_permission_is_refused_and_kept(interrupted, monkeypatch):
    (_, newest), *_ = list_checkpoints(interrupted / "run")
    before, real = newest.read_bytes(), Path.open

    def opened(path, *words, **named):
        if path == newest:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return real(path, *words, **named)

    monkeypatch.setattr(Path, "open", opened)
    outcome = here(interrupted, "resume=run")
    monkeypatch.undo()
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err == f"satae-train: {newest}: cannot be read (Permission denied); check it\n"
    assert newest.read_bytes() == before
    assert here(interrupted, "resume=run").code == 0


def test_a_run_without_a_checkpoint_resumes_from_the_start(whole, tmp_path, monkeypatch):
    words, undisturbed = whole
    stop_after(monkeypatch, 3)
    here(tmp_path, *words, "checkpoint.every_steps=null")
    monkeypatch.undo()
    assert not (tmp_path / "run" / "checkpoints").exists()
    assert here(tmp_path, "resume=run", "checkpoint.every_steps=1").code == 0
    check_same(tmp_path / "run", undisturbed)


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), MemoryError(), RuntimeError("odd")])
def test_a_failed_run_resumes_to_the_same_end(whole, tmp_path, monkeypatch, error):
    words, undisturbed = whole
    stop_after(monkeypatch, 5, error)
    outcome = here(tmp_path, *words)
    assert outcome.code == 1
    assert len(outcome.err.splitlines()) == 1
    assert "resume with: satae-train resume=run" in outcome.err
    monkeypatch.undo()
    assert here(tmp_path, "resume=run").code == 0
    check_same(tmp_path / "run", undisturbed)


# the best weights


@pytest.fixture
def worse_and_worse(monkeypatch):
    """Have each epoch be worse than the one before."""
    real, losses = Experiment.measure, itertools.count(1.0)
    monkeypatch.setattr(Experiment, "measure", lambda *given: {**real(*given), "valid/total": next(losses)})


def best_step(run):
    return checkpoint.load(best_path(run)).facts["step"]


@pytest.fixture
def best_of_four(tmp_path, worse_and_worse):
    """A folder with a run that was interrupted after epoch 4, when alpha had risen; all later epochs are worse."""
    with pytest.MonkeyPatch.context() as patch:
        stop_after(patch, 9)
        assert here(tmp_path, *WORDS).code == 130
    assert best_step(tmp_path / "run") == 8
    return tmp_path


def test_the_best_weights_stay_the_best_after_a_resume(best_of_four):
    outcome = here(best_of_four, "resume=run")
    assert outcome.code == 0
    assert "lost" not in outcome.out
    assert best_step(best_of_four / "run") == 8


@pytest.mark.parametrize("harm", ["junk", "missing", "of another model"])
def test_lost_best_weights_are_reported_and_replaced_by_the_next_epoch(best_of_four, harm):
    best = best_path(best_of_four / "run")
    if harm == "junk":
        best.write_bytes(b"junk")
    elif harm == "missing":
        best.unlink()
    else:
        checkpoint.save(best, checkpoint.State({}, {"model/other": torch.zeros(3)}))
    outcome = here(best_of_four, "resume=run")
    assert outcome.code == 0
    (line,) = (line for line in outcome.out.splitlines() if "lost" in line)
    assert line.startswith("warning: ")
    assert line.endswith("; the best weights are lost; the next epoch with the full alpha becomes the best")
    assert best_step(best_of_four / "run") == 10


# what is asked of it


@pytest.fixture(scope="module")
def interrupted_once(tmp_path_factory):
    folder = tmp_path_factory.mktemp("interrupted")
    with pytest.MonkeyPatch.context() as patch:
        stop_after(patch, 5)
        assert here(folder, *WORDS).code == 130
    return folder


@pytest.fixture
def interrupted(interrupted_once, tmp_path):
    """A folder with a run that was interrupted after five steps of twelve."""
    shutil.copytree(interrupted_once, tmp_path, dirs_exist_ok=True)
    return tmp_path


def test_a_finished_run_is_already_finished(whole, tmp_path):
    shutil.copytree(whole[1], tmp_path / "run")
    before = {name: (tmp_path / "run" / name).stat().st_mtime_ns for name in ("run.json", "metrics.jsonl")}
    outcome = here(tmp_path, f"resume={tmp_path / 'run'}")
    assert (outcome.code, outcome.err) == (0, "")
    message = "run: already finished, after 6 epochs; to train further, give more (epochs=...)\n"
    assert outcome.out == message
    assert before == {name: (tmp_path / "run" / name).stat().st_mtime_ns for name in before}


def test_a_finished_run_without_its_checkpoints_is_not_trained_again(whole, tmp_path):
    shutil.copytree(whole[1], tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "checkpoints")
    before = (tmp_path / "run" / "metrics.jsonl").read_text()
    outcome = here(tmp_path, "resume=run", "epochs=9")
    assert outcome.code == 2
    assert "is finished, but its checkpoints are gone; start over with rerun=" in outcome.err
    assert (tmp_path / "run" / "metrics.jsonl").read_text() == before


@pytest.mark.parametrize("harm", ["missing", "torn", "a line less", "a folder"])
@pytest.mark.parametrize("end", ["interrupted", "finished"])
def test_a_run_without_the_metrics_of_its_epochs_is_refused_and_unchanged(interrupted, harm, end):
    run, log = interrupted / "run", interrupted / "run" / "metrics.jsonl"
    if end == "finished":
        assert here(interrupted, "resume=run").code == 0
    lines = log.read_text().splitlines(keepends=True)
    log.unlink()
    if harm == "a folder":
        log.mkdir()
    elif harm != "missing":
        log.write_text("".join(["{\n", *lines[1:]] if harm == "torn" else lines[1:]))
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    outcome = here(interrupted, "resume=run", "epochs=9")
    assert outcome.code == 2
    refusal = outcome.err.splitlines()[-1]
    assert "metrics.jsonl: " in refusal
    assert refusal.endswith("; start over with rerun=run")
    assert before == {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}


def test_a_link_in_a_run_directory_is_not_followed(interrupted):
    (interrupted / "victim").write_text("precious")
    (interrupted / "run" / "satae-train.log").unlink()
    (interrupted / "run" / "satae-train.log").symlink_to(interrupted / "victim")
    outcome = here(interrupted, "resume=run")
    assert outcome.code == 2
    assert "satae-train.log: is a link" in outcome.err
    assert (interrupted / "victim").read_text() == "precious"


@pytest.mark.parametrize("word", ["resume=run", "-m hydra.sweep.dir=."])  # the only run of the sweep is called run
@pytest.mark.parametrize("name", ["metrics.jsonl", "satae-train.log", ".lock", "checkpoints/best.safetensors", "more"])
def test_a_pipe_in_a_run_directory_is_refused(interrupted, name, word):
    (interrupted / "run" / name).unlink(missing_ok=True)
    os.mkfifo(interrupted / "run" / name)
    words = word.split() if "-m" not in word else [*word.split(), *(w for w in WORDS if "run.dir" not in w)]
    before = (interrupted / "run" / "run.json").read_text()
    outcome = here(interrupted, *words)
    assert (outcome.code, len(outcome.err.splitlines())) == (2, 1)
    assert f"{name}: is neither a file nor a folder" in outcome.err
    assert (interrupted / "run" / "run.json").read_text() == before


@pytest.mark.parametrize("name", ["run.json", "config.yaml"])
@pytest.mark.parametrize("word", ["resume=run", "rerun=run hydra.run.dir=again", "-m hydra.sweep.dir=."])
def test_a_pipe_instead_of_a_file_is_not_waited_for(interrupted, name, word):
    (interrupted / "run" / name).unlink()
    os.mkfifo(interrupted / "run" / name)
    outcome = here(interrupted, *word.split(), "epochs=1")
    assert outcome.code in ((0, 2) if "resume" not in word else (2,))
    assert "Traceback" not in outcome.err


def test_a_run_with_an_old_checkpoint_is_refused_by_name_and_can_be_rerun(interrupted):
    config = interrupted / "run" / "config.yaml"
    config.write_text(config.read_text().partition("checkpoint:")[0])
    (interrupted / "run" / "checkpoint.pt").touch()
    outcome = here(interrupted, "resume=run")
    assert outcome.code == 2
    assert "has a checkpoint of format 1" in outcome.err
    assert here(interrupted, "rerun=run", "epochs=1", "hydra.run.dir=again").code == 0


def test_a_resumed_run_keeps_its_number_of_threads(tmp_path, monkeypatch):
    stop_after(monkeypatch, 3)
    words = [*(word for word in WORDS if not word.startswith("threads")), "epochs=2"]
    monkeypatch.setattr("satae.training.torch_settings.DEFAULT_THREADS", 2)
    assert here(tmp_path, *words).code == 130
    monkeypatch.undo()
    monkeypatch.setattr("satae.training.torch_settings.DEFAULT_THREADS", 1)
    assert here(tmp_path, "rerun=run", "hydra.run.dir=again").code == 0
    assert here(tmp_path, "resume=run").code == 0
    assert [read(tmp_path / name / "run.json")["threads"] for name in ("run", "again")] == [2, 2]


@pytest.mark.skipif(not products.has_onednn(), reason="this torch has no oneDNN")
def test_a_resumed_run_keeps_its_library_of_products_on_another_processor(tmp_path, monkeypatch):
    monkeypatch.setattr(products, "library_for_processor", lambda: products.ONEDNN)
    undisturbed = tmp_path / "undisturbed"
    undisturbed.mkdir()
    assert here(undisturbed, *WORDS).code == 0
    stop_after(monkeypatch, 5)
    assert here(tmp_path, *WORDS).code == 130
    monkeypatch.undo()
    monkeypatch.setattr(products, "library_for_processor", lambda: products.TORCH)
    assert here(tmp_path, "resume=run").code == 0
    check_same(tmp_path / "run", undisturbed / "run")
    assert read(tmp_path / "run" / "run.json")["products"] == products.ONEDNN


def test_a_run_of_an_earlier_version_keeps_the_library_that_it_began_with(interrupted, monkeypatch):
    for _, path in list_checkpoints(interrupted / "run"):
        state = checkpoint.load(path)
        state.facts.pop("products")
        checkpoint.save(path, state)
    monkeypatch.setattr(products, "library_for_processor", lambda: products.ONEDNN)
    assert here(interrupted, "resume=run").code == 0
    assert read(interrupted / "run" / "run.json")["products"] == products.TORCH


def test_a_jump_of_alpha_is_a_warning(interrupted):
    outcome = here(interrupted, "resume=run", "epochs=20")
    assert "warning: alpha goes from 0.133 to 0.04 here: it rises over half of 20 epochs now, not of 6" in outcome.out


def test_fewer_epochs_end_a_resumed_run_earlier(whole, tmp_path, monkeypatch):
    words, _ = whole
    stop_after(monkeypatch, 7)
    here(tmp_path, *words)
    monkeypatch.undo()
    assert here(tmp_path, "resume=run", "epochs=3").code == 0
    metrics = read(tmp_path / "run" / "metrics.json")
    assert "valid/code_sensitivity" in metrics
    assert latest_checkpoint(tmp_path / "run").facts["step"] == 6


def test_the_best_weights_are_of_an_epoch_with_all_of_alpha(whole):
    assert checkpoint.load(best_path(whole[1])).facts["step"] > 6


def test_older_event_files_sort_first_even_if_the_clock_was_set_back(interrupted):
    (events,) = (interrupted / "run").glob("events*")
    events.rename(events.with_name(events.name.replace(events.name.split(".")[3], "9999999999")))
    assert here(interrupted, "resume=run").code == 0
    shown = EventAccumulator(str(interrupted / "run")).Reload().Scalars("valid/fvu")
    assert [event.step for event in shown] == [1, 2, 3, 4, 5, 6]


def test_a_log_that_cannot_be_written_shows_no_traceback(tmp_path, monkeypatch):
    if not Path("/dev/full").exists():
        pytest.skip("the system has no /dev/full")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "satae-train.log").symlink_to("/dev/full")
    outcome = there(tmp_path, *WORDS)
    assert "Traceback" not in outcome.err


def test_execution_options_and_epochs_may_change_on_resume(interrupted):
    outcome = here(interrupted, "resume=run", "epochs=8", "threads=2", "checkpoint.keep=1", "device=cpu")
    assert (outcome.code, outcome.err) == (0, "")
    assert len((interrupted / "run" / "metrics.jsonl").read_text().splitlines()) == 8
    assert len(list_checkpoints(interrupted / "run")) == 1
    record = read(interrupted / "run" / "run.json")
    assert record["resumed"][0]["command"].startswith("satae-train resume=run epochs=8")
    assert record["resumed"][0]["before"] == {"threads": 1, "device": "cpu"}
    assert (record["threads"], record["device"]) == (2, "cpu")
    assert here(interrupted, "resume=run").out.startswith("run: already finished, after 8 epochs")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("alpha=0.5", "alpha=0.5: cannot be changed in a run that started with alpha=0.2; these can: epochs, patience"),
        ("act=relu", "act=relu: cannot be changed in a run that started with act=tanh"),
        ("seed=3", "seed=3: cannot be changed"),
        ("arch.widths=[3]", "arch.widths=[3]: cannot be changed in a run that started with arch.widths=[16,4]"),
        (
            "batch_size=7 noise=masking",
            "noise=masking batch_size=7: cannot be changed in a run that started with noise=gaussian batch_size=32;",
        ),
        ("data=manifold", "data=manifold: cannot be changed in a run that started with data=digits;"),
        ("precision=bf16", "precision=bf16: cannot be changed"),
        ("epochs=1", "epochs=1: this run has started 2 epochs; give epochs=2 or more"),
        ("experiment=paper/toy_satlin", "experiment=paper/toy_satlin: resume=run has a whole configuration of its own"),
        ("aplha=1", "aplha: no such option; did you mean alpha?"),
        ("hydra.run.dir=other", "hydra.run.dir=other: resume=run resumes in the run's own directory; leave it out"),
        ("-m seed=0,1", "resume=run: resumes one run; leave out -m"),
        ("resume=run", "resume=run resume=run: name one run"),
    ],
)
def test_another_configuration_is_not_resumed(interrupted, words, message):
    before = files(interrupted)
    outcome = here(interrupted, "resume=run", *words.split())
    assert outcome.code == 2
    assert outcome.err.startswith("satae-train: ")
    assert message in outcome.err
    assert len(outcome.err.splitlines()) == 1
    assert files(interrupted) == before


@pytest.mark.parametrize(
    ("was", "now", "message"),
    [
        (
            "alpha: 0.2",
            "alpha: 0.5",
            "alpha=0.5: cannot be changed in a run that started with alpha=0.2; these can: epochs",
        ),
        ("name: tanh", "name: relu", "act=relu: cannot be changed in a run that started with act=tanh"),
        ("lr: 0.001", "lr: 0.1", "optim.lr=0.1: cannot be changed"),
    ],
)
@pytest.mark.parametrize("end", [(), ("epochs=2",)], ids=["interrupted", "finished"])
def test_a_run_with_a_changed_configuration_file_is_not_resumed(interrupted, was, now, message, end):
    assert not end or here(interrupted, "resume=run", *end).code == 0
    config = interrupted / "run" / "config.yaml"
    assert config.read_text().count(was) == 1
    config.write_text(config.read_text().replace(was, now))
    before = {name: (interrupted / name).read_bytes() for name in files(interrupted) if (interrupted / name).is_file()}
    outcome = here(interrupted, "resume=run")
    assert (outcome.code, outcome.out) == (2, "")
    assert message in outcome.err
    assert len(outcome.err.splitlines()) == 1
    after = {name: (interrupted / name).read_bytes() for name in files(interrupted) if (interrupted / name).is_file()}
    assert after == before


def test_changeable_options_may_change_in_the_configuration_file(interrupted):
    config = interrupted / "run" / "config.yaml"
    config.write_text(config.read_text().replace("epochs: 6", "epochs: 7").replace("keep: 2", "keep: 1"))
    assert here(interrupted, "resume=run").code == 0
    assert len((interrupted / "run" / "metrics.jsonl").read_text().splitlines()) == 7


def test_moved_data_are_found_by_the_changed_configuration_file(own_data):
    (own_data / "x.npy").rename(own_data / "y.npy")
    config = own_data / "run" / "config.yaml"
    config.write_text(config.read_text().replace("x.npy", "y.npy"))
    outcome = here(own_data, "resume=run")
    assert (outcome.code, outcome.err) == (0, "")


@pytest.mark.parametrize("typed", ["", "nowhere", "/", "."])
def test_a_place_without_a_run_is_refused(tmp_path, typed):
    outcome = here(tmp_path, f"resume={typed}")
    assert outcome.code == 2
    assert outcome.err.startswith(f"satae-train: resume={typed}: ")
    assert "name a run directory" in outcome.err
    assert files(tmp_path) == []


@pytest.mark.parametrize("word", ["resume=run", "rerun=run"])
@pytest.mark.parametrize("mark", ["+", "++", "~"])
def test_a_mark_of_hydra_before_resume_is_refused(interrupted, word, mark):
    outcome = here(interrupted, f"{mark}{word}")
    assert (outcome.code, outcome.err) == (2, f"satae-train: {mark}{word}: leave out the {mark}\n")


@pytest.fixture
def own_data(tmp_path, monkeypatch):
    """An interrupted run on an array that was named from its own folder."""
    (tmp_path / "there").mkdir()
    numpy.save(tmp_path / "there" / "x.npy", numpy.random.default_rng(0).random((100, 6), dtype="float32"))
    stop_after(monkeypatch, 3)
    words = [*(word for word in WORDS if "limit" not in word), "data=array", "data.path=x.npy"]
    assert here(tmp_path / "there", *words).code == 130
    monkeypatch.undo()
    return tmp_path / "there"


def test_data_are_found_from_any_folder(own_data, tmp_path):
    outcome = here(tmp_path, "resume=there/run")
    assert (outcome.code, outcome.err) == (0, "")
    assert here(tmp_path, "rerun=there/run", "hydra.run.dir=again").code == 0
    assert untimed(read(tmp_path / "again" / "metrics.json")) == untimed(read(own_data / "run" / "metrics.json"))


def test_other_data_are_refused(own_data):
    numpy.save(own_data / "x.npy", numpy.random.default_rng(2).random((100, 6), dtype="float32"))
    before = (own_data / "run" / "run.json").read_text()
    outcome = here(own_data, "resume=run")
    assert outcome.code == 2
    assert "cannot resume (the numbers in the data have changed); start over with rerun=" in outcome.err
    assert (own_data / "run" / "run.json").read_text() == before


def test_data_with_one_changed_number_are_refused(tmp_path, monkeypatch):
    x = numpy.random.default_rng(0).random((4000, 3), dtype="float32")
    numpy.save(tmp_path / "many.npy", x)
    stop_after(monkeypatch, 3)
    words = [*(word for word in WORDS if "limit" not in word), "data=array", "data.path=many.npy"]
    assert here(tmp_path, *words).code == 130
    monkeypatch.undo()
    x[1234, 1] += 0.1
    numpy.save(tmp_path / "many.npy", x)
    build.load_data.cache_clear()  # as in a new process
    outcome = here(tmp_path, "resume=run")
    assert outcome.code == 2
    assert "cannot resume (the numbers in the data have changed); start over with rerun=" in outcome.err


def test_a_checkpoint_with_an_old_data_fingerprint_is_refused(interrupted):
    (_, newest), *_ = list_checkpoints(interrupted / "run")
    state = checkpoint.load(newest)
    checkpoint.save(newest, state._replace(facts=state.facts | {"data": "0" * 64}))
    outcome = here(interrupted, "resume=run")
    assert outcome.code == 2
    assert "cannot resume (an earlier version wrote it, which looked at only a few of the data);" in outcome.err
    assert outcome.err.endswith(f"; start over with rerun={interrupted / 'run'}\n")


def change(tensors, name, x):
    assert name in tensors
    tensors[name] = x


MALFORMED = {
    "no moments": lambda facts, tensors: [tensors.pop(name) for name in [*tensors] if "exp_avg" in name],
    "a step of full shape": lambda facts, tensors: change(tensors, "optimiser/0/step", torch.ones(16, 64)),
    "no configuration": lambda facts, tensors: facts.update(config={}),
    "a list for a configuration": lambda facts, tensors: facts.update(config=[1]),
    "no epochs": lambda facts, tensors: facts["config"].update(epochs=0),
    "epochs in words": lambda facts, tensors: facts["config"].update(epochs="six"),
    "a bad generator of noise": lambda facts, tensors: change(tensors, "generator/noise", torch.zeros(5056).byte()),
    "a short generator": lambda facts, tensors: change(tensors, "generator/noise", torch.zeros(5).byte()),
    "a bad generator of the order": lambda facts, tensors: change(tensors, "generator/order", torch.zeros(5056).byte()),
    "no generator of the order": lambda facts, tensors: tensors.pop("generator/order"),
    "a mean without a shape": lambda facts, tensors: change(tensors, "model/mean", torch.tensor(0.5)),
    "a deviation without a shape": lambda facts, tensors: change(tensors, "model/std", torch.tensor(0.5)),
    "a best loss in words": lambda facts, tensors: facts.update(best="none"),
    "no device": lambda facts, tensors: facts.pop("device"),
    "an unknown library of products": lambda facts, tensors: facts.update(products="numpy"),
}


@pytest.mark.parametrize("change", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_checkpoint_is_refused_before_anything_is_written(interrupted, change):
    (_, newest), *_ = list_checkpoints(interrupted / "run")
    state = checkpoint.load(newest)
    change(state.facts, state.tensors)
    checkpoint.save(newest, state)
    before = {name: (interrupted / name).read_bytes() for name in files(interrupted) if (interrupted / name).is_file()}
    outcome = here(interrupted, "resume=run")
    assert (outcome.code, outcome.out) == (2, "")
    assert len(outcome.err.splitlines()) == 1
    assert outcome.err.startswith(f"satae-train: {interrupted / 'run'}: ")
    assert before == {
        name: (interrupted / name).read_bytes() for name in files(interrupted) if (interrupted / name).is_file()
    }


def test_two_processes_do_not_write_one_run(interrupted):
    words = ["resume=run", "epochs=100000"]
    with subprocess.Popen(
        [PROGRAM, *words], cwd=interrupted, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as first:
        while read(interrupted / "run" / "run.json")["status"] != "running" and first.poll() is None:
            time.sleep(0.05)
        outcome = here(interrupted, *words)
        first.terminate()
        first.wait(30)
    message = f"satae-train: {interrupted / 'run'}: another process is at work here; wait for it, or end it\n"
    assert (outcome.code, outcome.err) == (2, message)
    assert first.returncode == 143
    assert len(read(interrupted / "run" / "run.json")["resumed"]) == 1


def test_two_runs_that_start_at_once_do_not_share_a_directory(tmp_path):
    command = [PROGRAM, *replaced([*WORDS, "epochs=100"])]  # long enough for the other to start meanwhile
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    programs = [subprocess.Popen(command, cwd=tmp_path, **quiet) for _ in range(2)]
    ends = [(program.communicate(timeout=120)[1], program.returncode) for program in programs]
    assert sorted(code for _, code in ends) == [0, 2]
    assert all(len(err.splitlines()) == (code == 2) for err, code in ends)
    assert len((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()) == 100


def test_the_lock_of_a_dead_process_is_free(tmp_path):
    with subprocess.Popen(
        [PROGRAM, *replaced([*WORDS, "epochs=100000"])], cwd=tmp_path, stdout=subprocess.DEVNULL
    ) as program:
        while not list(tmp_path.glob("run/checkpoints/step-*")) and program.poll() is None:
            time.sleep(0.05)
        program.kill()
    assert read(tmp_path / "run" / "run.json")["status"] == "running"
    reached = list_checkpoints(tmp_path / "run")[0][0]
    outcome = here(tmp_path, "resume=run", f"epochs={reached // 2 + 3}")
    assert (outcome.code, outcome.err) == (0, "")


# signals


ONE_OF_A_SWEEP = ("-m", "hydra.sweep.dir=.")  # which is called run


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (signal.SIGINT, ()),
        (signal.SIGTERM, ONE_OF_A_SWEEP),
        pytest.param(signal.SIGHUP, (), marks=pytest.mark.slow),
        pytest.param(signal.SIGUSR1, (), marks=pytest.mark.slow),
        pytest.param(signal.SIGTERM, (), marks=pytest.mark.slow),
        pytest.param(signal.SIGINT, ONE_OF_A_SWEEP, marks=pytest.mark.slow),
        pytest.param(signal.SIGUSR1, ONE_OF_A_SWEEP, marks=pytest.mark.slow),
    ],
)
def test_a_signal_leaves_a_checkpoint_and_its_exit_code(tmp_path, number, words):
    listen = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.default_int_handler)}
    usual = [*TINY, "epochs=100000", "hydra.run.dir=run", "checkpoint.every_minutes=null"]
    command = [PROGRAM, *replaced([*usual, *words])]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, **listen
    ) as program:
        while not list(tmp_path.rglob("metrics.jsonl")) and program.poll() is None:
            time.sleep(0.05)
        program.send_signal(number)
        _, err = program.communicate(timeout=60)
    assert program.returncode == 128 + number
    by = "" if number == signal.SIGINT else f" ({number.name})"
    assert err == f"satae-train: interrupted{by}" + ("\n" if words else "; resume with: satae-train resume=run\n")
    record = read(tmp_path / "run" / "run.json")
    assert (record["status"], record["exit_code"]) == ("interrupted", 128 + number)
    ((_, kept),) = list_checkpoints(tmp_path / "run")
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert checkpoint.load(kept).facts["step"] // 2 == len(lines)


def test_a_second_control_c_ends_the_program_at_once(tmp_path):
    slow = (
        "import sys, time, signal; from satae.experiment.experiment import Experiment\n"
        "real = Experiment.measure_rare\n"
        "slow = lambda experiment: (print('slow', flush=True), time.sleep(60)) and real(experiment)\n"
        "Experiment.measure_rare = slow\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from satae.train import main; sys.exit(main())"
    )
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", slow, *TINY], cwd=tmp_path, **pipes) as program:
        while "slow" not in program.stdout.readline():
            assert program.poll() is None
        program.send_signal(signal.SIGINT)
        time.sleep(0.7)
        assert program.poll() is None  # it would finish what it is at
        program.send_signal(signal.SIGINT)
        assert program.wait(10) == 130
        assert program.stderr.read() == "satae-train: ended at once; the last checkpoint is kept\n"


def test_a_rerun_gives_the_same_and_a_changed_rerun_something_else(whole, tmp_path):
    shutil.copytree(whole[1], tmp_path / "run")
    for name, words in (("same", ()), ("other", ("seed=1",))):
        assert here(tmp_path, "rerun=run", f"hydra.run.dir={name}", *words).code == 0
    assert untimed(read(tmp_path / "same" / "metrics.json")) == untimed(read(whole[1] / "metrics.json"))
    assert untimed(read(tmp_path / "other" / "metrics.json")) != untimed(read(whole[1] / "metrics.json"))
    assert here(tmp_path, "-m", "rerun=run", "seed=0,1", "epochs=1", "hydra.sweep.dir=sweep").code == 0
    assert len(list((tmp_path / "sweep").glob("*/metrics.json"))) == 2


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (" " * 2**24 + "{}", "cannot be read (it is too large)"),
        ("{", "cannot be read (it is incomplete, or not JSON)"),
        ("[]", "has no number of threads"),
    ],
    ids=["enormous", "torn", "other"],
)
def test_a_rerun_without_the_number_of_threads_is_told(interrupted, content, why):
    (interrupted / "run" / "run.json").write_text(content)
    config = interrupted / "run" / "config.yaml"
    config.write_text(config.read_text().replace("threads: 1", "threads: null"))
    outcome = here(interrupted, "rerun=run", "epochs=1", "hydra.run.dir=again")
    path = interrupted / "run" / "run.json"
    warning = f"warning: {path}: {why}; with another number of threads than the run had, sums differ\n"
    assert (outcome.code, outcome.err) == (0, warning)


def test_a_rerun_records_its_command_and_its_source(interrupted):
    words = ["rerun=run", "epochs=1", "hydra.run.dir=again"]
    assert here(interrupted, *words).code == 0
    record = read(interrupted / "again" / "run.json")
    assert record["command"] == shlex.join(["satae-train", *words])
    assert record["rerun_of"] == str(interrupted / "run")
    assert "act=tanh" in record["overrides"]
    assert "rerun_of" not in read(interrupted / "run" / "run.json")


def test_a_sweep_of_reruns_records_its_commands_and_their_source(interrupted):
    words = ["-m", "rerun=run", "seed=0,1", "epochs=1", "hydra.sweep.dir=sweep"]
    assert here(interrupted, *words).code == 0
    for run in runs(interrupted / "sweep"):
        record = read(run / "run.json")
        assert (record["command"], record["rerun_of"]) == (
            shlex.join(["satae-train", *words]),
            str(interrupted / "run"),
        )
    notes = read(interrupted / "sweep" / "sweep.json")
    assert notes["commands"] == [shlex.join(["satae-train", *words])]
    assert "act=tanh" in notes["words"][0]
    assert not [word for word in notes["words"][0] if word.startswith("rerun")]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_run_directory_that_cannot_be_written_is_refused(interrupted):
    (interrupted / "run").chmod(0o500)
    outcome = here(interrupted, "resume=run")
    (interrupted / "run").chmod(0o700)
    assert outcome.code == 2
    assert "cannot write there" in outcome.err
