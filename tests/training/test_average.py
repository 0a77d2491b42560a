"""The moving average of the weights: its law, that it changes no other bit, and that a resumed run has the same one."""

import shutil

import pytest
import torch
from program import TINY, here, read, replaced, typed

import satae
from satae import evaluate, export
from satae.evaluation.baselines import load_baseline, train_baseline
from satae.evaluation.subject import Subject, TrainedRun
from satae.experiment.experiment import Experiment
from satae.runs.loading import read_state
from satae.training import checkpoint
from satae.training.checkpoint import latest_checkpoint, list_checkpoints
from satae.training.mlp_step import MlpStep

KINDS = {
    "mlp": ("arch.widths=[9,5]",),
    "tied": ("arch.widths=[9,5]", "arch.tied=true", "noise=adversarial"),
    "conv": ("arch=conv", "arch.channels=[3]", "arch.code=4", "arch.batch_norm=true"),
    "normalized": ("arch.widths=[9,5]", "decoder_norm=2"),
    "half": ("arch.widths=[9,5]", "precision=bf16"),
    "frozen": ("arch.widths=[9,5]", "freeze=encoder"),
}
SMALL = ("data.limit=60", "epochs=3", "batch_size=16", "alpha=0.3", "optim=muon")
WORDS = replaced([*TINY, "epochs=3", "checkpoint.every_epochs=1", "hydra.run.dir=run"])


@pytest.fixture(params=KINDS)
def words(request):
    return [*KINDS[request.param], *SMALL]


def weights(module):
    return [w.detach().clone() for w in module.parameters()]


def test_the_average_moves_by_its_share_towards_the_weights_after_each_step(configuration):
    experiment = Experiment.from_config(configuration(*KINDS["mlp"], *SMALL, "ema=0.9"))
    assert isinstance(experiment.gradient, MlpStep)
    expected = None
    for _ in experiment.fit(lambda step: True):
        now = [w.double() for w in weights(experiment.model)]
        expected = [0.9 * a + 0.1 * w for a, w in zip(expected, now, strict=True)] if expected else now
        for a, w in zip(weights(experiment.average.module), expected, strict=True):
            assert torch.allclose(a.double(), w, atol=1e-6)
    assert int(experiment.average.n_averaged) == experiment.step == 12
    assert any(not torch.equal(a, w) for a, w in zip(weights(experiment.average.module), now, strict=True))


def test_the_average_changes_no_bit_of_the_training(configuration, words):
    with_it, without = (Experiment.from_config(configuration(*words, f"ema={ema}")) for ema in ("0.99", "null"))
    for one, other in zip(with_it.fit(), without.fit(), strict=True):
        ours, theirs = with_it.measure(one), without.measure(other)
        assert {k: v for k, v in ours.items() if not k.startswith("ema/") and k != "samples_per_s"} == {
            k: v for k, v in theirs.items() if k != "samples_per_s"
        }
    ours, theirs = with_it.state(), without.state()
    assert {name for name in ours.tensors if not name.startswith("ema/")} == {*theirs.tensors}
    assert all(torch.equal(x, ours.tensors[name]) for name, x in theirs.tensors.items())


def test_a_training_resumed_within_an_epoch_has_the_same_average_to_the_last_bit(configuration, words):
    config = configuration(*words, "ema=0.9")
    whole, half = Experiment.from_config(config), Experiment.from_config(config)
    expected = [whole.measure(epoch) | {"samples_per_s": 0} for epoch in whole.fit()]
    next(moment for moment in half.fit(lambda step: step == 6) if moment is None)
    again = Experiment.from_state(config, half.state().copy_tensors())
    found = [again.measure(epoch) | {"samples_per_s": 0} for epoch in again.fit()]
    assert found == expected[1:]
    state = again.state()
    assert state.tensors.keys() == whole.state().tensors.keys()
    assert state.part("ema").keys() == state.part("model").keys()
    assert all(torch.equal(x, state.tensors[name]) for name, x in whole.state().tensors.items())


def test_with_a_decay_near_0_the_average_is_measured_as_the_weights_are(configuration, words):
    experiment = Experiment.from_config(configuration(*words, "ema=1e-12"))
    metrics = experiment.measure(next(experiment.fit()))
    averaged = {key: value for key, value in metrics.items() if key.startswith("ema/")}
    assert {key.replace("ema/", "valid/") for key in averaged} == {key for key in metrics if key.startswith("valid/")}
    for key, value in averaged.items():
        assert value == pytest.approx(metrics[key.replace("ema/", "valid/")], rel=1e-4, abs=1e-6), key


def test_a_state_without_its_average_or_with_another_one_is_refused(configuration):
    config = configuration(*KINDS["mlp"], *SMALL, "ema=0.9")
    experiment = Experiment.from_config(config)
    next(experiment.fit())
    state = experiment.state()
    without = state._replace(tensors={k: x for k, x in state.tensors.items() if not k.startswith("ema/")})
    for wrong, why in ((without, "ema/"), (state.with_part("ema", {"mean": torch.zeros(3)}), "ema/mean is float32")):
        with pytest.raises(ValueError, match=why):
            Experiment.from_config(config).restore(wrong)


# Through the command line


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("average")
    outcome = here(folder, *WORDS, "ema=0.9")
    assert outcome.code == 0
    assert "averaged" in outcome.out
    return folder


def test_the_averaged_weights_are_loaded_exported_and_evaluated(folder):
    run = folder / "run"
    newest, average = satae.load(run), satae.load(run, ema=True)
    state = latest_checkpoint(run)
    assert all(torch.equal(x, state.part("ema")[name]) for name, x in average.state_dict().items())
    assert all(torch.equal(x, state.part("model")[name]) for name, x in newest.state_dict().items())
    assert TrainedRun.read(run, False, True).fingerprint() != TrainedRun.read(run, False).fingerprint()
    assert read(run / "metrics.json")["ema/fvu"] != read(run / "metrics.json")["valid/fvu"]
    assert read_state(run, ema=True).tensors.keys() == {k for k in state.tensors if not k.startswith("ema/")}


def test_a_run_killed_within_its_training_ends_with_the_same_average(folder, tmp_path, monkeypatch):
    from satae.training.loop import fit

    def cut(*args, should_pause, **named):
        def stop(step):
            if step == 3:
                raise KeyboardInterrupt
            return should_pause(step)

        return fit(*args, should_pause=stop, **named)

    monkeypatch.setattr("satae.experiment.experiment.fit", cut)
    assert here(tmp_path, *WORDS, "ema=0.9").code == 130
    monkeypatch.undo()
    assert here(tmp_path, "resume=run").code == 0
    states = [latest_checkpoint(place / "run") for place in (tmp_path, folder)]
    assert states[0].tensors.keys() == states[1].tensors.keys()
    assert all(torch.equal(x, states[1].tensors[name]) for name, x in states[0].tensors.items())


def test_a_checkpoint_of_an_earlier_version_resumes_without_an_average(tmp_path):
    assert here(tmp_path, *WORDS).code == 0
    _, path = list_checkpoints(tmp_path / "run")[0]
    state = checkpoint.load(path)
    del state.facts["config"]["ema"]
    checkpoint.save(path, state)
    assert here(tmp_path, "resume=run", "epochs=4").code == 0
    with pytest.raises(ValueError, match="run: has no averaged weights"):
        satae.load(tmp_path / "run", ema=True)


def test_the_baseline_of_averaged_weights_is_averaged_too(tmp_path):
    words = [*replaced([*WORDS[:-1], "ema=0.9", "sweep=s", "alpha=0,0.1", "noise.level=0.3"]), "-m"]
    assert here(tmp_path, *words).code == 0
    sweep = tmp_path / "outputs" / "s"
    settings = evaluate.settings(["samples=3", "device=cpu", "ema=true"])
    subject = Subject.of(TrainedRun.read(sweep / "alpha=0.1", False, ema=True), settings)
    model, origin = load_baseline(subject)
    assert origin == "the run alpha=0 beside it, which has alpha=0"
    trained = train_baseline(subject.config, subject.data, subject.steps, torch.device("cpu"), ema=True)
    for found in (model, trained):
        expected = satae.load(sweep / "alpha=0", ema=True).state_dict()
        assert all(torch.equal(x, expected[name]) for name, x in found.state_dict().items())


def test_an_evaluation_says_that_it_is_of_the_averaged_weights_and_is_not_reused_for_others(folder, tmp_path):
    shutil.copytree(folder / "run", tmp_path / "run")
    words = (f"run={tmp_path / 'run'}", "evaluation=denoising", "samples=20")
    for more, kind in ((("ema=true",), "averaged weights"), ((), "weights")):
        outcome = typed(evaluate.main, "satae-eval", *words, *more)
        assert (outcome.code, outcome.err) == (0, "")
        assert f"  {kind} " in outcome.out
        assert "already measured" not in outcome.out
        stored = (tmp_path / "run" / "evaluation" / "denoising.json").read_text()
        assert ('"ema": true' in stored) == bool(more)


def test_an_exported_average_is_what_is_loaded(folder, tmp_path):
    out = tmp_path / "average.safetensors"
    words = (f"run={folder / 'run'}", "format=safetensors", "ema=true", f"out={out}")
    outcome = typed(export.main, "satae-export", *words)
    assert outcome.code == 0
    expected = satae.load(folder / "run", ema=True).state_dict()
    assert all(torch.equal(x, expected[name]) for name, x in satae.load(out).state_dict().items())
