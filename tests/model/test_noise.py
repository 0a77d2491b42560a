"""Corruption: statistics, range, reproducible from its generator and from nothing else."""

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import satae
from satae.config.registry import NOISES
from satae.model import noise as noise_module

COUNT = 200_000
IDENTITY = satae.DenoisingAutoencoder(nn.Sequential(), nn.Sequential())  # reconstructs what it sees
WITH_LEVEL = [name for name in NOISES.names() if name != "none"]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def corrupt(name, x, level=0.25, seed=0, span=(0.0, 1.0)):
    return corruption(name, level, span)(x, generator(seed))


def corruption(name, level, span=(0.0, 1.0), model=IDENTITY, steps=3):
    options = {} if name == "none" else {"level": level}
    return satae.corruption(
        name, span=span, model=model, **options, **({"steps": steps} if name == "adversarial" else {})
    )


@pytest.mark.parametrize("sigma", [0.05, 0.3])
def test_gaussian_statistics(sigma):
    added = corrupt("gaussian", torch.full((COUNT,), 0.5), sigma, span=(-10.0, 10.0)) - 0.5
    assert added.mean().item() == pytest.approx(0, abs=4 * sigma / COUNT**0.5)
    assert added.std().item() == pytest.approx(sigma, rel=0.01)
    assert added.square().square().mean().item() == pytest.approx(3 * sigma**4, rel=0.05)  # the normal's fourth moment
    assert (added.abs() > 2 * sigma).float().mean().item() == pytest.approx(0.0455, abs=0.003)


@pytest.mark.parametrize("width", [0.05, 0.3])
def test_uniform_statistics(width):
    added = corrupt("uniform", torch.full((COUNT,), 0.5), width, span=(-10.0, 10.0)) - 0.5
    assert added.mean().item() == pytest.approx(0, abs=4 * width / COUNT**0.5)
    assert added.std().item() == pytest.approx(width / 3**0.5, rel=0.01)
    assert added.abs().max().item() == pytest.approx(width, rel=0.01)
    assert (added > width / 2).float().mean().item() == pytest.approx(0.25, abs=0.005)


@pytest.mark.parametrize("level", [0.1, 0.25, 0.4, 1.0])
def test_masking_sets_its_share_to_zero_and_leaves_the_rest(level):
    x = torch.rand(COUNT) + 0.5
    noisy = corrupt("masking", x, level, span=(-2.0, 2.0))
    hit = noisy != x
    assert (noisy[hit] == 0).all()
    assert hit.float().mean().item() == pytest.approx(level, abs=0.005)


@pytest.mark.parametrize("span", [(0.0, 1.0), (-1.0, 3.0)])
@pytest.mark.parametrize("level", [0.1, 0.4, 1.0])
def test_salt_and_pepper_sets_its_share_to_either_end_evenly_and_leaves_the_rest(level, span):
    x = torch.full((COUNT,), 0.5)
    noisy = corrupt("salt_and_pepper", x, level, span=span)
    low, high = ((noisy == end).float().mean().item() for end in span)
    assert low == pytest.approx(level / 2, abs=0.005)
    assert high == pytest.approx(level / 2, abs=0.005)
    assert (noisy == 0.5).float().mean().item() == pytest.approx(1 - level, abs=0.005)


@pytest.mark.parametrize("name", ["masking", "salt_and_pepper", "gaussian", "uniform"])
def test_elements_are_drawn_independently(name):
    noisy = corrupt(name, torch.full((COUNT // 50, 50), 0.5), 0.3, span=(-9.0, 9.0)) - 0.5
    changed = noisy.abs() > 0.15
    share = changed.float().mean().item()
    for along in (0, 1):  # a draw that is shared along an axis makes neighbors agree
        pairs = changed.shape[along] - 1
        first, second = changed.narrow(along, 0, pairs), changed.narrow(along, 1, pairs)
        assert (first & second).float().mean().item() == pytest.approx(share**2, abs=0.02)
    assert len(noisy.unique(dim=0)) > 0.99 * len(noisy)


@pytest.mark.parametrize("name", NOISES.names())
@given(
    level=st.just(0.0) | st.floats(1e-30, 1),
    low=st.floats(-3, 0),
    width=st.floats(0.1, 5),
    shape=st.lists(st.integers(0, 4), min_size=2, max_size=4),
)
def test_noisy_data_keep_their_range_and_shape(name, level, low, width, shape):
    span = (low, low + width)
    x = torch.rand(shape, generator=generator(1)) * width + low
    x = x.clamp(*span)
    noisy = corrupt(name, x, level, span=span)
    assert (noisy.shape, noisy.dtype) == (x.shape, x.dtype)
    allowed = (noisy >= torch.tensor(span[0])) & (noisy <= torch.tensor(span[1]))
    assert (allowed | (noisy == 0)).all()  # masking sets to 0, wherever that lies


@pytest.mark.parametrize("name", NOISES.names())
def test_level_0_is_the_identity(name):
    x = torch.rand(100, 7)
    assert torch.equal(corrupt(name, x, 0.0), x)


def test_none_is_the_identity_even_outside_the_span():
    x = 10 * torch.randn(100)
    assert torch.equal(corrupt("none", x), x)


@pytest.mark.parametrize("name", WITH_LEVEL)
def test_noise_is_reproducible_from_its_generator_alone(name):
    x = torch.rand(50, 7)
    torch.manual_seed(1)
    first, state = corrupt(name, x, seed=3), torch.get_rng_state()
    torch.manual_seed(2)
    assert torch.equal(corrupt(name, x, seed=3), first)
    assert not torch.equal(corrupt(name, x, seed=4), first)
    torch.manual_seed(1)
    assert torch.equal(torch.get_rng_state(), state)  # nothing is drawn from the global generator


@pytest.mark.parametrize("name", WITH_LEVEL)
def test_two_draws_from_one_generator_differ(name):
    noise, draws, x = corruption(name, 0.3), generator(), torch.rand(50, 7)
    assert not torch.equal(noise(x, draws), noise(x, draws))


@pytest.mark.parametrize("level", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("name", NOISES.names())
def test_the_input_is_left_untouched(name, level):
    x = torch.rand(50, 7)
    before = x.clone()
    corrupt(name, x, level)
    assert torch.equal(x, before)


def test_an_unknown_name_is_refused_with_the_choices():
    with pytest.raises(ValueError, match="noise=fog: choose one of gaussian, uniform, masking"):
        satae.corruption("fog", level=0.3)


# Adversarial noise

MODELS = {
    "mlp": lambda act=nn.Tanh, norm=False: satae.mlp((1, 6, 6), act, widths=[12, 5], batch_norm=norm),
    "conv": lambda act=nn.Tanh, norm=False: satae.conv((1, 6, 6), act, channels=[3, 4], code=5, batch_norm=norm),
}


def rough(kind):
    """A model in which an ascent overshoots: its pre-activations change much in a step; elements differ in scale."""
    model = MODELS[kind]()
    model.standardize_by(torch.rand(1, 6, 6), 0.2 + 4 * torch.rand(1, 6, 6))
    with torch.no_grad():
        for weights in model.parameters():
            weights.mul_(4)
    return model


@torch.no_grad()
def errors(model, x, x_noisy):
    return (model.decoder(model.encode(x_noisy)) - model.standardize(x)).square().flatten(1).sum(dim=1)


@pytest.mark.parametrize("kind", MODELS)
@given(level=st.floats(0.01, 2), steps=st.integers(1, 4), low=st.floats(-3, 0), seed=st.integers(0, 99))
def test_adversarial_noise_stays_in_the_box_and_is_no_easier_than_its_random_start(kind, level, steps, low, seed):
    torch.manual_seed(seed)
    model, span = rough(kind), (low, low + 1)
    x = (torch.rand(9, 1, 6, 6) + low).clamp(*span)
    found, start = (
        corruption(name, level, span, model, steps)(x, generator(seed)) for name in ("adversarial", "uniform")
    )
    assert (found >= torch.maximum(x - level, torch.tensor(span[0]))).all()
    assert (found <= torch.minimum(x + level, torch.tensor(span[1]))).all()
    assert (errors(model, x, found) >= errors(model, x, start) * (1 - 1e-6)).all()
    assert not found.requires_grad


def test_adversarial_noise_finds_the_corner_that_is_farthest_from_the_input():
    x = torch.rand(20, 7) * 0.6 + 0.2
    torch.testing.assert_close((corrupt("adversarial", x, 0.2) - x).abs(), torch.full_like(x, 0.2))
    corners = torch.tensor([*itertools.product([-0.2, 0.2], repeat=4)])
    model, x = satae.mlp((4,), nn.Identity, widths=[3]), torch.rand(1, 4) * 0.6 + 0.2
    largest = errors(model, x.expand(len(corners), 4), x + corners).max()
    paths = corruption("adversarial", 0.2, model=model, steps=20)(x.expand(50, 4), generator())
    assert errors(model, x, paths).max().item() == pytest.approx(largest.item(), rel=1e-5)


class Bump(nn.Module):
    """exp(-10 z^2)."""

    def forward(self, z):
        return torch.exp(-10 * z.square())


def test_the_steps_of_the_search_shrink_so_that_it_finds_a_largest_error_between_the_ends():
    model = satae.mlp((1,), Bump, widths=[1])
    with torch.no_grad():
        for weights, value in zip(model.parameters(), (1.0, -0.3, 1.0, 0.0), strict=True):  # error Bump(x - 0.3)^2 at 0
            weights.fill_(value)
    found = corruption("adversarial", 1.0, (-2.0, 2.0), model, steps=20)(torch.zeros(50, 1), generator())
    torch.testing.assert_close(found, torch.full_like(found, 0.3), rtol=0, atol=0.1)


def test_adversarial_noise_of_a_model_without_gradient_is_its_random_start():
    model = MODELS["mlp"](lambda: nn.Hardtanh(0, 1))
    with torch.no_grad():
        model.encoder.layer1.affine.bias.fill_(1e3)
    x = torch.rand(9, 1, 6, 6)
    found, start = (corruption(name, 0.2, model=model)(x, generator()) for name in ("adversarial", "uniform"))
    assert torch.equal(found, start)


@pytest.mark.parametrize("kind", MODELS)
def test_the_search_leaves_the_model_as_it_was(kind):
    model, x = MODELS[kind](norm=True), torch.rand(9, 1, 6, 6)
    model.decoder.eval()
    model.encoder.layer1.affine.bias.requires_grad_(False)
    for weights in [*model.parameters()][::2]:
        weights.grad = torch.ones_like(weights)

    def facts():
        grads = [None if weights.grad is None else weights.grad.clone() for weights in model.parameters()]
        flags = [part.training for part in model.modules()], [weights.requires_grad for weights in model.parameters()]
        return {name: value.clone() for name, value in model.state_dict().items()}, grads, flags

    before = facts()
    corruption("adversarial", 0.2, model=model)(x, generator())
    torch.testing.assert_close(facts(), before, rtol=0, atol=0)


@pytest.mark.parametrize("kind", MODELS)
def test_each_input_is_searched_for_itself(kind, monkeypatch):
    model, x = MODELS[kind](norm=True), torch.rand(9, 1, 6, 6)
    noise, others = corruption("adversarial", 0.2, model=model), torch.rand(9, 1, 6, 6)
    found, others[4] = noise(x, generator()), x[4]
    torch.testing.assert_close(noise(others, generator())[4], found[4])
    monkeypatch.setattr(noise_module, "SEARCHED_NUMBERS", 2 * 36)  # two inputs at a time
    torch.testing.assert_close(noise(x, generator()), found)


@pytest.mark.parametrize("without_gradients", [torch.no_grad, torch.inference_mode])
def test_the_search_takes_gradients_where_none_are_recorded(without_gradients):
    model, x = MODELS["mlp"](), torch.rand(9, 1, 6, 6)
    noise = corruption("adversarial", 0.2, model=model)
    with without_gradients():
        found = noise(x * 1, generator())
    assert torch.equal(found, noise(x, generator()))


def test_adversarial_noise_needs_a_model_and_a_step():
    with pytest.raises(ValueError, match="noise=adversarial: is searched for on a model; give model="):
        satae.corruption("adversarial", level=0.1, steps=3)
    with pytest.raises(ValueError, match="steps=0: must be at least 1"):
        satae.corruption("adversarial", level=0.1, steps=0, model=IDENTITY)
