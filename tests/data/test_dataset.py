"""What every data source gives: splits, scaling, and the statistics that the model is standardised by."""

import dataclasses

import numpy
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from satae.data.dataset import (
    CHUNK_EXAMPLES,
    CHUNK_NUMBERS,
    Dataset,
    OnDisk,
    Split,
    chunk,
    shuffled_splits,
)


def dataset(x: Tensor, scale: float = 1.0) -> Dataset:
    return Dataset("test", Split(x), Split(x[:0]), Split(x[:0]), span=(0.0, 1.0), scale=scale)


def pool(count: int) -> Split:
    return Split(*numbered(count))


def numbered(count: int) -> tuple[Tensor, Tensor]:
    return torch.arange(count)[:, None].float(), 10 * torch.arange(count)


# Splits


@given(count=st.integers(3, 300), valid=st.floats(0.05, 0.6), test=st.floats(0.05, 0.6), seed=st.integers(0, 2**32 - 1))
def test_splits_are_disjoint_and_complete_or_refused(count, valid, test, seed):
    x, y = numbered(count)
    wanted = [round(count * valid), round(count * test)]
    if min(count - sum(wanted), *wanted) < 1:
        with pytest.raises(ValueError, match=r"each needs at least one|together must be below 1"):
            shuffled_splits(Split(x, y), valid=valid, test=test, seed=seed)
        return
    splits = shuffled_splits(Split(x, y), valid=valid, test=test, seed=seed)
    assert [len(split.x) for split in splits] == [count - sum(wanted), *wanted]
    assert sorted(torch.cat([split.x for split in splits]).flatten().tolist()) == list(range(count))
    for split in splits:
        assert torch.equal(split.y, 10 * split.x.flatten().long())  # a label stays with its example


def test_splits_are_drawn_from_their_seed_alone():
    def drawn(seed):
        return torch.cat([split.x for split in shuffled_splits(pool(50), valid=0.2, test=0.2, seed=seed)])

    torch.manual_seed(1)
    first = drawn(0)
    torch.manual_seed(2)
    assert torch.equal(drawn(0), first)
    assert not torch.equal(drawn(1), first)
    assert not torch.equal(first, numbered(50)[0])  # shuffled


def test_limit_keeps_the_first_of_each_split():
    whole = shuffled_splits(pool(50), valid=0.2, test=0.1, seed=0)
    limited = shuffled_splits(pool(50), valid=0.2, test=0.1, seed=0, limit=7)
    assert [len(split.x) for split in limited] == [7, 7, 5]
    for ours, all_of_it in zip(limited, whole, strict=True):
        assert torch.equal(ours.x, all_of_it.x[:7])
        assert torch.equal(ours.y, all_of_it.y[:7])


def test_a_given_test_split_is_the_test_and_never_trains():
    own = Split(torch.full((7, 1), -1.0), torch.arange(7))
    train, valid, test = shuffled_splits(pool(50), valid=0.2, test=own, seed=0, limit=5)
    assert [len(train.x), len(valid.x), len(test.x)] == [5, 5, 5]
    assert test.y.tolist() == [0, 1, 2, 3, 4]
    assert min(train.x.min(), valid.x.min()) >= 0


def test_a_chunk_is_limited_in_numbers_and_examples():
    assert chunk((3, 500, 500)) * 3 * 500 * 500 <= CHUNK_NUMBERS
    assert chunk((10**9,)) == 1
    assert chunk((2,)) == CHUNK_EXAMPLES


def test_splits_without_labels():
    assert [split.y for split in shuffled_splits(Split(numbered(9)[0]), valid=0.2, test=0.2, seed=0)] == [None] * 3


@pytest.mark.parametrize(
    ("valid", "test", "left"),
    [(0.0, 0.2, (8, 0, 2)), (0.2, 0.01, (8, 2, 0)), (0.55, 0.44, (0, 6, 4))],
)
def test_an_empty_split_is_refused_with_the_numbers(valid, test, left):
    with pytest.raises(ValueError, match=rf"valid={valid:g}, test={test:g}: of 10 examples ") as refusal:
        shuffled_splits(pool(10), valid=valid, test=test, seed=0)
    train, for_valid, for_test = left
    assert f"{train} are left to train, {for_valid} to validate, {for_test} to test" in str(refusal.value)


@pytest.mark.parametrize(("valid", "test"), [(0.5, 0.5), (0.9, 0.9)])
def test_shares_that_leave_nothing_to_train_on_are_refused(valid, test):
    with pytest.raises(ValueError, match=rf"^valid={valid}, test={test}: together must be below 1$"):
        shuffled_splits(pool(10), valid=valid, test=test, seed=0)


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_that_empties_a_split_is_refused(limit):
    with pytest.raises(ValueError, match="limit"):
        shuffled_splits(pool(10), valid=0.2, test=0.2, seed=0, limit=limit)


# Batches


@given(scale=st.sampled_from([1.0, 1 / 16, 1 / 255, 0.1]), dtype=st.sampled_from([torch.uint8, torch.float32]))
def test_a_batch_is_float32_in_the_units_of_the_data(scale, dtype):
    stored = torch.tensor([[0, 1], [16, 255]]).to(dtype)
    batch = dataset(stored, scale).batch(stored)
    assert batch.dtype == torch.float32
    numpy.testing.assert_allclose(batch.numpy(), numpy.array([[0, 1], [16, 255]]) * scale, rtol=1e-6)


def test_an_offset_is_added_after_the_scale():
    data = dataclasses.replace(dataset(torch.tensor([[0], [255]], dtype=torch.uint8), 1 / 51), offset=-2.0)
    torch.testing.assert_close(data.batch(data.train.x), torch.tensor([[-2.0], [3.0]]))


def test_shape_and_device():
    data = Dataset("test", *[Split(torch.zeros(n, 3, 4, 5), torch.zeros(n)) for n in (4, 2, 1)], span=(0.0, 1.0))
    assert data.shape == (3, 4, 5)
    moved = data.to(torch.device("meta"))
    for part, was in zip((moved.train, moved.valid, moved.test), (data.train, data.valid, data.test), strict=True):
        assert part.x.device.type == part.y.device.type == "meta"
        assert (part.x.shape, part.y.shape) == (was.x.shape, was.y.shape)


# Fingerprints


@given(row=st.integers(0, 4999), column=st.integers(0, 2), valid=st.booleans())
def test_every_number_changes_the_fingerprint(row, column, valid):
    x = torch.arange(15_000, dtype=torch.int64).remainder(251).to(torch.uint8).reshape(5000, 3)
    other = x.clone()
    other[row, column] += 1
    data = Dataset("test", *[Split(x)] * 3, span=(0.0, 1.0))
    changed = dataclasses.replace(data, valid=Split(other)) if valid else dataclasses.replace(data, train=Split(other))
    assert data.fingerprint == dataclasses.replace(data, train=Split(x.clone()), test=Split(other)).fingerprint
    assert changed.fingerprint != data.fingerprint


def test_type_order_shape_and_number_change_the_fingerprint():
    x = torch.arange(24, dtype=torch.uint8).reshape(6, 4)
    others = [x.view(torch.int8), x.flip(0), x.reshape(6, 2, 2), x[:5], x.float(), x.T.contiguous().T.flip(1)]
    found = {Dataset("test", *[Split(one)] * 3, span=(0.0, 1.0)).fingerprint for one in [x, *others]}
    assert len(found) == 7
    assert Dataset("test", *[Split(x.T.contiguous().T)] * 3, span=(0.0, 1.0)).fingerprint in found


def test_the_fingerprint_of_a_file_depends_on_its_size_and_some_examples(tmp_path):
    def of(x, more=b""):
        numpy.save(tmp_path / "x.npy", x)
        with (tmp_path / "x.npy").open("ab") as file:
            file.write(more)
        split = Split(OnDisk.of(numpy.load(tmp_path / "x.npy", mmap_mode="r")))
        return Dataset("test", split, split, split, span=(0.0, 1.0)).fingerprint

    x = numpy.random.default_rng(0).random((5000, 3), dtype="float32")
    assert of(x) == of(x.copy())
    assert len({of(x), of(x + 1), of(x, b"0"), of(x[::-1])}) == 4


# Statistics


@pytest.mark.parametrize("shape", [(5,), (1, 4, 4), (3, 4, 5)])
def test_statistics_against_numpy(shape):
    x = torch.rand(200, *shape) * torch.linspace(0.1, 4, shape[-1]) + 2
    found = dataset(x).statistics
    values = x.numpy().astype(numpy.float64)
    mean = values.mean(axis=0)
    if len(shape) == 1:
        std = values.std(axis=0)
    else:
        std = numpy.sqrt(((values - mean) ** 2).mean(axis=(0, 2, 3)))[:, None, None]
    assert found.mean.dtype == found.std.dtype == torch.float32
    assert found.mean.shape == shape
    assert tuple(found.std.shape) == std.shape
    numpy.testing.assert_allclose(found.mean.numpy(), mean, rtol=1e-6)
    numpy.testing.assert_allclose(found.std.numpy(), std, rtol=1e-6)


@pytest.mark.parametrize("shape", [(5,), (3, 4, 5)])
def test_standardised_data_have_mean_0_and_variance_1(shape):
    x = torch.rand(300, *shape) * 7 - 2
    mean, std = dataset(x).statistics
    z = (x - mean) / std
    torch.testing.assert_close(z.mean(0), torch.zeros(shape), rtol=0, atol=1e-5)
    channels = z.transpose(0, 1).flatten(1)
    torch.testing.assert_close(channels.square().mean(dim=1), torch.ones(shape[0]))


def test_statistics_are_of_the_scaled_values_of_the_training_split():
    stored = torch.randint(0, 256, (100, 1, 3, 3), dtype=torch.uint8)
    data = dataclasses.replace(dataset(stored, 1 / 255), valid=Split(255 - stored))
    found = data.statistics
    values = stored.numpy() / 255
    numpy.testing.assert_allclose(found.mean.numpy(), values.mean(axis=0), rtol=1e-5)
    numpy.testing.assert_allclose(found.std.item(), numpy.sqrt((values.std(axis=0) ** 2).mean()), rtol=1e-5)


def test_statistics_of_more_examples_than_are_scaled_at_a_time():
    x = torch.cat([torch.rand(9000, 2), 5 + torch.rand(4000, 2)])
    assert len(x) > chunk((2,))
    found, values = dataset(x).statistics, x.numpy().astype(numpy.float64)
    numpy.testing.assert_allclose(found.mean.numpy(), values.mean(axis=0), rtol=1e-6)
    numpy.testing.assert_allclose(found.std.numpy(), values.std(axis=0), rtol=1e-6)


@given(value=st.floats(-1e3, 1e3, width=32))
def test_the_deviation_is_1_where_nothing_varies(value):
    x = torch.rand(30, 4)
    x[:, 2] = value
    mean, std = dataset(x).statistics
    assert (mean[2].item(), std[2].item()) == (value, 1.0)
    images = torch.rand(30, 2, 3, 3)
    images[:, 1] = value
    assert dataset(images).statistics.std[1].item() == 1.0


def test_a_constant_pixel_of_an_image_shares_the_deviation_of_its_channel():
    images = torch.rand(30, 1, 3, 3)
    images[:, 0, 1, 1] = 0.7
    std = dataset(images).statistics.std
    assert std.shape == (1, 1, 1)
    assert 0 < std.item() < 0.4
