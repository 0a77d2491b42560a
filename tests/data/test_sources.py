"""The data sources: what they promise of shape, range and seed."""

import math
from typing import get_args, get_type_hints

import pytest
import torch

from satae.config.registry import DATA_SOURCES
from satae.data.digits import digits
from satae.data.manifold import CURVES, manifold
from satae.errors import ConfigError


def everything(data):
    return torch.cat([split.x for split in (data.train, data.valid, data.test)])


def test_digits():
    data = digits()
    assert (data.shape, data.span) == ((1, 8, 8), (0.0, 1.0))
    assert [len(split.x) for split in (data.train, data.valid, data.test)] == [1257, 270, 270]
    x = data.batch(everything(data))
    assert (x.min().item(), x.max().item()) == data.span
    labels = torch.cat([split.y for split in (data.train, data.valid, data.test)])
    assert labels.bincount().tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def test_digits_against_their_source():
    from sklearn.datasets import load_digits

    data, source = digits(), load_digits()
    there = {(image.tobytes(), int(label)) for image, label in zip(source.images, source.target, strict=True)}
    for split in (data.train, data.valid, data.test):
        for image, label in zip(16 * data.batch(split.x).double(), split.y, strict=True):
            assert (image[0].numpy().tobytes(), label.item()) in there


@pytest.mark.parametrize("source", [digits, manifold])
def test_sources_are_seeded_and_split_disjointly(source):
    first, again, other = source(), source(), source(split_seed=1)
    assert torch.equal(first.train.x, again.train.x)
    assert torch.equal(first.test.x, again.test.x)
    assert not torch.equal(first.train.x, other.train.x)
    assert len(everything(first)) == (1797 if source is digits else 2000)
    assert [len(split.x) for split in source(limit=9).splits] == [9, 9, 9]


@pytest.mark.parametrize("source", [digits, manifold])
def test_an_empty_split_is_refused(source):
    with pytest.raises(ValueError, match=r"together must be below 1"):
        source(valid=0.6, test=0.5)


@pytest.mark.parametrize("curve", CURVES)
def test_curves_lie_in_the_square(curve):
    data = manifold(curve=curve, count=5000)
    points = everything(data)
    assert data.shape == (2,)
    assert data.span == (-1.0, 1.0)
    assert points.shape == (5000, 2)
    assert points.abs().max() <= 1
    assert points.abs().max() > 0.75  # and fill it
    assert points.dtype == torch.float32


EQUATIONS = {
    "arc": lambda x, y: y - (x**2 - 0.5),
    "line": lambda x, y: y - x / 2,
    "circle": lambda x, y: x**2 + y**2 - 0.64,
    "spiral": lambda x, y: torch.sin((torch.hypot(x, y) - 0.1) / 0.8 * 4 * math.pi - torch.atan2(y, x)),
}


@pytest.mark.parametrize("curve", CURVES)
def test_points_satisfy_the_equation_of_their_curve(curve):
    x, y = everything(manifold(curve=curve)).double().t()
    assert EQUATIONS[curve](x, y).abs().max() < 1e-4


@pytest.mark.parametrize("curve", ["arc", "line"])
def test_curves_are_covered_evenly(curve):
    x = everything(manifold(curve=curve, count=20_000))[:, 0]
    shares = torch.histc(x, bins=9, min=-0.9, max=0.9) / len(x)
    torch.testing.assert_close(shares, torch.full((9,), 1 / 9), rtol=0, atol=0.01)


def test_an_unknown_curve_is_refused_with_the_choices():
    with pytest.raises(ConfigError, match=r"data.curve=knot: choose one of arc, line, circle, spiral"):
        DATA_SOURCES.choice("manifold", DATA_SOURCES.defaults("manifold") | {"curve": "knot"})


def test_every_curve_is_an_option():
    assert get_args(get_type_hints(manifold)["curve"]) == tuple(CURVES)
