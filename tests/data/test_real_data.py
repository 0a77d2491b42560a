"""The published data sets themselves, where this machine has them."""

import pytest
import torch
from program import here

from satae.data.cifar10 import cifar10
from satae.data.local_files import CACHE_VARIABLE, cache_folder
from satae.data.mnist import fashion_mnist, mnist
from satae.data.published import PUBLISHED_SETS, is_complete
from satae.data.svhn import svhn

WHERE = str(cache_folder())


@pytest.fixture(autouse=True)
def _the_users_cache(monkeypatch):
    monkeypatch.setenv(CACHE_VARIABLE, WHERE)


def need(published, remedy):
    return pytest.mark.skipif(not is_complete(published), reason=f"needs the files of {published.name}: {remedy}")


def fetched(published):
    return need(published, f"satae-data fetch {published.name}")


needs_fashion_mnist = need(PUBLISHED_SETS["fashion_mnist"], "apt-get install dataset-fashion-mnist")


@pytest.fixture(scope="module")
def fashion():
    return fashion_mnist()


@needs_fashion_mnist
def test_fashion_mnist(fashion):
    assert [len(split.x) for split in fashion.splits] == [54_000, 6_000, 10_000]
    assert (fashion.name, fashion.shape, fashion.span) == ("fashion_mnist", (1, 28, 28), (0.0, 1.0))
    assert {split.x.dtype for split in fashion.splits} == {torch.uint8}
    x = fashion.batch(fashion.test.x)
    assert (x.min().item(), x.max().item()) == (0, 1)
    assert torch.cat([fashion.train.y, fashion.valid.y]).bincount().tolist() == [6_000] * 10
    assert fashion.test.y.bincount().tolist() == [1_000] * 10


@needs_fashion_mnist
def test_images_of_fashion_mnist_keep_their_labels(fashion):
    means = torch.stack([fashion.batch(fashion.train.x[fashion.train.y == label]).mean(0) for label in range(10)])
    distances = torch.cdist(fashion.batch(fashion.test.x).flatten(1), means.flatten(1))
    assert (distances.argmin(1) == fashion.test.y).float().mean() > 0.6


@needs_fashion_mnist
def test_binarize(fashion):
    data = fashion_mnist(binarize=True)
    assert data.test.x.unique().tolist() == [0, 255]
    assert torch.equal(data.train.x == 255, fashion.train.x > 127)
    assert data.batch(data.test.x[:99]).unique().tolist() == [0, 1]


@needs_fashion_mnist
def test_limit(fashion):
    data = fashion_mnist(limit=7)
    for split, whole in zip(data.splits, fashion.splits, strict=True):
        assert torch.equal(split.x, whole.x[:7])
        assert torch.equal(split.y, whole.y[:7])


@needs_fashion_mnist
def test_another_split_has_the_same_test(fashion):
    data = fashion_mnist(split_seed=1)
    assert torch.equal(data.test.x, fashion.test.x)
    assert not torch.equal(data.valid.x, fashion.valid.x)
    assert torch.cat([data.train.y, data.valid.y]).bincount().tolist() == [6_000] * 10
    total = sum(split.x.sum(dtype=torch.int64) for split in fashion.splits[:2])
    assert sum(split.x.sum(dtype=torch.int64) for split in data.splits[:2]) == total


@needs_fashion_mnist
def test_the_command_trains_on_fashion_mnist(tmp_path):
    words = ("data=fashion_mnist", "data.limit=256", "epochs=1", "threads=1", "arch.widths=[16,4]")
    code, out, err = here(tmp_path, *words)
    assert (code, err) == (0, "")
    assert "fashion_mnist" in out


@pytest.mark.parametrize(
    ("source", "sizes", "shape", "test_labels"),
    [
        pytest.param(
            mnist,
            [54_000, 6_000, 10_000],
            (1, 28, 28),
            [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009],
            marks=fetched(PUBLISHED_SETS["mnist"]),
        ),
        pytest.param(
            cifar10, [45_000, 5_000, 10_000], (3, 32, 32), [1_000] * 10, marks=fetched(PUBLISHED_SETS["cifar10"])
        ),
        pytest.param(
            svhn,
            [65_931, 7_326, 26_032],
            (3, 32, 32),
            [1744, 5099, 4149, 2882, 2523, 2384, 1977, 2019, 1660, 1595],
            marks=fetched(PUBLISHED_SETS["svhn"]),
        ),
    ],
)
def test_fetched_data_have_the_published_sizes_and_labels(source, sizes, shape, test_labels):
    data = source()
    assert [len(split.x) for split in data.splits] == sizes
    assert data.shape == shape
    assert {split.x.dtype for split in data.splits} == {torch.uint8}
    assert data.test.y.bincount().tolist() == test_labels
