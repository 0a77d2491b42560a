"""Data that cannot be used are refused in one line that names the file and the remedy, before anything is written."""

import gzip
import shutil

import numpy as np
import pytest
from PIL import Image
from program import PROGRAM, files, here, there

from satae.data.local_files import CACHE_VARIABLE

IDX = "train-images-idx3-ubyte.gz"


def idx(*shape, magic=b"\0\0\x08", size=None):
    count = int(np.prod(shape)) if size is None else size
    return magic + bytes([len(shape)]) + np.array(shape, ">u4").tobytes() + bytes(count)


@pytest.fixture(scope="module")
def wrong_data(tmp_path_factory):
    """A folder with data of all kinds that are wrong."""
    tmp_path = tmp_path_factory.mktemp("wrong")
    x = np.linspace(0, 1, 200, dtype=np.float32).reshape(50, 4)
    wrong = {
        "good": x,
        "whole": (x * 100).astype(np.int64),
        "flags": x > 0.5,
        "words": np.array(["a", "b"] * 25),
        "nan": np.where(np.arange(200).reshape(50, 4) == 70, np.nan, x),
        "inf": np.where(np.arange(200).reshape(50, 4) == 70, -np.inf, x),
        "flat": x[:, 0],
        "flattened": np.tile(x, (1, 16)),
        "deep": x.reshape(50, 1, 2, 2, 1),
        "none": x[:0],
        "same": np.ones_like(x),
        "labels": np.arange(49),
        "shares": np.linspace(0, 1, 50),
        "unclear": np.ones((5, 3, 9, 3), np.uint8),
    }
    for name, values in wrong.items():
        np.save(tmp_path / f"{name}.npy", values)
    np.save(tmp_path / "objects.npy", np.array([{}, []], dtype=object))
    (tmp_path / "short.npy").write_bytes((tmp_path / "good.npy").read_bytes()[:-20])
    (tmp_path / "empty.npy").write_bytes(b"")
    (tmp_path / "text.npy").write_text("1,2,3")
    np.savez(tmp_path / "nameless.npz", a=x, b=x)
    np.savez(tmp_path / "longer.npz", x=x, y=np.arange(51))
    np.savez(tmp_path / "unlike.npz", x_train=x, x_test=x[:, :3])
    (tmp_path / "short.npz").write_bytes((tmp_path / "nameless.npz").read_bytes()[:300])
    for name in ("cut", "void", "mixed", "nothing", "text", "huge"):
        (tmp_path / name).mkdir()
        if name not in ("nothing", "text"):
            for number in range(20):
                Image.new("RGB", (40, 40), (number,) * 3).save(tmp_path / name / f"{number:02}.png")
    (tmp_path / "text" / "readme.txt").write_text("no image")
    cut = tmp_path / "cut" / "07.png"
    cut.write_bytes(cut.read_bytes()[:60])
    (tmp_path / "void" / "07.png").write_bytes(b"")
    Image.new("L", (30, 40)).save(tmp_path / "mixed" / "07.png")
    kinds = {
        "magic": idx(600, 28, 28, magic=b"\x89PN"),
        "count": idx(60000, 28, 28, size=1000),
        "other": idx(1000, 28, 28),
        "page": b"<html>not found</html>",
    }
    for name, content in kinds.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / IDX).write_bytes(gzip.compress(content, 1))
    shutil.copytree(tmp_path / "other", tmp_path / "trunc")
    (tmp_path / "trunc" / IDX).write_bytes((tmp_path / "other" / IDX).read_bytes()[:-30])
    shutil.copytree(tmp_path / "other", tmp_path / "plain")
    (tmp_path / "plain" / IDX).write_bytes(b"not gzip")
    return tmp_path


@pytest.fixture
def folder(wrong_data, tmp_path, monkeypatch):
    """A folder to start from, with links to them."""
    for path in wrong_data.iterdir():
        (tmp_path / path.name).symlink_to(path)
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "home"))
    return tmp_path


ARRAYS = [
    ("data.path=nowhere.npy", "data=array: path=nowhere.npy: no such file"),
    ("data.path=cut", "cut: is a folder; images in a folder are read by data=folder"),
    ("data.path=readme.csv", "readme.csv: must be a .npy or .npz file, as numpy.save"),
    ("data.path=empty.npy", "empty.npy: cannot be read as a .npy file", "numpy.save"),
    ("data.path=text.npy", "text.npy: cannot be read as a .npy file", "numpy.save"),
    ("data.path=short.npy", "short.npy: cannot be read as a .npy file (mmap length is greater than file size)"),
    ("data.path=objects.npy", "objects.npy: cannot be read as a .npy file", "numpy.array(rows, dtype='float32')"),
    ("data.path=short.npz", "short.npz: cannot be read as a .npz file", "numpy.savez"),
    ("data.path=nameless.npz", "nameless.npz: has a, b; name the examples x, or x_train and x_test"),
    ("data.path=whole.npy", "whole.npy: holds int64; must be floating-point", "astype('uint8')"),
    ("data.path=flags.npy", "flags.npy: holds bool; must be floating-point"),
    ("data.path=words.npy", "words.npy: holds <U1; must be"),
    ("data.path=nan.npy", "nan.npy: example 17, column 2 holds nan, not a finite number; fix or remove it"),
    ("data.path=inf.npy", "inf.npy: example 17, column 2 holds -inf, not a finite number"),
    ("data.path=good.npy data.span=[0,0.5]", "good.npy: example 25, column 0 holds 0.50", "outside span=[0.0, 0.5]"),
    ("data.path=good.npy data.span=[1,0]", "span=[1.0, 0.0]: give the smallest and the largest value"),
    ("data.path=good.npy data.span=[0]", "data.span=[0]: must be two numbers in brackets"),
    ("data.path=good.npy data.span=wide", "data.span=wide: must be two numbers in brackets"),
    ("data.path=good.npy data.layout=hwc", "data.layout=hwc: choose one of auto, channels_first"),
    ("data.path=flat.npy", "flat.npy: has shape (50,); must be (N, D), (N, H, W)"),
    ("data.path=deep.npy", "deep.npy: has shape (50, 1, 2, 2, 1)"),
    ("data.path=none.npy", "none.npy: is empty, of shape (0, 4)"),
    ("data.path=same.npy", "same.npy: every number is 1, so that there is nothing to learn"),
    ("data.path=unclear.npy", "unclear.npy: has shape (5, 3, 9, 3)", "layout=channels_first or layout=channels_last"),
    ("data.path=good.npy data.labels=labels.npy", "labels.npy: has labels of shape (49,), int64; must be 50 whole"),
    ("data.path=good.npy data.labels=shares.npy", "shares.npy: label 1 is 0.0204082; a label must be a whole number"),
    ("data.path=good.npy data.labels=nowhere.npy", "data=array: labels=nowhere.npy: no such file"),
    (
        "data.path=good.npy data.test_path=good.npy data.test_labels=no.npy",
        "data=array: test_labels=no.npy: no such file",
    ),
    ("data.path=longer.npz", "longer.npz, x: has labels of shape (51,)", "must be 50 whole numbers"),
    ("data.path=unlike.npz", "unlike.npz, x_test: its test examples are (3,) of float32, those to train on (4,)"),
    ("data.path=good.npy data.test_path=unclear.npy data.layout=channels_last", "unclear.npy: its test examples are"),
    ("data.path=good.npy data.test_labels=labels.npy", "test_labels=labels.npy: belongs to test_path"),
    ("data.path=good.npy data.valid=0.001", "valid=0.001", "each needs at least one"),
    ("data.path=null", "data.path=null"),
    ("arch=conv data.path=good.npy", "arch=conv: needs images", "choose mlp"),
    ("arch=conv data.path=flattened.npy", "arch=conv: needs images", "such as x.reshape(-1, 8, 8)\n"),
    ("data.path=good.npy data.label=labels.npy", "data=array has no such option; did you mean data.labels?"),
]
IMAGES = [
    ("data.path=nowhere", "path=nowhere: no such folder"),
    ("data.path=good.npy", "path=good.npy: is a file; name the folder"),
    ("data.path=nothing", "path=nothing: no images in it", ".png"),
    ("data.path=text", "path=text: no images in it"),
    ("data.path=cut", "07.png: cannot be read as an image", "replace it or remove it"),
    ("data.path=void", "07.png: cannot be read as an image"),
    ("data.path=mixed data.size=null", "07.png: is 30x40, and the first image 40x40; set size"),
    ("data.path=huge data.size=0", "data.size=0: must be at least 1"),
]
PUBLISHED = [
    ("data.dir=nowhere", "dir=nowhere: has no train-images-idx3-ubyte.gz; put it there, or leave dir out"),
    (
        "data.dir=magic",
        f"magic/{IDX}: is not what was published",
        "470,416 bytes",
        "replace it by the one from http",
    ),
    ("data.dir=count", f"count/{IDX}: is not what was published: 1,016 bytes with sha256"),
    ("data.dir=other", f"other/{IDX}: is not what was published: 784,016 bytes"),
    ("data.dir=page", f"page/{IDX}: is not what was published: 22 bytes"),
    ("data.dir=trunc", f"trunc/{IDX}: cannot be read (Compressed file ended before"),
    ("data.dir=plain", f"plain/{IDX}: cannot be read (Not a gzipped file"),
]
OTHERS = [
    ("data=folder data.path=nothing data.test_path=nowhere", "path=nothing: no images in it"),
    ("data=patches data.path=nowhere", "path=nowhere: no such folder"),
    ("data=patches data.path=cut data.size=2", "07.png: cannot be read as an image"),
    ("data=patches data.path=huge", "is 40x40; for size=12", "must be at least 87x12"),
    ("data=patches data.size=1000", "china.jpg: is 640x427; for size=1000", "smaller size"),
    ("data=array", "data.path: is missing; give it a value, such as data.path=inputs.npy\n"),
    ("data=folder", "data.path: is missing; give it a value, such as data.path=photos\n"),
    ("data=hf", "data.path: is missing; give it a value, such as data.path=ylecun/mnist\n"),
    ("data=patches data.path=", "data.path=: is empty; give it a value, or leave it out"),
    ("data=array data.path=good.npy data.labels=", "data.labels=: is empty"),
    ("data=mnist data.dir=", "data.dir=: is empty"),
    ("data=hf data.path=nothing", "path=nothing: cannot be loaded"),
    ("data=hf data.path=good.npy", "path=good.npy: is a file"),
    ("data=hf data.path=./nowhere", "path=./nowhere: no such folder"),
]
KINDS = [
    *((f"data=array {line}", *said) for line, *said in ARRAYS),
    *((f"data=folder {line}", *said) for line, *said in IMAGES),
    *((f"data=fashion_mnist {line}", *said) for line, *said in PUBLISHED),
    *OTHERS,
]


def assert_refused(outcome, *fragments):
    assert outcome.out == ""
    assert outcome.err.startswith("satae-train: ")
    assert len(outcome.err.splitlines()) == 1
    assert [fragment for fragment in fragments if fragment not in outcome.err] == []
    assert outcome.code == 2


def contents(folder):
    """Every file but the locks, and the empty folders of the cache."""
    return {
        name: (folder / name).is_file() and (folder / name).read_bytes() for name in files(folder) if "home" not in name
    }


def kept(folder):
    """What is in the cache, under the names by which it is used."""
    return [name for name in files(folder) if "home/" in name and "/." not in name and not (folder / name).is_dir()]


@pytest.mark.parametrize(
    ("line", "fragments"), [(line, said) for line, *said in KINDS], ids=[kind[0] for kind in KINDS]
)
def test_bad_data_are_refused_in_one_line_and_nothing_is_written(folder, line, fragments):
    before = contents(folder)
    assert_refused(here(folder, *line.split()), *fragments)
    assert contents(folder) == before
    assert kept(folder) == []


REAL = ["data=array data.path=nan.npy"]


@pytest.mark.parametrize("line", REAL)
def test_the_installed_program_refuses_in_one_line(folder, line):
    before = contents(folder)
    assert_refused(there(folder, *line.split()))
    assert (contents(folder), kept(folder)) == (before, [])


def test_without_a_network_the_message_names_the_remedy(folder):
    outcome = here(folder, "data=mnist")
    *fetching, line = outcome.err.splitlines()
    assert (outcome.code, outcome.out) == (2, "")
    assert [said.partition(" ")[0] for said in fetching] == ["fetching", "fetching"]
    for fragment in (IDX, "no connection", "https://", str(folder / "home" / "mnist"), "data.dir"):
        assert fragment in line
    assert kept(folder) == []
    assert not (folder / "outputs").exists()


def test_a_full_disk_is_reported_in_one_line_and_leaves_no_half_file(folder):
    small = ("bash", "-c", 'ulimit -f 8; exec "$0" "$@"', PROGRAM)  # no file may grow beyond 8 KiB
    assert_refused(there(folder, "data=folder", "data.path=huge", program=small), "cannot be written", "make room")
    assert kept(folder) == []
    assert not (folder / "outputs").exists()
