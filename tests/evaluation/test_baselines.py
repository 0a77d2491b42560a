"""The baseline and the classifiers are trained once, and stored by everything they depend on."""

import dataclasses
import json
import signal
from dataclasses import replace

import pytest
import torch
from program import here
from torch import nn

from satae import evaluate, signals
from satae.config import ConfigError
from satae.data.dataset import Split
from satae.evaluation import baselines, classifiers
from satae.evaluation.baselines import find_baseline_run, load_baseline, train_baseline
from satae.evaluation.classifiers import load_classifier
from satae.evaluation.subject import Subject, TrainedRun
from satae.experiment import build
from satae.experiment.experiment import Experiment
from satae.model.autoencoder import Encoder, Layer
from satae.runs.loading import read_state
from satae.signals import Interrupted

CPU = torch.device("cpu")
EVERY = 1000  # more steps than there are
TINY = ("data.limit=120", "epochs=2", "arch.widths=[16,4]", "threads=1")


@pytest.fixture
def count(monkeypatch):
    """How often something was trained."""
    made = []
    monkeypatch.setattr(classifiers, "RECIPE", classifiers.RECIPE._replace(steps=60))
    for home, name in ((baselines, "train_baseline_state"), (classifiers, "train_classifier")):
        was = getattr(home, name)

        def counted(*given, was=was, name=name, **named):
            made.append(name)
            return was(*given, **named)

        monkeypatch.setattr(home, name, counted)
    return made


def test_the_baseline_is_the_run_with_alpha_0(configuration, count):
    config = configuration(*TINY, "alpha=0.3")
    baseline = train_baseline(config, build.dataset(config), EVERY, CPU)
    experiment = Experiment.from_config(replace(config, alpha=0.0))
    for _ in experiment.fit():
        pass
    for name, x in experiment.model.state_dict().items():
        assert torch.equal(baseline.state_dict()[name], x)
    assert not baseline.training


@pytest.mark.parametrize("steps", [1, 3, 4, 5])
def test_the_baseline_of_an_interrupted_run_has_its_number_of_steps(configuration, steps):
    config = configuration(*TINY, "alpha=0.3", "batch_size=32")  # of 3 steps an epoch, or 4
    baseline = train_baseline(config, build.dataset(config), steps, CPU)
    experiment = Experiment.from_config(replace(config, alpha=0.0))
    for _ in experiment.fit(lambda step: True):
        if experiment.step == steps:
            break
    for name, x in experiment.model.state_dict().items():
        assert torch.equal(baseline.state_dict()[name], x)


def test_a_baseline_is_trained_once_for_all_alphas_and_again_for_other_settings(configuration, count):
    for words in (["alpha=0.3"], ["alpha=0.1"], ["alpha=0.1", "threads=2"], ["alpha=0.1", "checkpoint.keep=5"]):
        config = configuration(*TINY, *words)
        train_baseline(config, build.dataset(config), EVERY, CPU)
    assert len(count) == 1
    for words in (["seed=1"], ["act=tanh"], ["noise=none"], ["epochs=3"], ["data.limit=100"], ["precision=medium"]):
        config = configuration(*TINY, *words)
        train_baseline(config, build.dataset(config), EVERY, CPU)
    assert len(count) == 7


def test_a_baseline_that_cannot_be_trained_is_refused(configuration):
    config = configuration(*TINY, "optim.lr=1e30")
    with pytest.raises(ConfigError, match="its twin without the penalty cannot be trained"):
        train_baseline(config, build.dataset(config), EVERY, CPU)


def test_a_classifier_learns_and_is_trained_once_for_all_runs_on_the_same_data(configuration, count):
    config = configuration("data.limit=600", "threads=1")
    data = build.dataset(config)
    model = load_classifier(data, 0)
    assert (model(data.batch(data.valid.x)).argmax(1) == data.valid.y).float().mean() > 0.8
    again = load_classifier(data, 0)
    assert all(torch.equal(x, y) for x, y in zip(model.parameters(), again.parameters(), strict=True))
    assert count == ["train_classifier"]
    other = dataclasses.replace(data, train=Split(data.train.x, data.train.y.flip(0)))
    load_classifier(other, 0)  # the same inputs with other labels
    assert count == ["train_classifier"] * 2


def test_a_classifier_depends_on_its_seed_and_on_what_it_classifies(configuration, count):
    config = configuration("data.limit=600", "threads=1")
    data = build.dataset(config)
    autoencoder = Experiment.from_config(config).model.eval()
    autoencoder.encoder[-1] = Layer(autoencoder.encoder[-1].affine, nn.Tanh())
    autoencoder.encoder[-1].affine.weight.data[0] *= 0.1  # with the bias: a unit that changes by rounding only
    autoencoder.encoder[-1].affine.bias.data[0] = 8.0
    code = load_classifier(data, 0, Encoder(autoencoder))
    others = ((data, 0), (data, 1), (data, 0, autoencoder), (data, 0, Encoder(autoencoder)))
    last_biases = [load_classifier(*given).layers[-1].bias for given in others]
    assert len(count) == 4  # the last one is stored
    assert torch.stack(last_biases[:3]).unique(dim=0).shape[0] == 3
    assert torch.equal(last_biases[3], code.layers[-1].bias)
    codes = autoencoder.encode(data.batch(data.train.x)).detach()
    torch.testing.assert_close(code.mean, codes.mean(dim=0))
    assert code.std[0] == 1
    standardized = code.standardize(codes)
    torch.testing.assert_close(standardized[:, 1:].std(dim=0), torch.ones(codes.shape[1] - 1), rtol=1e-2, atol=0)
    assert (code(codes).argmax(1) == data.train.y).float().mean() > 0.8


def test_classifiers_fit_every_shape():
    for shape in ((1, 8, 8), (1, 28, 28), (3, 32, 32), (3, 9, 7), (5,)):
        assert classifiers.plain_classifier(shape, 7)(torch.zeros(2, *shape)).shape == (2, 7), shape


def test_a_damaged_baseline_is_trained_again(configuration, count, tmp_path):
    config = configuration(*TINY, "alpha=0.3")
    weights = [
        x.clone() for x in train_baseline(config, build.dataset(config), EVERY, CPU).parameters()
    ]  # those of a file are part of it
    (file,) = (tmp_path / "cache" / "evaluation").glob("twin-*.safetensors")
    file.write_bytes(file.read_bytes()[:100])
    again = train_baseline(config, build.dataset(config), EVERY, CPU)
    assert len(count) == 2
    assert all(torch.equal(x, y) for x, y in zip(weights, again.parameters(), strict=True))


def test_a_signal_ends_the_training_of_a_baseline(configuration, tmp_path, monkeypatch):
    monkeypatch.setattr(signals, "pending_signal", lambda: signal.SIGTERM)
    config = configuration(*TINY, "epochs=100000")
    with pytest.raises(Interrupted):
        train_baseline(config, build.dataset(config), EVERY, CPU)
    assert not [*(tmp_path / "cache" / "evaluation").glob("*.safetensors")]


def test_a_baseline_is_trained_on_the_device_of_the_evaluation(configuration):
    config = configuration(*TINY, "device=cuda")
    assert train_baseline(config, build.dataset(config), EVERY, CPU).mean.device == CPU


@pytest.fixture
def sweep(tmp_path):
    """A sweep of a plain run, two with a penalty, and one with another seed."""
    words = ("sweep=first", "alpha=0,0.1", "seed=0,1", "noise.level=0.3")
    assert here(tmp_path, *TINY, "batch_size=32", *words).code == 0
    return tmp_path / "outputs/first"


def subject_of(run):
    return Subject.of(TrainedRun.read(run, False), evaluate.settings(["samples=3", "device=cpu"]))


def test_the_baseline_of_a_sweep_is_its_run_without_the_penalty(sweep, count):
    plain, subject = sweep / "alpha=0,seed=1", subject_of(sweep / "alpha=0.1,seed=1")
    model, origin = load_baseline(subject)
    assert (count, origin) == ([], "the run alpha=0,seed=1 beside it, which has alpha=0")
    for name, x in read_state(plain).part("model").items():
        assert torch.equal(model.state_dict()[name], x)
    trained = train_baseline(subject.config, subject.data, subject.steps, CPU)
    assert all(torch.equal(x, trained.state_dict()[name]) for name, x in model.state_dict().items())


@pytest.mark.parametrize(
    "spoil",
    [
        {"status": "interrupted"},
        {"program": {"satae": "other", "torch": torch.__version__}},
        {"resumed": [{"command": "", "program": None}]},
    ],
    ids=lambda spoil: next(iter(spoil)),
)
def test_a_run_that_a_training_would_not_repeat_is_no_baseline(sweep, count, spoil):
    record = sweep / "alpha=0,seed=1/run.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | spoil))
    assert load_baseline(subject_of(sweep / "alpha=0.1,seed=1")).origin == "the same trained with alpha=0"
    assert count == ["train_baseline_state"]


def test_a_run_of_another_length_or_configuration_is_no_baseline(sweep, count):
    subject = subject_of(sweep / "alpha=0.1,seed=1")
    assert find_baseline_run(subject._replace(steps=subject.steps - 1)) is None
    assert find_baseline_run(subject._replace(config=replace(subject.config, batch_size=16))) is None
    assert find_baseline_run(subject._replace(directory=None)) is None
