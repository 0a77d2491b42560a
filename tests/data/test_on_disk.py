"""Rows in a file stand for a tensor: same shape, same rows, same numbers."""

from dataclasses import replace

import numpy
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from satae.data import dataset
from satae.data.dataset import Dataset, OnDisk, Split

COUNT = 11
DTYPES = ["uint8", "float16", "float32", "float64", ">f4", ">f8"]
ROWS = [((5,), (0, 1)), ((3, 4, 5), (0, 1, 2, 3)), ((4, 5, 3), (0, 3, 1, 2)), ((2, 3), (0, 2, 1))]
everything = pytest.mark.parametrize(("row", "axes"), ROWS, ids=str)


def pair(folder, dtype="float32", row=(5,), axes=(0, 1), count=COUNT):
    values = (numpy.random.default_rng(0).random((count, *row)) * 255).astype(dtype)
    numpy.save(folder / "x.npy", values)
    stored = replace(OnDisk.of(numpy.load(folder / "x.npy", mmap_mode="r")), axes=axes)
    wanted = values.transpose(axes).astype("uint8" if dtype == "uint8" else "float32")
    return stored, torch.from_numpy(numpy.ascontiguousarray(wanted))


def same(stored, wanted):
    assert (len(stored), stored.shape) == (len(wanted), wanted.shape)
    found = stored.load()
    assert found.dtype == wanted.dtype
    assert found.is_contiguous()
    assert torch.equal(found, wanted)
    assert stored.float().dtype == torch.float32
    assert torch.equal(stored.float(), wanted.float())


@pytest.mark.parametrize("dtype", DTYPES)
@everything
def test_rows_in_a_file_are_those_of_the_tensor(tmp_path, dtype, row, axes):
    stored, wanted = pair(tmp_path, dtype, row, axes)
    assert stored.itemsize == wanted.element_size()
    same(stored, wanted)


@everything
def test_slices_indices_and_parts_are_those_of_the_tensor(tmp_path, row, axes):
    stored, wanted = pair(tmp_path, "float32", row, axes)
    chosen = [
        slice(None),
        slice(3),
        slice(2, 9, 3),
        slice(-4, None),
        torch.tensor([7, 0, 7, 7, 10]),
        torch.tensor([-1]),
    ]
    for rows in chosen:
        same(stored[rows], wanted[rows])
    mask = torch.arange(COUNT) % 3 == 1
    same(stored[mask], wanted[mask])
    same(stored[torch.tensor([9, 1, 4, 1])][1:][torch.tensor([2, 0])], wanted[torch.tensor([1, 1])])


@pytest.mark.parametrize("size", [1, 4, COUNT, 50])
def test_split_gives_the_parts_of_the_tensor(tmp_path, size):
    stored, wanted = pair(tmp_path)
    parts = stored[torch.arange(COUNT).flip(0)].split(size)
    for ours, theirs in zip(parts, wanted.flip(0).split(size), strict=True):
        same(ours, theirs)


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_no_rows_are_an_empty_tensor(tmp_path, dtype):
    stored, wanted = pair(tmp_path, dtype)
    same(stored[:0], wanted[:0])


@given(order=st.lists(st.integers(-COUNT, COUNT - 1), min_size=1, max_size=30))
def test_any_order_with_repetitions(tmp_path_factory, order):
    stored, wanted = pair(tmp_path_factory.mktemp("rows"), "float16", (2, 3), (0, 2, 1))
    same(stored[torch.tensor(order)], wanted[torch.tensor(order)])


def test_rows_are_read_to_their_device(tmp_path):
    stored, wanted = pair(tmp_path)
    assert stored.device.type == "cpu"
    moved = stored.to(torch.device("meta"))
    for part in (moved, moved[2:5], *moved.split(4)):
        assert part.device.type == part.load().device.type == part.float().device.type == "meta"
        assert part.load().shape == part.shape
    same(moved.to(torch.device("cpu")), wanted)


def test_a_file_that_became_shorter_is_named(tmp_path):
    stored, wanted = pair(tmp_path)
    file = tmp_path / "x.npy"
    file.write_bytes(file.read_bytes()[:-1])
    same(stored[: COUNT - 1], wanted[: COUNT - 1])
    with pytest.raises(OSError, match="shorter") as refusal:
        stored.load()
    assert str(file) in str(refusal.value)


def test_a_file_that_is_gone_is_named(tmp_path):
    stored, _ = pair(tmp_path)
    (tmp_path / "x.npy").unlink()
    with pytest.raises(FileNotFoundError, match=r"x\.npy"):
        stored.float()


# In a data set


@pytest.mark.parametrize(("dtype", "size"), [("uint8", 1), ("float16", 4), ("float64", 4)])
def test_a_small_split_is_held_in_memory_and_a_large_one_is_not(tmp_path, monkeypatch, dtype, size):
    stored, wanted = pair(tmp_path, dtype)
    split = Split(stored, torch.arange(COUNT))
    monkeypatch.setattr(dataset, "MEMORY_BYTES", COUNT * 5 * size)
    assert torch.equal(split.in_memory_if_small().x, wanted)
    assert split.in_memory_if_small().y is split.y
    monkeypatch.setattr(dataset, "MEMORY_BYTES", COUNT * 5 * size - 1)
    assert split.in_memory_if_small() is split
    in_memory = Split(wanted)
    assert in_memory.in_memory_if_small() is in_memory


@pytest.mark.parametrize("dtype", ["uint8", "float32", ">f4"])
@pytest.mark.parametrize(("row", "axes"), ROWS[:3], ids=str)
def test_statistics_and_batches_are_those_in_memory(tmp_path, monkeypatch, dtype, row, axes):
    monkeypatch.setattr(dataset, "CHUNK_NUMBERS", 4 * 60)  # several chunks
    stored, wanted = pair(tmp_path, dtype, row, axes)
    ours, theirs = (
        Dataset("test", *[Split(x)] * 3, span=(0.0, 1.0), scale=1 / 255, offset=-0.5) for x in (stored, wanted)
    )
    assert ours.shape == theirs.shape
    assert torch.equal(ours.batch(stored[2:7]), theirs.batch(wanted[2:7]))
    for found, right in zip(ours.statistics, theirs.statistics, strict=True):
        assert found.shape == right.shape
        torch.testing.assert_close(found, right, rtol=1e-6, atol=0)
