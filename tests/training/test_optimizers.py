"""The optimizers and the schedule of the learning rate: their laws, and that a resumed training is the same one."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from satae.config.registry import OPTIMIZERS, Choice
from satae.experiment.experiment import Experiment
from satae.training.gradients import by_autograd
from satae.training.mlp_step import MlpStep
from satae.training.optimizers import lr_schedule, plain_step

CONV = ("arch=conv", "arch.channels=[3]", "arch.code=4")
SMALL = ("arch.widths=[9,5]", "data.limit=60", "epochs=3", "batch_size=16", "alpha=0.3")
SCHEDULES = ("constant", "cosine", "linear", "step")


def rate(**options):
    return lr_schedule(OPTIMIZERS.choice("adam", OPTIMIZERS.defaults("adam") | {"lr": 0.5} | options))


# The schedule


def test_a_constant_rate_without_warmup_is_left_alone():
    assert rate() is None
    assert lr_schedule(Choice(name="of_ones_own", lr=1.0)) is None


@pytest.mark.parametrize("kind", SCHEDULES)
def test_the_rate_is_0_at_the_start_full_after_the_warmup_and_where_it_says_at_the_end(kind):
    lr = rate(schedule=kind, warmup=0.25)
    assert (lr(0.0), lr(0.125), lr(0.25)) == (0.0, 0.25, 0.5)
    assert lr(1.0) == pytest.approx({"constant": 0.5, "cosine": 0.0, "linear": 0.0, "step": 0.5 * 0.01}[kind])


@pytest.mark.parametrize("kind", SCHEDULES)
@given(warmup=st.just(0.0) | st.floats(1e-6, 0.9), early=st.floats(0, 1), late=st.floats(0, 1))
def test_the_rate_never_rises_after_the_warmup_nor_leaves_its_range(kind, warmup, early, late):
    lr = rate(schedule=kind, warmup=warmup) or (lambda done: 0.5)
    first, second = (lr(warmup + (1 - warmup) * share) for share in sorted((early, late)))
    assert -1e-9 <= second <= first + 1e-9 <= 0.5 + 2e-9


def test_cosine_and_linear_are_at_half_in_the_middle_and_steps_fall_where_they_are_asked_to():
    assert rate(schedule="cosine")(0.5) == pytest.approx(0.25)
    assert rate(schedule="linear", warmup=0.5)(0.75) == pytest.approx(0.25)
    lr = rate(schedule="step", step_at=[0.5, 0.75], step_factor=0.1)
    assert [lr(done) for done in (0.49, 0.5, 0.74, 0.75)] == pytest.approx([0.5, 0.05, 0.05, 0.005])


def test_each_epoch_reports_the_rate_of_its_last_step(configuration):
    experiment = Experiment.from_config(configuration(*SMALL, "optim.schedule=linear", "optim.warmup=0.5"))
    assert [epoch.lr for epoch in experiment.fit()] == pytest.approx([0.001 * x for x in (0.5, 5 / 6, 1 / 6)])


# The optimizers


def test_signum_takes_steps_of_one_size_along_the_sign_of_the_momentum():
    weight = nn.Parameter(torch.tensor([1.0, 1.0, 1.0]))
    optimizer = OPTIMIZERS.build(
        Choice(**vars(OPTIMIZERS.choice("signum")) | {"lr": 0.5, "weight_decay": 0.1}), [weight]
    )
    for gradient in ([1.0, -2.0, 0.0], [-20.0, -1.0, 0.0]):
        before, weight.grad = weight.detach() * (1 - 0.5 * 0.1), torch.tensor(gradient)
        plain_step(optimizer)()
        momentum = optimizer.state[weight]["momentum_buffer"]
        assert torch.allclose(weight.detach(), before - 0.5 * momentum.sign())
    assert torch.allclose(momentum, torch.tensor([0.9 * 0.1 - 2.0, 0.9 * -0.2 - 0.1, 0.0]))


def test_muon_moves_matrices_by_orthogonal_steps_and_all_else_like_adamw():
    torch.manual_seed(0)
    shapes = ((6, 4), (6,), (5, 3, 2, 2))
    ours, theirs = ([nn.Parameter(torch.ones(shape)) for shape in shapes] for _ in range(2))
    pair = (OPTIMIZERS.build("muon", ours), torch.optim.AdamW(theirs, lr=0.001, weight_decay=0.0))
    for _ in range(3):
        for a, b in zip(ours, theirs, strict=True):
            a.grad = b.grad = torch.randn(a.shape)
        before = ours[0].detach().clone()
        for optimizer in pair:
            plain_step(optimizer)()
    assert torch.equal(ours[1], theirs[1])
    assert torch.equal(ours[2], theirs[2])
    singular = torch.linalg.svdvals(ours[0].detach() - before)
    assert 0.6 < singular.min() / singular.max() <= 1
    assert not torch.equal(ours[0], theirs[0])


@pytest.mark.parametrize("arch", [SMALL[:1], CONV], ids=["mlp", "conv"])
@pytest.mark.parametrize("name", OPTIMIZERS.names())
def test_every_optimizer_lowers_the_loss(configuration, name, arch):
    config = configuration(*arch, *SMALL[1:], f"optim={name}", "alpha=0", "epochs=30")
    first, *_, last = (epoch.loss for epoch in Experiment.from_config(config).fit())
    assert last < 0.98 * first


# Resume


@pytest.mark.parametrize("arch", [SMALL[:1], CONV], ids=["mlp", "conv"])
@pytest.mark.parametrize("name", OPTIMIZERS.names())
def test_a_training_resumed_within_an_epoch_ends_the_same_to_the_last_bit(configuration, name, arch):
    schedule = SCHEDULES[OPTIMIZERS.names().index(name) % len(SCHEDULES)]
    words = [
        *arch,
        *SMALL[1:],
        f"optim={name}",
        f"optim.schedule={schedule}",
        "optim.warmup=0.2",
        f"optim.clip={0.35 if arch == CONV else 0.47}",
    ]
    config = configuration(*words)
    whole, half = Experiment.from_config(config), Experiment.from_config(config)
    expected = [epoch._replace(samples_per_s=0) for epoch in whole.fit()]
    next(moment for moment in half.fit(lambda step: step == 6) if moment is None)
    again = Experiment.from_state(config, half.state().copy_tensors())
    found = [epoch._replace(samples_per_s=0) for epoch in again.fit()]
    assert found == expected[1:]
    assert 0 < sum(epoch.clipped for epoch in expected) < 3
    for name, x in whole.state().tensors.items():
        assert torch.equal(x, again.state().tensors[name]), name


def test_the_state_of_one_of_several_optimizers_is_checked(configuration):
    config = configuration(*SMALL, "optim=muon")
    experiment = Experiment.from_config(config)
    next(experiment.fit())
    state = experiment.state()
    moments = {name.split("/")[2] for name in state.tensors if name.startswith("optimiser/")}
    assert moments == {"momentum_buffer", "step", "exp_avg", "exp_avg_sq"}
    changed = state.with_part("optimiser", {"0/exp_avg": torch.zeros(9, 64)})
    with pytest.raises(ValueError, match="optimiser/0/exp_avg belongs to no parameter"):
        Experiment.from_config(config).restore(changed)
    with pytest.raises(ValueError, match="clipped is -1"):
        Experiment.from_config(config).restore(state.with_facts(clipped=-1))


# Clipping


def test_a_clipped_gradient_has_the_norm_of_the_limit_by_hand_and_by_autograd(configuration):
    found = []
    for clip in ("null", "1e9", "0.01"):
        experiment = Experiment.from_config(configuration(*SMALL, "optim=sgd", f"optim.clip={clip}", "epochs=1"))
        before = [w.detach().clone() for w in experiment.model.parameters()]
        next(experiment.fit(lambda step: step == 1))
        moved = [(a - b) / 0.05 for a, b in zip(before, experiment.model.parameters(), strict=True)]
        found.append(torch.cat([x.detach().flatten() for x in moved]))
    free, wide, narrow = found
    assert torch.equal(free, wide)
    assert narrow.norm().item() == pytest.approx(0.01, rel=1e-3)
    assert torch.allclose(narrow / narrow.norm(), free / free.norm(), atol=1e-3)


def test_the_hand_written_step_is_clipped_as_automatic_differentiation_is(configuration):
    words = [*SMALL, "optim=adamw", "optim.clip=0.1", "optim.schedule=cosine", "optim.warmup=0.3"]
    fast, slow = (Experiment.from_config(configuration(*words)) for _ in range(2))
    slow.gradient = by_autograd(slow.objective)
    assert isinstance(fast.gradient, MlpStep)
    pairs = [*zip(fast.fit(), slow.fit(), strict=True)]
    assert all(a.clipped == b.clipped > 0 and math.isclose(a.loss, b.loss, rel_tol=1e-4) for a, b in pairs)


def test_the_share_of_clipped_steps_is_logged_only_with_a_limit(configuration):
    for clip, expected in (("null", None), ("1e9", 0.0), ("1e-9", 1.0)):
        epoch = next(Experiment.from_config(configuration(*SMALL, f"optim.clip={clip}")).fit())
        assert epoch.scalars().get("clipped_fraction") == expected
