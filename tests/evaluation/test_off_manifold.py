"""What is held against the data is what it is called."""

import pytest
import torch

from satae.config import ConfigError
from satae.data.dataset import Dataset, Split
from satae.evaluation.parts.manifold import NO_OTHER, off_manifold, other_data_set, other_images
from satae.evaluation.subject import Subject
from satae.experiment import build
from satae.model.complement import Complement


@pytest.fixture
def subject(configuration):
    """An untrained model of digits, and 60 of them."""
    config = configuration("data=digits")
    data = build.dataset(config)
    model = build.model(config, data.shape).eval()
    f_c = Complement(build.activation(config), "input")
    x, y = data.batch(data.test.x[:60]), data.test.y[:60]
    return Subject(config, 0, model, f_c, data, data.statistics, x, y, seed=0, batch_size=None)


def wide(subject, *shape):
    """The same with inputs of another shape, which lie between -1 and 3."""
    x = torch.zeros(40, *shape)
    return subject._replace(x=x, data=Dataset("array", Split(x), Split(x), Split(x), span=(-1.0, 3.0)))


def test_noise_fills_the_range_of_the_data(subject):
    x = off_manifold(subject, NO_OTHER)["uniform"]()
    assert x.shape == subject.x.shape
    assert x.min() >= 0
    assert x.max() <= 1
    assert x.mean() == pytest.approx(0.5, abs=0.02)
    x = off_manifold(wide(subject, 1, 8, 8), NO_OTHER)["uniform"]()
    assert x.mean() == pytest.approx(1, abs=0.1)
    assert -1 <= x.min() < -0.9


def test_gaussian_noise_has_the_mean_of_each_element(subject):
    subject = subject._replace(x=subject.x.repeat(50, 1, 1, 1))
    x, mean = off_manifold(subject, NO_OTHER)["gaussian"](), subject.statistics.mean
    grey = (mean > 0.45) & (mean < 0.55)  # of the others more is clipped at one end
    assert grey.any()
    torch.testing.assert_close(x.mean(0)[grey], mean[grey], atol=0.03, rtol=0)


def test_shuffled_inputs_have_the_same_elements_each_in_its_own_order(subject):
    x = off_manifold(subject, NO_OTHER)["shuffled"]()
    assert torch.equal(x.flatten(1).sort().values, subject.x.flatten(1).sort().values)
    assert not (x == subject.x).flatten(1).all(dim=1).any()
    same = subject._replace(x=torch.arange(64.0).view(1, 1, 8, 8).repeat(20, 1, 1, 1))
    assert len(off_manifold(same, NO_OTHER)["shuffled"]().flatten(1).unique(dim=0)) == 20


def test_interpolated_inputs_lie_midway_between_two_inputs(subject):
    x = off_manifold(subject, NO_OTHER)["interpolated"]()
    middles = (subject.x[:, None] + subject.x[None]).flatten(2) / 2
    for each in x.flatten(1):
        pairs = (middles - each).abs().amax(dim=2).lt(1e-6).nonzero()
        assert len(pairs) == 2  # each pair in both orders, and no input with itself
        assert pairs[0, 0] != pairs[0, 1]


def test_draws_depend_only_on_the_seed(subject):
    for name, drawn in off_manifold(subject, NO_OTHER).items():
        assert torch.equal(drawn(), drawn()), name
        assert not torch.equal(drawn(), off_manifold(subject._replace(seed=1), NO_OTHER)[name]()), name


@pytest.mark.parametrize("name", ["digits", "patches"])
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 12, 12), (1, 10, 14)])
def test_other_images_fit_the_size_the_channels_and_the_range(subject, name, shape):
    x = other_images(name, wide(subject, *shape))
    assert x.shape == (40, *shape)
    assert x.min() >= -1
    assert x.max() <= 3
    assert x.max() - x.min() > 2
    assert (name == "digits" and shape[0] == 3) == bool(shape[0] == 3 and torch.equal(x[:, 0], x[:, 1]))


@pytest.mark.parametrize(
    ("other", "own", "shape", "found"),
    [
        ("auto", "digits", (1, 8, 8), "patches"),
        ("auto", "patches", (3, 8, 8), "digits"),
        ("auto", "array", (5,), "none"),
        ("none", "digits", (1, 8, 8), "none"),
        ("digits", "array", (1, 9, 9), "digits"),
    ],
)
def test_another_data_set_must_hold_images(other, own, shape, found):
    assert other_data_set(other, own, shape) == found


def test_an_unsuitable_other_data_set_is_refused():
    for other, own, shape in [
        ("digits", "digits", (1, 8, 8)),
        ("digits", "array", (5,)),
        ("svhn", "digits", (1, 8, 8)),
        ("array", "digits", (1, 8, 8)),  # needs a path
    ]:
        with pytest.raises(ConfigError, match=f"^manifold.other={other}: "):
            other_data_set(other, own, shape)
