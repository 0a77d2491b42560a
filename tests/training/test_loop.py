"""The training loop: its steps, its ramp, its watch; and that alpha = 0 is a plain denoising autoencoder."""

import copy
import dataclasses
import math
from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Generator, nn
from torch.optim import SGD, Adam

import satae
from satae.data.dataset import Dataset, Split
from satae.training.gradients import by_autograd, choose_gradient
from satae.training.loop import CHECK_EVERY, NonFiniteLoss, Position, alpha_schedule, batches, fit
from satae.training.optimizers import plain_step
from satae.training.torch_settings import Precision


def dataset(count=23, shape=(6,)) -> Dataset:
    x = torch.rand(count, *shape, generator=Generator().manual_seed(7))
    return Dataset("test", Split(x), Split(x[:2]), Split(x[:2]), span=(0.0, 1.0))


def start_of(order):
    """The first position of a training, its order drawn from a seed."""
    return Position(0, Generator().manual_seed(order).get_state())


def run(model=None, data=None, *, noise=lambda x: x, schedule=lambda done: 0.1, optimiser=None, order=0, **options):
    """All epochs of a small training."""
    moments = moments_of(model, data, noise=noise, schedule=schedule, optimiser=optimiser, order=order, **options)
    return [moment.epoch for moment in moments if moment.epoch]


def moments_of(model=None, data=None, *, noise, schedule, optimiser=None, order=0, begin=None, **options):
    data = data or dataset()
    model = model or satae.mlp(data.shape, nn.ReLU, widths=[4])
    return fit(
        model,
        data,
        by_autograd(satae.Objective(satae.Complement(nn.ReLU()))),
        noise,
        optimiser or SGD(model.parameters(), lr=0.1),
        schedule,
        begin or start_of(order),
        **{"epochs": 3, "batch_size": 5, **options},
    )


# Steps


@pytest.mark.parametrize(
    ("count", "batch_size", "per_epoch"), [(23, 5, 5), (20, 5, 4), (3, 5, 1), (1, 1, 1), (5, 1, 5)]
)
def test_every_sample_is_seen_once_in_each_epoch(count, batch_size, per_epoch):
    data, seen = dataset(count), []
    noise = lambda x: seen.append(x.clone()) or x  # noqa: E731
    moments = [*moments_of(data=data, noise=noise, schedule=lambda done: 0.1, batch_size=batch_size)]
    assert [(moment.epoch.number, moment.position.step) for moment in moments] == [
        (i, i * per_epoch) for i in (1, 2, 3)
    ]
    assert len(seen) == 3 * per_epoch
    assert [len(x) for x in seen[:per_epoch]] == [batch_size] * (count // batch_size) + [count % batch_size] * (
        count % batch_size > 0
    )
    for i in range(3):
        rows = torch.cat(seen[i * per_epoch : (i + 1) * per_epoch]).tolist()
        assert Counter(map(tuple, rows)) == Counter(map(tuple, data.train.x.tolist()))


def test_the_order_of_samples_differs_in_each_epoch_and_follows_its_generator():
    def orders(seed):
        seen = []
        run(noise=lambda x: seen.append(x[:, 0].clone()) or x, batch_size=23, order=seed)
        return torch.stack(seen)

    first = orders(0)
    assert torch.equal(orders(0), first)
    assert not torch.equal(orders(1), first)
    assert not torch.equal(first[0], first[1])


def test_batches_are_rows_of_the_data():
    x = torch.arange(10)[:, None]
    drawn = list(batches(x, 4, Generator().manual_seed(0)))
    assert [len(part) for part in drawn] == [4, 4, 2]
    assert sorted(torch.cat(drawn).flatten().tolist()) == list(range(10))


def test_the_optimiser_steps_once_for_each_batch_with_that_batch_alone():
    data, model = dataset(10), satae.mlp((6,), nn.ReLU, widths=[4])
    by_hand, seen = copy.deepcopy(model), []
    run(model, data, noise=lambda x: seen.append(x) or x, schedule=lambda done: 0.3, epochs=2)
    for x in seen:
        z = by_hand.encoder.layer1.affine(x)
        loss = (by_hand(x) - x).square().mean() / 2 + 0.3 * z.clamp(min=0).mean()
        gradients = torch.autograd.grad(loss, list(by_hand.parameters()))
        with torch.no_grad():
            for p, gradient in zip(by_hand.parameters(), gradients, strict=True):
                p -= 0.1 * gradient
    torch.testing.assert_close(dict(model.named_parameters()), dict(by_hand.named_parameters()))


def test_the_learning_rate_and_the_speed_are_reported():
    epoch = run(epochs=1)[0]
    assert epoch.lr == 0.1
    assert epoch.samples_per_s > 0
    assert set(epoch.scalars()) == {"alpha", "lr", "samples_per_s"}


def test_the_model_is_stepped_in_training_mode_even_if_it_was_measured_in_between():
    data, modes = dataset(), []
    model = satae.mlp(data.shape, nn.ReLU, widths=[4])
    for _ in fit(
        model,
        data,
        by_autograd(satae.Objective(satae.Complement(nn.ReLU()))),
        lambda x: modes.append(model.training) or x,
        SGD(model.parameters(), lr=0.1),
        lambda done: 0.0,
        start_of(0),
        epochs=3,
        batch_size=23,
    ):
        model.eval()
    assert modes == [True] * 3


def test_nothing_is_drawn_from_the_global_generator():
    before = torch.get_rng_state()
    model = satae.mlp((6,), nn.ReLU, widths=[4])
    drawn = torch.get_rng_state()
    run(model, noise=lambda x: satae.corruption("gaussian", level=0.3)(x, Generator()))
    assert torch.equal(torch.get_rng_state(), drawn)
    assert not torch.equal(before, drawn)


# alpha


def test_alpha_follows_the_finished_share_of_the_training():
    asked = []
    run(schedule=lambda done: asked.append(done) or 0.0, epochs=2, batch_size=5)
    steps = asked[-10:]  # 5 in each epoch
    assert steps == pytest.approx([i / 10 for i in range(10)])


def test_alpha_rises_over_the_first_half_of_the_training():
    epochs = run(schedule=alpha_schedule(0.4, "linear"), epochs=4, batch_size=5)  # 20 steps: 0, .04, .08, ..., .4 at 10
    assert [epoch.alpha for epoch in epochs] == pytest.approx([0.16, 0.36, 0.4, 0.4])
    assert [epoch.scalars()["alpha"] for epoch in epochs] == [epoch.alpha for epoch in epochs]


def test_the_saturated_share_rises_with_alpha():
    data, shares, steps = dataset(200, (8,)), [], {"epochs": 60, "batch_size": 50}
    for alpha in (0.0, 0.1, 1.0):
        torch.manual_seed(0)
        model = satae.mlp((8,), nn.ReLU, widths=[16])
        run(model, data, schedule=lambda done, alpha=alpha: alpha, optimiser=Adam(model.parameters(), 1e-2), **steps)
        shares.append((model.trace(data.train.x).zs["layer1"] <= 0).float().mean().item())
    assert shares[0] + 0.05 < shares[1] < shares[2] - 0.05


# Decoder norm


@pytest.mark.parametrize(("every", "at"), [(None, []), (1, list(range(1, 16))), (4, [4, 8, 12]), (15, [15]), (16, [])])
def test_the_decoder_is_normalized_at_the_chosen_interval(every, at, monkeypatch):
    model, done = satae.mlp((6,), nn.ReLU, widths=[4]), []
    steps = []

    class Counted(SGD):
        def step(self, closure=None):
            steps.append(1)

    optimiser = Counted(model.parameters(), lr=0.1)
    monkeypatch.setattr(model, "normalize_decoder", lambda: done.append(len(steps)))
    run(model, optimiser=optimiser, decoder_norm=every)  # 15 steps
    assert done == at


def test_decoder_columns_have_unit_length_after_a_normalizing_step():
    model = satae.mlp((6,), nn.ReLU, widths=[4])
    run(model, decoder_norm=5)
    torch.testing.assert_close(model.decoder.layer1.weight.norm(dim=0), torch.ones(4))
    run(model, decoder_norm=4)
    assert (model.decoder.layer1.weight.norm(dim=0) - 1).abs().max() > 1e-4


# Losses that are not finite


class Breaks:
    """Noise that spoils the batch of one step."""

    def __init__(self, step: int, value: float):
        self.step, self.value, self.now = step, value, 0

    def __call__(self, x):
        self.now += 1
        return torch.full_like(x, self.value) if self.now == self.step else x


def silent(data: Dataset) -> satae.DenoisingAutoencoder:
    """A model that gives 0 for finite inputs and does not learn."""
    model = satae.mlp(data.shape, nn.ReLU, widths=[4])
    with torch.no_grad():
        for p in model.parameters():
            p.zero_()
            p.requires_grad_(False)
    model.decoder.layer1.bias.requires_grad_(True)
    return model


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("step", [1, 3, 5, 6, 8, 11])
def test_the_error_names_the_step_and_the_last_finite_loss(step, value):
    data = dataset()
    losses, noise = [], Breaks(step, value)
    model = silent(data)

    def watched(x):
        losses.append(x.square().mean().item() / 2)
        return noise(x)

    with pytest.raises(NonFiniteLoss) as error:
        run(model, data, noise=watched, optimiser=SGD(model.parameters(), lr=0.0))
    message = str(error.value)
    assert f"the training loss is nan at step {step}," in message  # inf * 0 weights is nan too
    before = "at the first step" if step == 1 else f"after {losses[step - 2]:.6g} the step before"
    assert before in message
    assert "optim.lr or alpha" in message


def test_an_infinite_loss_is_refused():
    data = dataset()
    with pytest.raises(NonFiniteLoss, match="the training loss is inf at step 1"):
        run(data=dataclasses.replace(data, train=Split(data.train.x * 1e30)))


def test_a_loss_that_is_not_finite_is_noticed_within_a_long_epoch():
    data, noise = dataset(5 * CHECK_EVERY), Breaks(7, math.nan)
    model = silent(data)
    with pytest.raises(NonFiniteLoss, match="step 7,"):
        run(model, data, noise=noise, batch_size=1, optimiser=SGD(model.parameters(), lr=0.0))
    assert noise.now == CHECK_EVERY


@pytest.mark.parametrize("step", [CHECK_EVERY, CHECK_EVERY + 1, CHECK_EVERY + 2])
def test_the_reported_step_is_right_across_checks(step):
    data = dataset(3 * CHECK_EVERY)
    model = silent(data)
    with pytest.raises(NonFiniteLoss, match=rf"step {step}, after 0\.\d+ the step before"):
        run(model, data, noise=Breaks(step, math.nan), batch_size=1, optimiser=SGD(model.parameters(), lr=0.0))


def test_an_epoch_whose_loss_was_not_finite_is_not_reported():
    data, reported = dataset(), []
    model = silent(data)
    training = fit(
        model,
        data,
        by_autograd(satae.Objective(satae.Complement(nn.ReLU()))),
        Breaks(7, math.nan),
        SGD(model.parameters(), lr=0.0),
        lambda done: 0.0,
        start_of(0),
        epochs=3,
        batch_size=5,
    )
    reported.append(next(training).epoch.number)
    with pytest.raises(NonFiniteLoss):
        reported.append(next(training).epoch.number)
    assert reported == [1]


# Pauses, and going on


def test_pauses_are_made_where_asked_for_and_not_at_the_end_of_an_epoch():
    asked = []
    moments = moments_of(
        noise=lambda x: x, schedule=lambda done: 0.1, should_pause=lambda step: asked.append(step) or step > 3
    )
    found = [(moment.position.step, moment.epoch and moment.epoch.number) for moment in moments]
    ends = {5: 1, 10: 2, 15: 3}
    assert found == [(step, ends.get(step)) for step in range(4, 16)]
    assert asked == [*range(1, 16)]


@pytest.mark.parametrize("at", [*range(1, 15)])
def test_a_training_resumed_at_a_pause_equals_one_without_a_pause(at):
    """23 samples in batches of 5, three epochs; the noise, alpha and the decoder's norm change from step to step."""

    def training(model, optimiser, draws, order, **options):
        return moments_of(
            model,
            noise=lambda x: x + torch.randn(x.shape, generator=draws),
            schedule=lambda done: done,
            optimiser=optimiser,
            order=order,
            decoder_norm=2,
            **options,
        )

    def made():
        torch.manual_seed(0)
        model = satae.mlp((6,), nn.ReLU, widths=[4])
        return model, Adam(model.parameters(), lr=0.1), Generator().manual_seed(1)

    whole, *rest = made()
    expected = [*training(whole, *rest, order=2)]
    left, optimiser, draws = made()
    for moment in training(left, optimiser, draws, order=2, should_pause=lambda step: step == at):
        if moment.position.step == at:
            break
    epochs = [*training(left, optimiser, draws, order=77, begin=moment.position)]
    for ours, theirs in zip(left.parameters(), whole.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    for ours, theirs in zip(epochs, expected[at // 5 :], strict=True):
        assert ours.epoch._replace(samples_per_s=0) == theirs.epoch._replace(samples_per_s=0)
        assert torch.equal(ours.position.order, theirs.position.order)


def test_resuming_at_the_end_does_nothing():
    moments = [*moments_of(noise=lambda x: x, schedule=lambda done: 0.1)]
    assert [*moments_of(noise=lambda x: x, schedule=lambda done: 0.1, begin=moments[-1].position)] == []


# alpha = 0: a plain denoising autoencoder, bit for bit


def plain_mlp(act):
    return nn.Sequential(
        *[nn.Flatten(), nn.Linear(36, 12), act(), nn.Linear(12, 5), act(), nn.Linear(5, 12), act()],
        *[nn.Linear(12, 36), nn.Unflatten(1, (1, 6, 6))],
    )


def plain_conv(act):
    return nn.Sequential(
        *[nn.Conv2d(1, 3, 3, 2, 1), act(), nn.Conv2d(3, 4, 3, 2, 1), act(), nn.Flatten(), nn.Linear(16, 5), act()],
        *[nn.Linear(5, 16), act(), nn.Unflatten(1, (4, 2, 2))],
        *[nn.ConvTranspose2d(4, 3, 3, 2, 1, output_padding=0), act()],
        nn.ConvTranspose2d(3, 1, 3, 2, 1, output_padding=1),
    )


ARCHITECTURES = {
    "mlp": (lambda act: satae.mlp((1, 6, 6), act, widths=[12, 5]), plain_mlp),
    "conv": (lambda act: satae.conv((1, 6, 6), act, channels=[3, 4], code=5), plain_conv),
}
OPTIMISERS = {
    "adam": lambda weights: Adam(weights, lr=1e-2, weight_decay=1e-3, fused=True),
    "sgd": lambda weights: SGD(weights, lr=0.05, momentum=0.9, fused=True),
}


@pytest.mark.parametrize("standardised", [False, True])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("optimiser", OPTIMISERS)
@pytest.mark.parametrize("act", [nn.ReLU, nn.Tanh])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_alpha_0_is_a_plain_denoising_autoencoder_bit_for_bit(architecture, act, optimiser, reduction, standardised):
    ours, theirs = ARCHITECTURES[architecture]
    data, level, epochs, size = dataset(45, (1, 6, 6)), 0.3, 4, 8
    x_train, (mean, std) = data.train.x, data.statistics
    if not standardised:
        mean, std = torch.zeros(()), torch.ones(())

    torch.manual_seed(3)
    model = ours(act)
    model.standardize_by(mean, std)
    noise, draws = satae.corruption("gaussian", level=level), Generator().manual_seed(11)
    for _ in fit(
        model,
        data,
        choose_gradient(model, satae.Objective(satae.Complement(act()), reduction), Precision()),
        lambda x: noise(x, draws),
        OPTIMISERS[optimiser](model.parameters()),
        lambda done: 0.0,
        start_of(5),
        epochs=epochs,
        batch_size=size,
    ):
        pass

    torch.manual_seed(3)
    plain = theirs(act)
    adjust = OPTIMISERS[optimiser](plain.parameters())
    order, draws = Generator().manual_seed(5), Generator().manual_seed(11)
    for _ in range(epochs):
        shuffled = x_train[torch.randperm(len(x_train), generator=order)]
        for start in range(0, len(shuffled), size):
            x = shuffled[start : start + size]
            noisy = (x + level * torch.randn(x.shape, generator=draws)).clamp(0, 1)
            squares = (plain((noisy - mean) / std) - (x - mean) / std).square()
            loss = (squares.mean() if reduction == "mean" else squares.sum() / len(x)) / 2
            plain.zero_grad()
            loss.backward()
            adjust.step()
    for found, expected in zip(model.parameters(), plain.parameters(), strict=True):
        assert torch.equal(found, expected)


def test_another_alpha_is_not_a_plain_denoising_autoencoder():
    weights = []
    for alpha in (0.0, 1e-3):
        torch.manual_seed(0)
        model = satae.mlp((6,), nn.ReLU, widths=[4])
        run(model, schedule=lambda done, alpha=alpha: alpha)
        weights.append(model.encoder.layer1.affine.weight.detach())
    assert not torch.equal(*weights)


@pytest.mark.parametrize("kind", [Adam, SGD])
def test_the_plain_step_equals_the_optimizers_step(kind):
    models = [nn.Linear(5, 3) for _ in range(2)]
    models[1].load_state_dict(models[0].state_dict())
    optimisers = [kind(model.parameters(), lr=0.1, fused=True) for model in models]
    take_step, x = plain_step(optimisers[1]), torch.randn(8, 5)
    for _ in range(4):
        for model, optimiser in zip(models, optimisers, strict=True):
            optimiser.zero_grad()
            model(x).square().sum().backward()
        optimisers[0].step()
        take_step()
    assert torch.equal(models[0].weight, models[1].weight)
    states = [optimiser.state_dict()["state"] for optimiser in optimisers]
    assert [*states[0]] == [*states[1]]


# How alpha grows

ALPHAS = st.floats(0, 100)


@given(alpha=ALPHAS, done=st.floats(0, 1))
def test_constant_is_alpha_throughout(alpha, done):
    assert alpha_schedule(alpha, "constant")(done) == alpha


@pytest.mark.parametrize(("done", "weight"), [(0, 0), (0.125, 0.05), (0.25, 0.1), (0.5, 0.2), (0.75, 0.2), (1, 0.2)])
def test_linear_rises_over_the_first_half_and_stays(done, weight):
    assert alpha_schedule(0.2, "linear")(done) == pytest.approx(weight)


@given(alpha=ALPHAS, first=st.floats(0, 1), second=st.floats(0, 1))
def test_linear_never_falls_and_never_exceeds_alpha(alpha, first, second):
    rising = alpha_schedule(alpha, "linear")
    assert 0 <= rising(min(first, second)) <= rising(max(first, second)) <= alpha


def test_an_unknown_schedule_is_refused():
    with pytest.raises(ValueError, match="alpha_schedule=cosine: choose one of linear, constant"):
        alpha_schedule(0.1, "cosine")
