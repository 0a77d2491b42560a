"""Patches of photographs: where they come from, and what is done to their numbers."""

import numpy
import pytest
import torch
from PIL import Image

from satae.data.patches import patches

RANDOM = numpy.random.default_rng(0)
SIZE = 5


def album(root, *photographs):
    root.mkdir()
    for number, values in enumerate(photographs):
        Image.fromarray(values).save(root / f"{number}.png")
    return str(root)


def noise(*shape):
    return RANDOM.integers(0, 256, shape).astype("uint8")


def columns(width=200, height=40):
    """A photograph in which the grey level of a pixel is its column."""
    return numpy.arange(width, dtype="uint8")[None].repeat(height, axis=0)


def levels(split):
    return set(split.x.flatten().tolist())


@pytest.mark.parametrize("colour", [False, True])
def test_shape_and_counts(colour):
    data = patches(size=7, count=1000, colour=colour, valid=0.2, test=0.1)
    assert data.shape == (3 if colour else 1, 7, 7)
    assert [len(split.x) for split in data.splits] == [700, 200, 100]
    assert {split.x.dtype for split in data.splits} == {torch.uint8}
    assert [split.y for split in data.splits] == [None] * 3


@pytest.mark.parametrize("colour", [False, True])
def test_training_pixels_have_mean_0_and_deviation_1(colour):
    data = patches(count=3000, colour=colour)
    x = data.batch(data.train.x).double()
    assert abs(x.mean().item()) < 1e-5
    assert abs(x.std(correction=0).item() - 1) < 1e-5
    if not colour:
        pixelwise = data.statistics
        assert abs((pixelwise.std.square().item() + pixelwise.mean.square().mean().item()) - 1) < 1e-4


def test_all_splits_keep_the_span(tmp_path):
    photograph = noise(40, 200)
    photograph[:, :100] //= 4  # so that the others reach further than the training split
    photograph[:, 140:] = (0, 255) * 30
    data = patches(path=album(tmp_path / "in", photograph), size=SIZE, count=500)
    low, high = data.span
    for split in data.splits:
        x = data.batch(split.x)
        assert low - 1e-5 <= x.min() <= x.max() <= high + 1e-5
    black_and_white = data.batch(torch.tensor([0, 255], dtype=torch.uint8))
    torch.testing.assert_close(black_and_white, torch.tensor([low, high]))


def test_patches_are_drawn_from_their_seed_alone():
    first, other = (patches(count=200, split_seed=seed) for seed in (0, 1))
    torch.manual_seed(9)
    numpy.random.seed(9)
    again = patches(count=200, split_seed=0)
    for number in range(3):
        assert torch.equal(again.splits[number].x, first.splits[number].x)
        assert not torch.equal(other.splits[number].x, first.splits[number].x)
    assert again.span == first.span


def test_limit_keeps_the_first_of_each_split():
    whole, limited = patches(count=200, valid=0.2, test=0.1), patches(count=200, valid=0.2, test=0.1, limit=30)
    assert [len(split.x) for split in limited.splits] == [30, 30, 20]
    for number in range(3):
        assert torch.equal(limited.splits[number].x, whole.splits[number].x[:30])
    assert abs(limited.batch(limited.train.x).double().mean().item()) < 1e-5


@pytest.mark.parametrize(("valid", "test"), [(0.15, 0.15), (0.3, 0.1), (0.05, 0.6)])
@pytest.mark.parametrize("size", [1, SIZE, 10])
def test_splits_share_no_pixel_and_use_their_whole_part(tmp_path, valid, test, size):
    path = album(tmp_path / "in", columns())
    data = patches(path=path, size=size, count=20_000, valid=valid, test=test)
    first, second = round(200 * (1 - valid - test)), round(200 * (1 - test))
    parts = [levels(split) for split in data.splits]
    assert parts == [set(range(first)), set(range(first, second)), set(range(second, 200))]


def test_splits_share_no_pixel_of_any_photograph(tmp_path):
    path = album(tmp_path / "in", columns(100), columns(67) + 100, columns(33) + 170)
    data = patches(path=path, size=3, count=5000)
    parts = [levels(split) for split in data.splits]
    assert not parts[0] & parts[1]
    assert not parts[1] & parts[2]
    assert not parts[0] & parts[2]
    for start, stop in ((0, 100), (100, 167), (170, 203)):
        assert all(part & set(range(start, stop)) for part in parts)


@pytest.mark.parametrize("colour", [False, True])
def test_every_patch_is_in_its_photograph(tmp_path, colour):
    shapes = [(30, 60), (50, 70), (20, 90)]
    photographs = [noise(*shape, 3) if colour else noise(*shape) for shape in shapes]
    data = patches(path=album(tmp_path / "in", *photographs), size=SIZE, count=400, colour=colour)
    squares = []
    for photograph in photographs:
        image = photograph.reshape(*photograph.shape[:2], -1).transpose(2, 0, 1)
        views = numpy.lib.stride_tricks.sliding_window_view(image, (SIZE, SIZE), axis=(1, 2)).transpose(1, 2, 0, 3, 4)
        squares.append({view.tobytes() for row in views for view in row})
    for split in data.splits:
        found = [patch.numpy().tobytes() for patch in split.x]
        assert all(any(patch in square for square in squares) for patch in found)
        assert all(any(patch in square for patch in found) for square in squares)


def test_a_patch_as_large_as_its_part_fits(tmp_path):
    path = album(tmp_path / "in", noise(20, 100))
    assert patches(path=path, size=15, count=100).shape == (1, 15, 15)
    with pytest.raises(ValueError, match=r"is 100x20; for size=16 .* at least 114x16") as refusal:
        patches(path=path, size=16, count=100)
    assert f"{path}/0.png" in str(refusal.value)
    with pytest.raises(ValueError, match=r"is 100x20; for size=21"):
        patches(path=path, size=21, count=100, valid=0.3, test=0.3)


def test_the_photographs_of_scikit_learn_are_refused_a_size_they_do_not_have():
    with pytest.raises(ValueError, match=r"china\.jpg: is 640x427; for size=97 .* at least 654x97"):
        patches(size=97, count=100)


def test_a_photograph_that_cannot_be_read_is_named(tmp_path):
    path = album(tmp_path / "in", noise(20, 100))
    (tmp_path / "in" / "bad.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"in/bad\.png: cannot be read as an image .*replace it"):
        patches(path=path, size=SIZE, count=100)


def test_a_photograph_that_is_turned_is_counted(tmp_path):
    photograph = Image.fromarray(numpy.random.default_rng(0).integers(0, 256, (30, 30), "uint8"))
    photograph.getexif()[274] = 6
    photograph.save(tmp_path / "a.jpg", exif=photograph.getexif())
    notes = patches(path=str(tmp_path), size=3, count=90).notes
    assert notes == ("1 of 1 images are turned or mirrored, as their EXIF data say",)


def test_no_photographs_are_refused(tmp_path):
    (tmp_path / "in").mkdir()
    with pytest.raises(ValueError, match=r"path=.*in: no images"):
        patches(path=str(tmp_path / "in"))
    with pytest.raises(ValueError, match=r"path=.*nowhere: no such folder"):
        patches(path=str(tmp_path / "nowhere"))


@pytest.mark.parametrize(("count", "valid", "test"), [(2, 0.15, 0.15), (100, 0.001, 0.2), (100, 0.5, 0.5)])
def test_an_empty_split_is_refused(count, valid, test):
    with pytest.raises(ValueError, match=r"each needs at least one|together must be below 1"):
        patches(count=count, valid=valid, test=test)


def test_a_blank_photograph_is_refused(tmp_path):
    path = album(tmp_path / "in", numpy.full((30, 100), 7, "uint8"))
    with pytest.raises(ValueError, match=r"every number is 7, so that there is nothing to learn"):
        patches(path=path, size=SIZE, count=100)


def test_more_photographs_than_patches(tmp_path):
    path = album(tmp_path / "in", *(noise(20, 60) for _ in range(30)))
    data = patches(path=path, size=SIZE, count=10, valid=0.2, test=0.2)
    assert [len(split.x) for split in data.splits] == [6, 2, 2]


def test_the_first_patches_are_of_all_photographs(tmp_path):
    shades = [numpy.full((40, 200), shade, "uint8") for shade in (10, 200)]
    data = patches(path=album(tmp_path / "in", *shades), size=4, count=400, limit=30)
    assert {*data.train.x.unique().tolist()} == {10, 200}
