"""One experiment from one configuration: everything follows from its seed, and nothing else does."""

import dataclasses

import pytest
import torch

from satae.data.dataset import Dataset, Split
from satae.experiment import build
from satae.experiment.experiment import Experiment
from satae.model.noise import corruption
from satae.training import torch_settings
from satae.training.loop import Epoch, NonFiniteData, NonFiniteLoss

SMALL = ("arch.widths=[9,5]", "data.limit=60", "batch_size=16", "epochs=3")
EPOCH = Epoch(number=1, alpha=0.1, samples_per_s=1.0, lr=0.1, loss=None)
CONV = ("arch=conv", "arch.channels=[3,4]", "arch.code=5", *SMALL[1:])


def trained(config) -> Experiment:
    experiment = Experiment.from_config(config)
    for _ in experiment.fit():
        pass
    return experiment


TRAINED = {}


def trained_once(config) -> Experiment:
    """A trained experiment with which several tests compare; they do not change its weights."""
    if repr(config) not in TRAINED:
        TRAINED[repr(config)] = trained(config)
    return TRAINED[repr(config)]


def same(first: Experiment, second: Experiment) -> bool:
    pairs = zip(first.model.state_dict().values(), second.model.state_dict().values(), strict=True)
    return all(torch.equal(ours, theirs) for ours, theirs in pairs)


@pytest.mark.parametrize(
    "overrides", [SMALL, (*SMALL, "arch.batch_norm=true", "noise=masking"), CONV, (*CONV, "noise=adversarial")]
)
def test_the_same_seed_gives_the_same_weights_and_another_seed_others(configuration, overrides):
    torch.manual_seed(1)
    first = trained(configuration(*overrides))
    torch.manual_seed(2)
    torch.rand(5)
    assert same(trained(configuration(*overrides)), first)
    assert not same(trained(configuration(*overrides, "seed=1")), first)
    assert not same(Experiment.from_config(configuration(*overrides)), first)  # it has learnt


def test_the_global_generator_is_left_alone(configuration):
    before = torch.get_rng_state()
    trained(configuration(*SMALL)).measure(EPOCH)
    assert torch.equal(torch.get_rng_state(), before)


def test_measuring_between_epochs_changes_nothing(configuration):
    config = configuration(*SMALL, "arch.batch_norm=true")
    first, second = trained(config), Experiment.from_config(config)
    for _ in second.fit():
        second.measure(EPOCH)
        second.measure_rare()
        second.distributions()
    assert same(first, second)


@pytest.mark.parametrize("name", ["noise.level=0.1", "alpha=0", "batch_size=7", "optim.lr=0.01", "act=tanh"])
def test_every_choice_matters(configuration, name):
    assert not same(trained_once(configuration(*SMALL)), trained(configuration(*SMALL, name)))


@pytest.mark.parametrize("overrides", [SMALL, CONV])
@pytest.mark.parametrize("precision", ["medium", "bf16"])
def test_the_precision_reaches_the_training(configuration, precision, overrides):
    exact, found = (trained_once(configuration(*overrides, f"precision={name}")) for name in ("fp32", precision))
    assert not same(exact, found)
    x = exact.data.batch(exact.data.valid.x)
    torch.testing.assert_close(found.model(x), exact.model(x), rtol=0.2, atol=0.2)


def test_compile_true_compiles_once_for_each_run(configuration, monkeypatch):
    compiled = []
    monkeypatch.setattr(torch, "compile", lambda function, mode: compiled.append(mode) or function)
    for _ in range(2):
        trained(configuration(*SMALL, "compile=true"))
    assert compiled == [None, None]
    trained(configuration(*SMALL))
    assert len(compiled) == 2


@pytest.mark.parametrize("overrides", [SMALL, CONV])
def test_weights_start_on_the_scale_of_the_activation(configuration, overrides):
    experiment = Experiment.from_config(configuration(*overrides, "noise=none"))
    x = experiment.data.batch(experiment.data.train.x)
    for z in experiment.model.trace(x).zs.values():
        assert z.mean().item() == pytest.approx(0, abs=1e-4)
        assert z.var(correction=0).item() == pytest.approx(1, abs=1e-3)
    plain = Experiment.from_config(configuration(*overrides, "noise=none", "init=torch")).model.trace(x).zs
    assert all(abs(z.var(correction=0).item() - 1) > 0.1 for z in plain.values())


@pytest.mark.parametrize("standardize", ["true", "false"])
def test_standardize_sets_the_statistics_of_the_training_data(configuration, standardize):
    experiment = Experiment.from_config(configuration(*SMALL, f"standardize={standardize}"))
    mean, std = experiment.data.statistics if standardize == "true" else (torch.zeros(()), torch.ones(()))
    assert torch.equal(experiment.model.mean, mean)
    assert torch.equal(experiment.model.std, std)


def test_decoder_norm_holds_from_the_start_to_the_end(configuration):
    config = configuration(*SMALL, "decoder_norm=1")
    for experiment in (Experiment.from_config(config), trained(config)):
        for layer in (experiment.model.decoder.layer1.affine, experiment.model.decoder.layer2):
            lengths = layer.weight.norm(dim=0)
            torch.testing.assert_close(lengths, torch.ones_like(lengths))


def test_metrics_are_reproducible_and_cover_both_splits(configuration):
    experiment = trained(configuration(*SMALL))
    first = experiment.measure(EPOCH)
    assert experiment.measure(EPOCH) == first
    train, valid = ({key.split("/", 1)[1] for key in first if key.startswith(split)} for split in ("train/", "valid/"))
    assert train == valid
    assert {"total", "reconstruction", "saturation", "fvu", "psnr", "collapsed"} <= train
    assert {key for key in first if key.startswith("encoder_norm/")} == {"encoder_norm/layer1", "encoder_norm/layer2"}


def test_data_in_the_plane_have_an_area(configuration):
    found = Experiment.from_config(configuration("data=manifold", "data.count=100", "arch.widths=[3]")).measure_rare()
    assert 0 <= found["valid/low_energy_area"] <= 1
    assert found["valid/energy"] > 0


def test_random_generators_are_reproducible_and_differ_by_purpose():
    def draw(seed, purpose):
        return torch.rand(4, generator=build.random_generator(seed, purpose)).tolist()

    assert draw(3, "noise") == draw(3, "noise")
    assert len({tuple(draw(seed, purpose)) for seed in (0, 1, 11) for purpose in ("noise", "order", "noise 1")}) == 9


def test_configure_torch_sets_the_threads():
    assert torch_settings.configure_torch(1) == torch.get_num_threads() == 1


@pytest.mark.parametrize(
    "option",
    [
        *("optim.weight_decay=0.1", "alpha_schedule=constant", "alpha=0.5", "decoder_norm=1", "noise.level=0.1"),
        *("complement=slope", "act.low=-0.5", "reduction=sum", "standardize=false", "init=torch", "optim.lr=0.01"),
        *(
            "noise=adversarial",
            "noise=masking",
            "eps=0.2",
            "batch_size=7",
            "seed=1",
            "arch.tied=true",
            "arch.batch_norm=true",
        ),
    ],
)
def test_every_option_has_an_effect(configuration, option):
    act = "act=tanh" if option.startswith(("eps", "complement")) else "act=satlin"
    reading = ["complement=input"] if option.startswith("eps") else []
    plain = configuration(*SMALL, act, *reading)
    other = configuration(*SMALL, act, *reading, option)
    first, second = (trained_once(config).measure(EPOCH)["valid/reconstruction"] for config in (plain, other))
    assert first != second


def test_the_noise_of_two_seeds_differs_when_all_else_is_the_same(configuration):
    config = configuration(*SMALL)
    draws = [Experiment.from_config(dataclasses.replace(config, seed=seed)).noise_generator for seed in (0, 1)]
    experiments = [
        dataclasses.replace(Experiment.from_config(config), noise_generator=generator) for generator in draws
    ]
    for experiment in experiments:
        next(experiment.fit())
    assert not same(*experiments)


@pytest.mark.parametrize("overrides", [SMALL, (*CONV, "arch.batch_norm=true")])
def test_adversarial_noise_of_level_0_trains_as_no_noise(configuration, overrides):
    none, adversarial = ([*overrides, f"noise={kind}"] for kind in ("none", "adversarial"))
    assert same(trained(configuration(*adversarial, "noise.level=0")), trained(configuration(*none)))


@pytest.mark.parametrize("overrides", [("arch.widths=[64]",), ("arch=conv", "arch.channels=[8]", "arch.code=32")])
def test_a_trained_model_reconstructs_adversarial_noise_worse_than_uniform_noise_of_the_same_radius(
    configuration, overrides
):
    uniform = trained(configuration(*overrides, "epochs=5", "optim.lr=0.01", "noise=uniform", "noise.level=0.1"))
    adversarial = corruption("adversarial", span=uniform.data.span, model=uniform.model, level=0.1, steps=3)
    found = dataclasses.replace(uniform, noise=adversarial).measure(EPOCH)
    for split in ("train", "valid"):
        key = f"{split}/reconstruction"
        assert found[key] > 1.4 * uniform.measure(EPOCH)[key]


@pytest.mark.parametrize(("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_adversarial_noise_is_searched_for_in_the_precision_of_training_and_measured_in_float32(
    configuration, precision, dtype
):
    experiment = Experiment.from_config(configuration(*SMALL, "noise=adversarial", f"precision={precision}"))
    dtypes = []
    experiment.model.encoder.layer1.affine.register_forward_hook(lambda part, inputs, z: dtypes.append(z.dtype))
    next(experiment.fit())
    passes = 3 + 1  # of a search; the hand-written step of training calls no module
    assert dtypes == [dtype] * passes * experiment.steps_per_epoch
    dtypes.clear()
    experiment.measure(EPOCH)
    assert {*dtypes} == {torch.float32}


def test_large_examples_are_measured_in_small_parts():
    x = torch.zeros(3, 3, 2000, 2000, dtype=torch.uint8)
    data = Dataset("large", *[Split(x)] * 3, span=(0.0, 1.0), scale=1 / 255)
    assert data.max_examples(10_000) == 2
    assert dataclasses.replace(data, train=Split(x[:, :, :28, :28])).max_examples(10_000) == 10_000


def test_rare_metrics_are_computed_on_the_validation_split(configuration):
    experiment = Experiment.from_config(configuration("arch.widths=[4]", "threads=1"))
    other = dataclasses.replace(experiment, data=dataclasses.replace(experiment.data, train=experiment.data.test))
    assert other.measure_rare() == experiment.measure_rare()
    other = dataclasses.replace(experiment, data=dataclasses.replace(experiment.data, valid=experiment.data.test))
    assert other.measure_rare() != experiment.measure_rare()


@pytest.mark.parametrize(
    ("value", "standardize", "fault"),
    [
        (1e30, "false", "has a square that is too large for float32; scale the data, or set standardize=true"),
        (1e30, "true", "has a square that is too large for float32; scale the data"),
        (float("nan"), "true", "is not finite in the data"),
    ],
)
@pytest.mark.parametrize("name", ["train", "valid"])
def test_data_that_are_not_finite_are_blamed_rather_than_the_learning_rate(
    configuration, name, value, standardize, fault
):
    words = ("data=manifold", "noise=none", "epochs=1", "arch.widths=[2]", f"standardize={standardize}")
    experiment = Experiment.from_config(configuration(*words))
    x = getattr(experiment.data, name).x.clone()
    x[7, 1] = value
    experiment.data = dataclasses.replace(experiment.data, **{name: Split(x)})
    with pytest.raises(NonFiniteData) as error:
        experiment.measure(next(experiment.fit()))
    split = {"train": "training", "valid": "validation"}[name]
    assert str(error.value).startswith(f"the {split} loss is ")
    assert str(error.value).endswith(f": example 7 of its data {fault}")


def test_weights_that_break_the_validation_loss_are_blamed_for_it(configuration):
    experiment = Experiment.from_config(configuration("data=manifold", "arch.widths=[2]"))
    with torch.no_grad():
        next(experiment.model.parameters()).fill_(float("nan"))
    with pytest.raises(NonFiniteLoss, match=r"^the validation loss is nan at step 0; try"):
        experiment.measure(EPOCH)
