"""A frozen part keeps its weights to the last bit; the other part trains as by automatic differentiation."""

import pytest
import torch
from program import TINY, here, read
from test_resume import check_same, stop_after

from satae.experiment.before_training import startup_warnings
from satae.experiment.experiment import Experiment
from satae.runs.loading import read_start, read_state
from satae.training.gradients import batch_losses, by_autograd
from satae.training.mlp_step import MlpStep

CONV = ("arch=conv", "arch.channels=[3]", "arch.code=4", "arch.batch_norm=true")
SMALL = tuple(word for word in TINY if "arch" not in word)
HARD = {
    "adam with L2": ("optim.weight_decay=0.1",),
    "adamw": ("optim=adamw", "optim.weight_decay=0.1", "optim.clip=0.01"),
    "muon": ("optim=muon", "optim.weight_decay=0.1"),
    "momentum": ("optim=sgd", "optim.momentum=0.9", "optim.weight_decay=0.1"),
    "signum": ("optim=signum", "optim.weight_decay=0.1"),
    "adversarial": ("noise=adversarial",),
    "constant alpha": ("alpha_schedule=constant", "alpha=10"),
    "bf16": ("precision=bf16",),
}


def bits(model, part):
    return {name: x.clone() for name, x in model.state_dict().items() if name.startswith(part)}


def unchanged(before, after):
    return [name for name, x in before.items() if torch.equal(x, after[name])]


def trained(config):
    experiment = Experiment.from_config(config)
    before = {part: bits(experiment.model, part) for part in ("encoder", "decoder")}
    for _ in experiment.fit():
        pass
    return before, {part: bits(experiment.model, part) for part in before}


@pytest.mark.parametrize("arch", [("arch.widths=[16,4]",), CONV], ids=["mlp", "conv"])
@pytest.mark.parametrize("words", HARD.values(), ids=HARD)
@pytest.mark.parametrize("frozen", ["encoder", "decoder"])
def test_a_frozen_part_keeps_its_bits_and_the_other_does_not(configuration, frozen, arch, words):
    before, after = trained(configuration(*SMALL, *arch, *words, f"freeze={frozen}"))
    other = {"encoder": "decoder", "decoder": "encoder"}[frozen]
    assert unchanged(before[frozen], after[frozen]) == [*before[frozen]]
    assert not [name for name in unchanged(before[other], after[other]) if name.endswith("weight")]


def test_decoder_norm_leaves_a_frozen_encoder_alone(configuration):
    before, after = trained(configuration(*TINY, "freeze=encoder", "decoder_norm=1"))
    assert unchanged(before["encoder"], after["encoder"]) == [*before["encoder"]]


@pytest.mark.parametrize("frozen", ["encoder", "decoder"])
@pytest.mark.parametrize("start", [False, True])
def test_the_weights_of_a_frozen_part_are_those_of_its_start_or_of_its_seed(configuration, tmp_path, frozen, start):
    assert here(tmp_path, *TINY, "hydra.run.dir=first", "seed=3").code == 0
    words = [f"start={tmp_path / 'first'}"] if start else []
    assert here(tmp_path, *TINY, *words, f"freeze={frozen}", "hydra.run.dir=second").code == 0
    config = configuration(*TINY, *words)
    wanted = Experiment.from_config(config, read_start(config)).model.state_dict()
    found = read_state(tmp_path / "second").part("model")
    assert [name for name in found if name.startswith(frozen) and not torch.equal(found[name], wanted[name])] == []


@pytest.mark.parametrize("frozen", ["encoder", "decoder"])
def test_the_hand_written_step_leaves_the_gradient_of_automatic_differentiation(configuration, frozen):
    experiment = Experiment.from_config(configuration(*TINY, "act=tanh", f"freeze={frozen}"))
    model, step = experiment.model, experiment.gradient
    assert isinstance(step, MlpStep)
    x, x_noisy = experiment.examples()
    losses = step(model, x, x_noisy, 0.5)
    found = {name: None if w.grad is None else w.grad.clone() for name, w in model.named_parameters()}
    plain = by_autograd(batch_losses(experiment.objective, experiment.precision, experiment.device))
    expected = plain(model, x, x_noisy, 0.5)
    assert losses.total.item() == pytest.approx(expected.total.item())
    assert losses.saturation.item() == pytest.approx(expected.saturation.item())
    for name, w in model.named_parameters():
        assert (found[name] is None) == (w.grad is None) == name.startswith(frozen), name
        if w.grad is not None:
            torch.testing.assert_close(found[name], w.grad)


@pytest.mark.parametrize("frozen", ["encoder", "decoder"])
def test_an_interrupted_run_with_a_frozen_part_resumes_to_the_same_end(tmp_path, monkeypatch, frozen):
    arch = [*CONV, "optim=muon", "optim.clip=0.1", "checkpoint.every_steps=1", "hydra.run.dir=run"]
    words = [*SMALL, *arch, f"freeze={frozen}"]
    assert here(tmp_path, *words).code == 0
    (tmp_path / "run").rename(tmp_path / "whole")
    stop_after(monkeypatch, 3)
    assert here(tmp_path, *words).code == 130
    monkeypatch.undo()
    assert here(tmp_path, "resume=run").code == 0
    check_same(tmp_path / "run", tmp_path / "whole")
    assert read(tmp_path / "run" / "metrics.json")["valid/saturation"] > 0


def test_a_penalty_that_a_frozen_encoder_ignores_is_named(configuration):
    lines = startup_warnings(Experiment.from_config(configuration(*TINY, "freeze=encoder")))
    assert "freeze=encoder: the penalty depends on the encoder alone: it is reported but trains nothing" in lines
    for words in (["freeze=decoder"], ["freeze=encoder", "alpha=0"]):
        lines = startup_warnings(Experiment.from_config(configuration(*TINY, *words)))
        assert not [line for line in lines if "freeze" in line]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["freeze=encoder", "arch.tied=true"], "freeze=encoder: a tied decoder has the weights of the encoder; set"),
        (["freeze=decoder", "arch.tied=true"], "freeze=decoder: a tied decoder has the weights of the encoder; set"),
        (
            ["freeze=decoder", "decoder_norm=1"],
            "freeze=decoder: keeps the weights that decoder_norm=1 would change; set",
        ),
        (["freeze=code"], "freeze=code: choose one of encoder, decoder; did you mean"),
    ],
)
def test_what_cannot_be_frozen_is_refused(tmp_path, words, message):
    outcome = here(tmp_path, *TINY, *words)
    assert (outcome.code, outcome.out) == (2, "")
    assert message in outcome.err


def test_a_resumed_run_cannot_freeze_another_part(tmp_path):
    assert here(tmp_path, *TINY, "freeze=encoder", "hydra.run.dir=run").code == 0
    outcome = here(tmp_path, "resume=run", "freeze=null", "epochs=3")
    assert outcome.code == 2
    assert "freeze=null: cannot be changed in a run that started with freeze=encoder" in outcome.err
