"""Corruption: statistics, range, reproducible from its generator and from nothing else."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import satae
from satae.config.registry import NOISES

COUNT = 200_000
WITH_LEVEL = [name for name in NOISES.names() if name != "none"]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def corrupt(name, x, level=0.25, seed=0, span=(0.0, 1.0)):
    options = {} if name == "none" else {"level": level}
    return satae.corruption(name, span=span, **options)(x, generator(seed))


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
    shape=st.lists(st.integers(0, 4), min_size=1, max_size=4),
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
    noise, draws, x = satae.corruption(name, level=0.3), generator(), torch.rand(50, 7)
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
