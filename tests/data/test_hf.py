"""Data sets in the format of the Hugging Face library, without a network."""

import io
import sys

import numpy
import pytest
import torch
from PIL import Image

from satae.data import dataset, images
from satae.data.dataset import OnDisk
from satae.data.hf import hf

datasets = pytest.importorskip("datasets")

RANDOM = numpy.random.default_rng(0)
COUNT = 12


@pytest.fixture(autouse=True)
def _offline(tmp_path, monkeypatch):
    import huggingface_hub.constants

    for name in ("HF_DATASETS_CACHE", "HF_MODULES_CACHE"):
        monkeypatch.setattr(datasets.config, name, tmp_path / "hf" / name)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hf" / "hub"))
    datasets.disable_progress_bars()
    yield
    datasets.enable_progress_bars()


@pytest.fixture
def decodings(monkeypatch):
    made, truly = [], images.to_pixels
    monkeypatch.setattr(images, "to_pixels", lambda *given: made.append(1) or truly(*given))
    return made


def photographs(count=COUNT, shape=(6, 5), first=0):
    """Images whose top left pixel is their number."""
    x = RANDOM.integers(0, 256, (count, *shape)).astype("uint8")
    x[:, 0, 0] = (first + numpy.arange(count)).reshape(-1, *[1] * (len(shape) - 2))
    return x


def numbers(count=COUNT, width=3):
    return numpy.arange(count, dtype="float32")[:, None] + numpy.arange(width, dtype="float32") / 8


def table(pictures=None, **columns):
    """A data set with labels that are the numbers of the examples."""
    pictures = photographs() if pictures is None else pictures
    columns = {"image": [Image.fromarray(x) for x in pictures], "label": list(range(len(pictures))), **columns}
    return datasets.Dataset.from_dict(columns).cast_column("image", datasets.Image())


def of_numbers(values, feature=None, **columns):
    features = {"x": feature or datasets.List(datasets.Value("float32"))}
    for name, column in columns.items():
        features[name] = datasets.Value({int: "int64", float: "float64", str: "string"}[type(column[0])])
    return datasets.Dataset.from_dict({"x": values, **columns}, features=datasets.Features(features))


def on_disk(folder, data):
    data.save_to_disk(folder)
    return str(folder)


def everything(data):
    """The stored examples of the splits, with their labels, in the order of the first number."""
    x = torch.cat([split.x.load() if isinstance(split.x, OnDisk) else split.x for split in data.splits])
    return x[x.flatten(1)[:, 0].argsort()]


# Images


def test_images_are_those_of_the_data_set(tmp_path):
    x = photographs()
    data = hf(path=on_disk(tmp_path / "d", table(x)), label="label", valid=0.25, test=0.25)
    assert [len(split.x) for split in data.splits] == [6, 3, 3]
    assert (data.span, data.scale) == ((0.0, 1.0), 1 / 255)
    assert torch.equal(everything(data), torch.from_numpy(x)[:, None])
    for split in data.splits:
        assert split.y.dtype == torch.int64
        assert torch.equal(split.y, split.x[:, 0, 0, 0].long())


@pytest.mark.parametrize("large", [False, True])
def test_colour_and_size(tmp_path, monkeypatch, large):

    monkeypatch.setattr(dataset, "MEMORY_BYTES", 0 if large else 2**29)
    x = photographs(shape=(8, 8, 3))
    path = on_disk(tmp_path / "d", table(x))
    assert torch.equal(everything(hf(path=path, colour=True)), torch.from_numpy(x.transpose(0, 3, 1, 2).copy()))
    assert hf(path=path).shape == (1, 8, 8)
    assert hf(path=path, size=4, colour=True).shape == (3, 4, 4)
    assert isinstance(hf(path=path).train.x, OnDisk) == large


def test_images_that_are_enlarged_are_counted(tmp_path):
    table().save_to_disk(tmp_path / "set")
    assert hf(path=str(tmp_path / "set"), size=6).notes == (
        f"of {COUNT} images that become 6x6 (data.size), {COUNT} are enlarged, the smallest from 5x6; {COUNT} are not"
        " square: their middle is read, 83% of all pixels",
    )


def test_images_are_decoded_once(tmp_path, decodings):
    path = on_disk(tmp_path / "d", table())
    first = hf(path=path)
    assert len(decodings) == COUNT
    assert torch.equal(everything(hf(path=path)), everything(first))
    assert len(decodings) == COUNT
    hf(path=path, size=4)
    assert len(decodings) == 2 * COUNT


def test_a_changed_data_set_is_decoded_again(tmp_path):
    other = photographs(first=50)
    hf(path=on_disk(tmp_path / "d", table()))
    (tmp_path / "d").rename(tmp_path / "old")
    path = on_disk(tmp_path / "d", table(other))
    assert torch.equal(everything(hf(path=path)), torch.from_numpy(other)[:, None])


def test_its_own_test_split_is_used(tmp_path):
    x, x_test = photographs(), photographs(4, first=100)
    path = on_disk(tmp_path / "d", datasets.DatasetDict(train=table(x), test=table(x_test)))
    data = hf(path=path, label="label", test_split="test", valid=0.25)
    assert torch.equal(data.test.x, torch.from_numpy(x_test)[:, None])
    assert data.test.y.tolist() == [0, 1, 2, 3]
    assert [len(data.train.x), len(data.valid.x)] == [9, 3]
    swapped = hf(path=path, train_split="test", test_split="train", valid=0.25)
    assert len(swapped.test.x) == COUNT
    assert len(hf(path=path, valid=0.25, test=0.25).train.x) == 6


def test_parquet_files_in_a_folder(tmp_path):
    x = photographs()
    (tmp_path / "d").mkdir()
    table(x).to_parquet(tmp_path / "d" / "train.parquet")
    data = hf(path=str(tmp_path / "d"), label="label")
    assert torch.equal(everything(data), torch.from_numpy(x)[:, None])
    assert not list((tmp_path / "hf").rglob("*.py"))


def test_splits_are_seeded_and_limited(tmp_path):
    path = on_disk(tmp_path / "d", table())
    first, again, other = (hf(path=path, split_seed=seed) for seed in (0, 0, 1))
    assert torch.equal(first.train.x, again.train.x)
    assert not torch.equal(first.train.x, other.train.x)
    assert torch.equal(hf(path=path, limit=2).train.x, first.train.x[:2])
    assert first.train.y is None


# What images contain is kept


def test_icons_are_drawn_on_white_or_as_chosen(tmp_path):
    x = numpy.zeros((COUNT, 6, 6, 4), "uint8")
    x[:, 1, 1, 3] = 10 * numpy.arange(COUNT)
    path = on_disk(tmp_path / "d", table(x))
    data = hf(path=path)
    assert everything(data)[:, 0, 0, 0].tolist() == [255] * COUNT
    assert any("12 of 12 images are transparent: they are drawn on white" in note for note in data.notes)
    with pytest.raises(ValueError, match="every number is 0, so that there is nothing to learn"):
        hf(path=path, background="black")


def test_images_of_12_bits_keep_their_levels(tmp_path):
    x = RANDOM.integers(0, 4096, (COUNT, 6, 5)).astype("uint16")
    x[:, 0, 0], x[:, 0, 1] = 9 * numpy.arange(COUNT), 4095
    found = everything(hf(path=on_disk(tmp_path / "d", table(x))))
    torch.testing.assert_close(found, torch.from_numpy(x / 4095).float()[:, None])


def test_frames_are_images_with_the_label_of_their_file(tmp_path):
    files = []
    for number in range(COUNT):
        frames = [Image.fromarray(numpy.full((6, 5), 10 * number + frame, "uint8")) for frame in range(3)]
        files.append(io.BytesIO())
        frames[0].save(files[-1], "tiff", save_all=True, append_images=frames[1:])
    features = datasets.Features({"image": datasets.Image(), "label": datasets.Value("int64")})
    rows = {"image": [{"bytes": file.getvalue(), "path": None} for file in files], "label": list(range(COUNT))}
    data = hf(path=on_disk(tmp_path / "d", datasets.Dataset.from_dict(rows, features=features)), label="label")
    assert sum(len(split.x) for split in data.splits) == 3 * COUNT
    for split in data.splits:
        assert torch.equal(split.y, split.x[:, 0, 0, 0].long() // 10)
    train, valid, test = (set(split.y.tolist()) for split in data.splits)
    assert not (train | valid) & test
    assert not train & valid


def test_times_stay_distinct(tmp_path):
    x = numpy.stack([numpy.arange(60.0), 1.7e9 + numpy.arange(60.0)], axis=1)
    path = on_disk(tmp_path / "d", of_numbers(x.tolist(), datasets.List(datasets.Value("float64"))))
    assert everything(hf(path=path, column="x"))[:, 1].diff().tolist() == [1] * 59


# Numbers


@pytest.mark.parametrize("feature", [None, "fixed", "double", "array"])
def test_numbers_are_those_of_the_data_set(tmp_path, feature):
    x = numbers() if feature != "array" else numbers(width=12).reshape(COUNT, 3, 4)
    kinds = {
        "fixed": datasets.List(datasets.Value("float32"), length=3),
        "double": datasets.List(datasets.Value("float64")),
        "array": datasets.Array2D((3, 4), "float32"),
    }
    path = on_disk(tmp_path / "d", of_numbers(list(x), kinds.get(feature), y=list(range(COUNT))))
    data = hf(path=path, column="x", label="y")
    wanted = torch.from_numpy(x)[:, None] if feature == "array" else torch.from_numpy(x)
    assert torch.equal(everything(data), wanted)
    assert data.span == (data.train.x.min(), data.train.x.max())
    for split in data.splits:
        assert torch.equal(split.y, split.x.flatten(1)[:, 0].long())


def test_bytes_are_read_as_0_to_1(tmp_path):
    x = photographs()
    path = on_disk(tmp_path / "d", of_numbers(list(x), datasets.Array2D((6, 5), "uint8")))
    data = hf(path=path, column="x")
    assert (data.span, data.scale) == ((0.0, 1.0), 1 / 255)
    assert torch.equal(everything(data), torch.from_numpy(x)[:, None])


def test_the_span_does_not_depend_on_the_test(tmp_path):
    parts = {"train": of_numbers(numbers().tolist()), "test": of_numbers((numbers() - 5).tolist())}
    data = hf(path=on_disk(tmp_path / "d", datasets.DatasetDict(parts)), column="x", test_split="test")
    assert data.span == (data.train.x.min(), data.train.x.max())
    assert data.test.x.min() < data.span[0]


def test_sets_in_memory_are_distinguished(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "IN_MEMORY_MAX_SIZE", 10**9)
    shades = []
    for shade in (10, 200):
        pictures = [Image.new("L", (4, 4), shade + number // 10) for number in range(20)]
        path = on_disk(tmp_path / str(shade) / "set", datasets.Dataset.from_dict({"image": pictures}))
        shades.append(hf(path=path).train.x.unique().tolist())
    assert shades == [[10, 11], [200, 201]]


def test_columns_are_distinguished(tmp_path):
    light, dark = ([Image.new("L", (4, 4), shade + n // 10) for n in range(20)] for shade in (200, 10))
    path = on_disk(tmp_path / "d", datasets.Dataset.from_dict({"image": light, "mask": dark}))
    assert [hf(path=path, column=name).train.x.unique().tolist() for name in ("image", "mask")] == [
        [200, 201],
        [10, 11],
    ]


# Refusals


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"train_split": "validation"}, "has no split validation; there are train, test"),
        ({"test_split": "exam"}, "has no split exam; there are train, test"),
        ({"column": "img"}, "has no column img; there are image, label"),
        ({"label": "digit"}, "has no column digit; there are image, label"),
        ({"column": "label"}, "column label: holds int64; must be floating"),
    ],
)
def test_a_missing_split_or_column_is_named_with_the_choices(tmp_path, asked, words):
    path = on_disk(tmp_path / "d", datasets.DatasetDict(train=table(), test=table()))
    with pytest.raises(ValueError, match=words) as refusal:
        hf(path=path, **asked)
    assert f"path={path}" in str(refusal.value)


@pytest.mark.parametrize("path", ["nobody/nothing", "nothing-of-that-name", "/nowhere/at/all", "not a name"])
def test_a_name_that_is_not_there_is_one_line(path):
    with pytest.raises(ValueError, match=r"cannot be loaded|no such folder") as refusal:
        hf(path=path)
    assert str(refusal.value).startswith(f"path={path}: ")
    assert "\n" not in str(refusal.value)


def test_an_empty_folder_is_one_line(tmp_path):
    with pytest.raises(ValueError, match=rf"path={tmp_path}: cannot be loaded") as refusal:
        hf(path=str(tmp_path))
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("damage", ["state", "rows"])
def test_a_damaged_data_set_is_one_line(tmp_path, damage):
    path = on_disk(tmp_path / "d", table())
    file = next((tmp_path / "d").glob("*.arrow")) if damage == "rows" else tmp_path / "d" / "state.json"
    file.write_bytes(file.read_bytes()[:20])
    with pytest.raises(ValueError, match=rf"path={path}: cannot be loaded") as refusal:
        hf(path=path)
    assert "\n" not in str(refusal.value)


def test_a_loading_script_is_not_executed(tmp_path):
    folder = tmp_path / "d"
    folder.mkdir()
    (folder / "d.py").write_text(f"open({str(tmp_path / 'trace')!r}, 'w').close()\n")
    with pytest.raises(ValueError, match=r"cannot be loaded"):
        hf(path=str(folder))
    table().to_parquet(folder / "train.parquet")
    try:
        hf(path=str(folder))
    except ValueError as refusal:
        assert "script" in str(refusal)  # noqa: PT017
    assert not (tmp_path / "trace").exists()


def test_a_missing_package_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ValueError, match=r"needs the package datasets; .*pip install 'satae\[hf\]'"):
        hf(path="nobody/nothing")


def test_an_image_that_cannot_be_read_is_named(tmp_path):
    buffers = []
    for x in photographs():
        buffers.append(io.BytesIO())
        Image.fromarray(x).save(buffers[-1], format="png")
    pictures = [{"bytes": buffer.getvalue(), "path": None} for buffer in buffers]
    for broken in ({"bytes": pictures[7]["bytes"][:45], "path": None}, {"bytes": b"no image", "path": None}, None):
        kept = [*pictures[:7], broken, *pictures[8:]]
        data = datasets.Dataset.from_dict({"image": kept}, features=datasets.Features({"image": datasets.Image()}))
        path = on_disk(tmp_path / f"d{len(list(tmp_path.iterdir()))}", data)
        with pytest.raises(ValueError, match=r"column image, image 7: cannot be read") as refusal:
            hf(path=path)
        assert f"path={path}, " in str(refusal.value)
    assert not list((tmp_path / "cache").rglob("*.npy"))


def test_images_of_unequal_sizes_are_refused_without_a_size(tmp_path):
    pictures = [*photographs(5), *photographs(5, (6, 7))]
    path = on_disk(tmp_path / "d", table(pictures))
    with pytest.raises(ValueError, match=r"column image, image 5: is 7x6, and the first image 5x6; set size"):
        hf(path=path)
    assert hf(path=path, size=4).shape == (1, 4, 4)


def test_a_test_of_another_shape_is_refused(tmp_path):
    parts = {"train": of_numbers(numbers().tolist()), "test": of_numbers(numbers(width=4).tolist())}
    path = on_disk(tmp_path / "d", datasets.DatasetDict(parts))
    with pytest.raises(ValueError, match=rf"path={path}"):
        hf(path=path, column="x", test_split="test")


def test_rows_of_unequal_lengths_are_refused(tmp_path):
    path = on_disk(tmp_path / "d", of_numbers([[1.0, 2.0]] * 5 + [[1.0]]))
    with pytest.raises(ValueError, match=rf"path={path}, column x: "):
        hf(path=path, column="x")


def test_a_number_that_is_not_finite_is_named(tmp_path):
    x = numbers()
    x[5, 1] = numpy.nan
    path = on_disk(tmp_path / "d", of_numbers(x.tolist()))
    with pytest.raises(ValueError, match=rf"path={path}.* example 5, column 1 holds nan"):
        hf(path=path, column="x")


def test_words_are_labels(tmp_path):
    path = on_disk(tmp_path / "d", of_numbers(numbers().tolist(), y=["b", "a"] * 6))
    for split in hf(path=path, column="x", label="y").splits:
        assert torch.equal(split.y, 1 - split.x[:, 0].long() % 2)


def test_labels_that_are_fractions_are_refused(tmp_path):
    path = on_disk(tmp_path / "d", of_numbers(numbers().tolist(), y=[0.5, 1.5] * 6))
    with pytest.raises(ValueError, match=rf"path={path}.*y"):
        hf(path=path, column="x", label="y")
