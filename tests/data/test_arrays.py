"""A user's own numbers: read as they are meant, or refused in words that say what to do."""

import io
import os
import re
from pathlib import Path

import numpy
import pytest
import torch

from satae.data import dataset
from satae.data.arrays import array
from satae.data.dataset import OnDisk

RANDOM = numpy.random.default_rng(0)
VECTORS = RANDOM.normal(size=(40, 6)).astype("float32")
BYTES = RANDOM.integers(0, 256, (40, 6)).astype("uint8")


def saved(file, values):
    numpy.save(file, values)
    return str(file)


def zipped(file, **values):
    numpy.savez(file, **values)
    return str(file)


def vectors_and(folder, other, option, keys):
    """VECTORS with something else in one archive by its keys, or in a file of its own: that, and what is typed."""
    if keys:
        file = zipped(folder / "x.npz", **dict(zip(keys, (VECTORS, other), strict=True)))
        return file, {"path": file}
    file = saved(folder / "other.npy", other)
    return file, {"path": saved(folder / "x.npy", VECTORS), option: file}


def numbered(count=40, width=2):
    return numpy.arange(count, dtype="float32")[:, None].repeat(width, axis=1)


def everything(data):
    """All three splits, in the order of their first number."""
    x = torch.cat([data.batch(split.x) for split in (data.train, data.valid, data.test)])
    return x[x.flatten(1)[:, 0].argsort()]


# Layouts


@pytest.mark.parametrize(
    ("shape", "layout", "axes"),
    [
        ((20, 7), "auto", (0, 1)),
        ((20, 5, 7), "auto", (0, 1, 2)),
        ((20, 5, 7), "channels_last", (0, 1, 2)),
        ((20, 3, 5, 7), "auto", (0, 1, 2, 3)),
        ((20, 5, 7, 3), "auto", (0, 3, 1, 2)),
        ((20, 5, 7, 1), "auto", (0, 3, 1, 2)),
        ((20, 4, 7, 3), "channels_first", (0, 1, 2, 3)),
        ((20, 4, 7, 3), "channels_last", (0, 3, 1, 2)),
        ((20, 9, 7, 8), "channels_first", (0, 1, 2, 3)),
        ((20, 9, 7, 8), "channels_last", (0, 3, 1, 2)),
    ],
)
@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_channels_come_first(tmp_path, monkeypatch, shape, layout, axes, large, suffix):
    monkeypatch.setattr(dataset, "MEMORY_BYTES", 0 if large else 2**29)
    values = RANDOM.random(shape).astype("float32")
    file = tmp_path / f"x{suffix}"
    data = array(path=saved(file, values) if suffix == ".npy" else zipped(file, x=values), layout=layout)
    wanted = torch.from_numpy(values.transpose(axes).copy())
    wanted = wanted[:, None] if values.ndim == 3 else wanted
    assert data.shape == tuple(wanted.shape[1:])
    assert torch.equal(everything(data), wanted[wanted.flatten(1)[:, 0].argsort()])
    assert isinstance(data.train.x, OnDisk) == (large and suffix == ".npy")


@pytest.mark.parametrize("shape", [(8, 4, 7, 3), (8, 9, 7, 8)])
@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_an_ambiguous_layout_is_refused(tmp_path, shape, suffix):
    file, values = tmp_path / f"x{suffix}", RANDOM.random(shape)
    path = saved(file, values) if suffix == ".npy" else zipped(file, x=values)
    with pytest.raises(ValueError, match=r"layout=channels_first or layout=channels_last") as refusal:
        array(path=path)
    assert path in str(refusal.value)
    assert str(shape) in str(refusal.value)


# Numbers


@pytest.mark.parametrize("large", [False, True])
def test_bytes_are_read_as_0_to_1(tmp_path, monkeypatch, large):
    monkeypatch.setattr(dataset, "MEMORY_BYTES", 0 if large else 2**29)
    data = array(path=saved(tmp_path / "x.npy", numpy.arange(80).reshape(40, 2).astype("uint8")))
    assert data.span == (0.0, 1.0)
    torch.testing.assert_close(everything(data), torch.arange(80).reshape(40, 2) / 255)
    assert data.train.x[:1].dtype == (numpy.uint8 if large else torch.uint8)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", ">f4", "longdouble"])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("large", [False, True])
def test_floats_stay_as_they_are(tmp_path, monkeypatch, dtype, order, large):
    monkeypatch.setattr(dataset, "MEMORY_BYTES", 0 if large else 2**29)
    values = numpy.asarray(VECTORS.astype(dtype), order=order)
    data = array(path=saved(tmp_path / "x.npy", values))
    wanted = torch.from_numpy(numpy.ascontiguousarray(values, dtype="float32"))
    assert torch.equal(everything(data), wanted[wanted[:, 0].argsort()])
    seen = data.train.x.float()
    assert data.span == (seen.min().item(), seen.max().item())
    assert (data.scale, data.offset) == (1, 0)


def test_a_large_file_stays_on_disk_and_equals_one_in_memory(tmp_path, monkeypatch):
    path = saved(tmp_path / "x.npy", VECTORS)
    small = array(path=path)
    monkeypatch.setattr(dataset, "MEMORY_BYTES", 0)
    large = array(path=path)
    for ours, theirs in zip(large.splits, small.splits, strict=True):
        assert isinstance(ours.x, OnDisk)
        assert torch.equal(ours.x.load(), theirs.x)
    assert large.span == small.span
    assert torch.equal(large.statistics.mean, small.statistics.mean)


@pytest.mark.parametrize("held", [0, 2**29])
@pytest.mark.parametrize("row", [0, 17, 39])
def test_the_span_is_that_of_the_training_split_or_the_promised_one(tmp_path, monkeypatch, held, row):
    monkeypatch.setattr(dataset, "MEMORY_BYTES", held)
    monkeypatch.setattr(dataset, "CHUNK_NUMBERS", 10)  # five examples of width 2
    x = numbered()
    x[row] += 100  # an end that may lie in any chunk, and in any split
    path, test_path = saved(tmp_path / "x.npy", x), saved(tmp_path / "t.npy", x - 700)
    data = array(path=path, test_path=test_path)
    seen = data.train.x.float()
    assert data.span == (seen.min().item(), seen.max().item())
    assert array(path=path, test_path=test_path, span=[-800, 200]).span == (-800, 200)


def test_a_single_array_of_any_name_is_the_examples(tmp_path):
    numpy.savez(tmp_path / "x.npz", numbered())
    assert len(array(path=str(tmp_path / "x.npz")).train.x) == 28


def test_arrays_that_are_not_asked_for_are_not_read(tmp_path):
    numpy.savez(tmp_path / "x.npz", x=numbered(), notes=numpy.array([{}], dtype=object))
    assert len(array(path=str(tmp_path / "x.npz")).train.x) == 28


# Splits and labels


@pytest.mark.parametrize("keys", ["x", "x y", "x_train", "x_train x_test", "x_train x_test y_train y_test"])
def test_the_arrays_of_an_npz_file(tmp_path, keys):
    keys = keys.split()
    parts = {"x": numbered(), "x_train": numbered(), "x_test": 100 + numbered(9)}
    values = {key: parts[key] if key[0] == "x" else parts["x" + key[1:]][:, 0].astype("int16") for key in keys}
    data = array(path=zipped(tmp_path / "x.npz", **values), valid=0.25, test=0.25)
    own = "x_test" in keys
    assert [len(split.x) for split in data.splits] == ([30, 10, 9] if own else [20, 10, 10])
    assert (data.test.x.min() >= 100) == own
    assert data.train.x.max() < 100
    for split in data.splits:
        assert (split.y is None) == (not any(key[0] == "y" for key in keys))
        wanted = split.x[:, 0].long()
        wanted = torch.where(wanted >= 100, wanted - 60, wanted)  # classes are numbered without a gap
        assert split.y is None or torch.equal(split.y, wanted)


@pytest.mark.parametrize("dtype", ["int64", "uint8", ">i4"])
@pytest.mark.parametrize("column", [False, True])
def test_labels_stay_with_their_examples(tmp_path, dtype, column):
    y, y_test = numpy.arange(40).astype(dtype), numpy.arange(40)[::-1][:8].astype(dtype)
    data = array(
        path=saved(tmp_path / "x.npy", numbered()),
        labels=saved(tmp_path / "y.npy", y[:, None] if column else y),
        test_path=saved(tmp_path / "t.npy", numbered()[::-1][:8]),
        test_labels=saved(tmp_path / "ty.npy", y_test),
    )
    assert [len(split.x) for split in data.splits] == [34, 6, 8]
    for split in data.splits:
        assert split.y.dtype == torch.int64
        assert torch.equal(split.y, split.x[:, 0].long())


def test_a_test_file_without_labels_has_none(tmp_path):
    x, y = saved(tmp_path / "x.npy", numbered()), saved(tmp_path / "y.npy", numpy.arange(40))
    data = array(path=x, labels=y, test_path=x)
    assert data.test.y is None
    assert torch.equal(data.test.x, torch.from_numpy(numbered()))


def test_splits_are_disjoint_seeded_and_limited(tmp_path):
    path = saved(tmp_path / "x.npy", numbered())
    first = array(path=path, split_seed=3)
    assert everything(first)[:, 0].tolist() == list(range(40))
    torch.manual_seed(5)
    again, other = (array(path=path, split_seed=seed) for seed in (3, 4))
    limited = array(path=path, split_seed=3, limit=5)
    for number in range(3):
        assert torch.equal(again.splits[number].x, first.splits[number].x)
        assert not torch.equal(other.splits[number].x, first.splits[number].x)
        assert torch.equal(limited.splits[number].x, first.splits[number].x[:5])
        assert len(limited.splits[number].x) == 5


def test_a_path_in_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    saved(tmp_path / "x.npy", VECTORS)
    zipped(tmp_path / "x.npz", x=VECTORS)
    assert torch.equal(everything(array(path="~/x.npy")), everything(array(path="~/x.npz")))


# Refusals


def cut(values, **named):
    buffer = io.BytesIO()
    if named:
        numpy.savez_compressed(buffer, **named)
    else:
        numpy.save(buffer, values)
    return buffer.getvalue()


def spoilt(content):
    middle = len(content) // 2
    return content[:middle] + bytes(255 - byte for byte in content[middle : middle + 40]) + content[middle + 40 :]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("x.npy", None, ["no such file"]),
        ("x.npz", None, ["no such file"]),
        ("x.txt", b"1 2 3", [".npy or .npz", "numpy.save"]),
        ("x", b"", [".npy or .npz"]),
        ("x.npy", b"", ["cannot be read", "numpy.save"]),
        ("x.npz", b"", ["cannot be read", "numpy.savez"]),
        ("x.npy", b"no array at all", ["cannot be read", "numpy.save"]),
        ("x.npz", b"no archive at all", ["cannot be read", "numpy.savez"]),
        ("x.npy", cut(VECTORS)[:-9], ["cannot be read", "numpy.save"]),
        ("x.npy", cut(VECTORS)[:50], ["cannot be read", "numpy.save"]),
        ("x.npz", cut(None, x=VECTORS)[:-90], ["cannot be read", "numpy.savez"]),
        ("x.npz", spoilt(cut(None, x=VECTORS)), ["cannot be read", "numpy.savez"]),
        ("x.npz", cut(VECTORS), ["cannot be read", "numpy.savez"]),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path, name, content, words):
    file = tmp_path / name
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ValueError, match=r"must be|cannot be read|no such file") as refusal:
        array(path=str(file))
    for word in [str(file), *words]:
        assert word in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_an_archive_under_the_name_of_an_array_is_refused_and_closed(tmp_path, monkeypatch):
    loaded, load = [], numpy.load
    monkeypatch.setattr(numpy, "load", lambda *given, **named: loaded.append(load(*given, **named)) or loaded[0])
    (tmp_path / "x.npy").write_bytes(cut(None, x=VECTORS))
    with pytest.raises(ValueError, match=r"x\.npy: cannot be read .*\.npz"):
        array(path=str(tmp_path / "x.npy"))
    [archive] = loaded
    closed = archive.fid is None
    archive.close()
    assert closed


@pytest.mark.parametrize("name", ["x.npy", "x.npz"])
def test_a_folder_is_no_file(tmp_path, name):
    (tmp_path / name).mkdir()
    with pytest.raises(ValueError, match=rf"{name}: (is a folder|cannot be read .*directory)"):
        array(path=str(tmp_path / name))


@pytest.mark.parametrize("name", ["x.npy", "x.npz"])
def test_python_objects_are_not_unpickled(tmp_path, name):
    trace = tmp_path / "trace"

    class Bomb:
        def __reduce__(self):
            return os.mkdir, (str(trace),)

    objects = numpy.array([Bomb(), Bomb()], dtype=object)
    file = tmp_path / name
    (numpy.save if name == "x.npy" else numpy.savez)(file, **{"arr" if name == "x.npy" else "x": objects})
    with pytest.raises(ValueError, match=rf"{name}: cannot be read .*[Oo]bject") as refusal:
        array(path=str(file))
    assert "numpy.save" in str(refusal.value)
    assert not trace.exists()


def test_labels_of_python_objects_are_not_unpickled(tmp_path):
    path, labels = saved(tmp_path / "x.npy", VECTORS), saved(tmp_path / "y.npy", numpy.array([None] * 40))
    with pytest.raises(ValueError, match=r"y\.npy: cannot be read .*[Oo]bject"):
        array(path=path, labels=labels)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (numpy.ones((9, 2), "int64"), ["int64", "uint8", "astype"]),
        (numpy.ones((9, 2), "bool"), ["bool", "uint8"]),
        (numpy.ones((9, 2), "complex64"), ["complex64", "uint8"]),
        (numpy.full((9, 2), "one"), ["<U3", "uint8"]),
        (numpy.zeros((9, 2), "datetime64[s]"), ["datetime64", "uint8"]),
        (numpy.zeros((9, 2), [("a", "f4")]), ["uint8"]),
        (numpy.float32(3), ["()", "(N, D)"]),
        (VECTORS[0], ["(6,)", "(N, D)"]),
        (RANDOM.random((2, 3, 4, 5, 6)), ["(2, 3, 4, 5, 6)", "(N, D)"]),
        (VECTORS[:0], ["(0, 6)", "is empty"]),
        (VECTORS[:, :0], ["(40, 0)", "is empty"]),
        (numpy.full((9, 2), 2.5), ["every number is 2.5", "nothing to learn"]),
        (VECTORS[:2], ["2 examples", "at least one"]),
    ],
    ids=lambda value: f"{value.dtype}{value.shape}" if hasattr(value, "dtype") else "",
)
@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_numbers_that_cannot_be_used_are_refused(tmp_path, values, words, suffix):
    file = tmp_path / f"x{suffix}"
    path = saved(file, values) if suffix == ".npy" else zipped(file, x=values)
    with pytest.raises(ValueError) as refusal:  # noqa: PT011
        array(path=path)
    for word in words if "at least one" in words else [path, *words]:
        assert word in str(refusal.value)


@pytest.mark.parametrize("wrong", ["nan", "inf", "-inf"])
@pytest.mark.parametrize("place", [0, 5, 33, 39])
@pytest.mark.parametrize("span", [None, [-100.0, 100.0]])
@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_the_first_example_that_is_not_finite_is_named(tmp_path, monkeypatch, wrong, place, span, suffix):
    monkeypatch.setattr(dataset, "CHUNK_NUMBERS", 8 * 6)
    values = VECTORS.copy()
    values[place, 4] = values[39, 5] = float(wrong)
    file = tmp_path / f"x{suffix}"
    path = saved(file, values) if suffix == ".npy" else zipped(file, x=values)
    with pytest.raises(
        ValueError, match=f"example {place}, column 4 holds {wrong}, not a finite number; fix"
    ) as refusal:
        array(path=path, span=span)
    assert path in str(refusal.value)


@pytest.mark.parametrize(("where", "place"), [("x", 3), ("x", 33), ("t", 9)])
def test_a_value_outside_the_promised_span_is_named(tmp_path, monkeypatch, where, place):
    monkeypatch.setattr(dataset, "CHUNK_NUMBERS", 16)
    parts = {"x": numpy.linspace(0, 1, 80).reshape(40, 2), "t": numpy.linspace(0, 1, 80).reshape(40, 2)}
    parts[where][place, 1] = 1.5
    paths = {name: saved(tmp_path / f"{name}.npy", values) for name, values in parts.items()}
    with pytest.raises(ValueError, match=rf"example {place}, column 1 holds 1.5, outside span=\[0, 1\]") as refusal:
        array(path=paths["x"], test_path=paths["t"], span=[0, 1])
    assert paths[where] in str(refusal.value)


def test_a_number_too_large_for_float32_is_named(tmp_path):
    values = VECTORS.astype("float64")
    values[7, 2] = 1e300
    with pytest.raises(ValueError, match=r"example 7, column 2 holds 1e\+300, too large for float32"):
        array(path=saved(tmp_path / "x.npy", values))


def test_bytes_take_no_span(tmp_path):
    path = saved(tmp_path / "x.npy", BYTES)
    with pytest.raises(ValueError, match=r"span=\[0, 255\].*uint8.*leave span out") as refusal:
        array(path=path, span=[0, 255])
    assert path in str(refusal.value)


WRONG_LABELS = [numpy.arange(39), numpy.ones((40, 2), int), numpy.ones(40, complex)]


@pytest.mark.parametrize("labels", WRONG_LABELS, ids=lambda y: f"{y.dtype}{y.shape}")
@pytest.mark.parametrize("zip_too", [False, True])
def test_labels_that_do_not_fit_are_refused(tmp_path, labels, zip_too):
    file, arguments = vectors_and(tmp_path, labels, "labels", ("x", "y") if zip_too else None)
    with pytest.raises(ValueError, match="40 whole numbers, one for each example") as refusal:
        array(**arguments)
    for word in (file, str(labels.shape), str(labels.dtype)):
        assert word in str(refusal.value)


def test_a_labels_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"y\.npy: no such file"):
        array(path=saved(tmp_path / "x.npy", VECTORS), labels=str(tmp_path / "y.npy"))


@pytest.mark.parametrize("name", ["labels", "test_labels"])
def test_labels_beside_an_npz_file_are_refused(tmp_path, name):
    labels, path = saved(tmp_path / "y.npy", numpy.arange(40)), zipped(tmp_path / "x.npz", x=VECTORS)
    with pytest.raises(ValueError, match=rf"{name}={labels}.*belongs to a \.npy file") as refusal:
        array(path=path, test_path=path, **{name: labels})
    assert path in str(refusal.value)


@pytest.mark.parametrize("keys", [("a", "b"), ("x_test",), ("x", "x_train"), ("x", "x_test"), ()])
def test_an_npz_file_without_x_is_refused_with_what_it_has(tmp_path, keys):
    path = zipped(tmp_path / "x.npz", **dict.fromkeys(keys, VECTORS))
    with pytest.raises(ValueError, match="name the examples x, or x_train and x_test") as refusal:
        array(path=path)
    assert f"{path}: has {', '.join(keys) or 'nothing'};" in str(refusal.value)


OTHERS = [
    (VECTORS[:, :5], r"\(5,\) of float32, those to train on \(6,\)"),
    (BYTES, r"of uint8, those to train on .* of float32; save both"),
]


@pytest.mark.parametrize(("other", "words"), OTHERS)
@pytest.mark.parametrize("zip_too", [False, True])
def test_a_test_of_another_kind_is_refused(tmp_path, other, words, zip_too):
    file, arguments = vectors_and(tmp_path, other, "test_path", ("x_train", "x_test") if zip_too else None)
    with pytest.raises(ValueError, match=words) as refusal:
        array(**arguments)
    assert str(refusal.value).startswith((f"{file}: ", f"{file}, x_test: "))


def test_reading_leaves_the_files_as_they_are(tmp_path):
    path = saved(tmp_path / "x.npy", BYTES)
    before = Path(path).read_bytes()
    array(path=path).train.x.fill_(0)
    assert Path(path).read_bytes() == before
    assert sorted(file.name for file in tmp_path.iterdir()) == ["x.npy"]


@pytest.mark.parametrize("option", ["path", "labels"])
def test_a_pipe_is_refused_and_not_waited_for(tmp_path, option):
    numpy.save(tmp_path / "x.npy", numpy.random.default_rng(0).random((20, 3)))
    os.mkfifo(tmp_path / "pipe.npy")
    options = {"path": str(tmp_path / "x.npy"), option: str(tmp_path / "pipe.npy")}
    with pytest.raises(ValueError, match=r"pipe\.npy: is not a file but a pipe or a device"):
        array(**options)


# Images that were saved as vectors

SQUARES = RANDOM.integers(0, 256, (40, 784)).astype("uint8")


@pytest.mark.parametrize(
    ("values", "remedy"),
    [
        (SQUARES, "images of 28x28 that were saved as vectors; .* save x.reshape(-1, 28, 28)"),
        (SQUARES[:, :64] / numpy.float32(16), "images of 8x8 that .* save x.reshape(-1, 8, 8)"),
        (SQUARES[:, :192], "images of 8x8 in color that .* save x.reshape(-1, 3, 8, 8); of 3 at the end"),
    ],
)
def test_images_that_were_saved_as_vectors_are_named_once_with_the_remedy(tmp_path, values, remedy):
    path = saved(tmp_path / "x.npy", values)
    (note,) = array(path=path, test_path=saved(tmp_path / "t.npy", values)).notes
    assert re.search(remedy.replace("(", r"\(").replace(")", r"\)"), note)
    assert note.startswith(path)


@pytest.mark.parametrize(
    "values",
    [
        pytest.param(SQUARES[:, :65], id="not a square"),
        pytest.param(SQUARES[:, :49], id="too small"),
        pytest.param(SQUARES.reshape(40, 28, 28), id="images"),
        pytest.param(SQUARES[:, :64].astype("float32") - 100, id="negative numbers"),
        pytest.param(SQUARES[:, :64] * numpy.float32(0.9) ** numpy.arange(64, dtype="float32"), id="unlike ranges"),
    ],
)
def test_other_arrays_are_not_taken_for_images_saved_as_vectors(tmp_path, values):
    assert "saved as vectors" not in " ".join(array(path=saved(tmp_path / "x.npy", values)).notes)
