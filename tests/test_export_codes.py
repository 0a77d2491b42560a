"""``satae-export format=npy`` writes the codes that the model of a run gives, row by row."""

import os

import numpy as np
import program
import pytest
from PIL import Image
from program import TINY, files, here, read

import satae
from satae import export
from satae.data.digits import digits


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def codes(*words):
    return program.typed(export.main, "satae-export", "run=run", "format=npy", *words)


def trained(*words):
    assert here(".", *TINY, "epochs=1", *words, "hydra.run.dir=run").code == 0
    return satae.load("run")


def random(*shape):
    return np.random.default_rng(0).random(shape).astype("float32")


def trained_on_arrays():
    x = random(90, 6) * np.float32([1, 1, 1000, 1, 1, 1])
    np.save("x.npy", x)
    return x, trained("data=array", "data.path=x.npy")


def test_the_codes_of_a_file_are_those_of_its_rows_in_their_order():
    x, model = trained_on_arrays()
    np.save("new.npy", x[::-1])
    code, out, err = codes("data=new.npy", "out=c.npy")
    assert (code, err) == (0, "")
    assert out == "c.npy: codes, 90 x 4, of data=new.npy, in the order of its rows\n"
    assert np.array_equal(np.load("c.npy"), model.encode(x[::-1]))
    assert not os.path.exists("c-labels.npy")


def test_the_labels_of_a_file_are_written_beside_its_codes():
    x, model = trained_on_arrays()
    np.savez("new.npz", x_train=x[:9], y_train=np.array(["b"] * 9), x_test=x[9:20], y_test=np.array(["a"] * 11))
    code, out, _ = codes("data=new.npz")
    assert code == 0
    assert out.endswith("first x_train, then x_test; labels in run/codes-labels.npy\n")
    assert np.array_equal(np.load("run/codes.npy"), model.encode(x[:20]))
    assert [*np.load("run/codes-labels.npy")] == ["b"] * 9 + ["a"] * 11


def test_many_rows_are_coded_in_parts(monkeypatch):
    x, model = trained_on_arrays()
    monkeypatch.setattr("satae.export_codes.ROWS", 7)
    assert codes("data=x.npy").code == 0
    assert np.allclose(np.load("run/codes.npy"), model.encode(x), atol=1e-6)


@pytest.mark.parametrize("split", ["train", "valid", "test"])
def test_a_split_of_the_run_is_coded_in_its_own_order(split):
    model = trained()
    assert codes(f"data={split}").code == 0
    found = getattr(digits(valid=0.15, test=0.15, split_seed=0, limit=64), split)
    assert np.allclose(np.load("run/codes.npy"), model.encode(found.x.numpy() / 16), atol=1e-5)
    assert np.array_equal(np.load("run/codes-labels.npy"), found.y.numpy())


def test_a_folder_of_images_is_coded_in_the_order_of_its_names(tmp_path):
    for folder, count in (("old", 30), ("new", 5)):
        (tmp_path / folder / "a").mkdir(parents=True)
        for number, image in enumerate((random(count, 8, 8) * 255).astype("uint8")):
            Image.fromarray(image).save(tmp_path / folder / "a" / f"{number:02}.png")
    model = trained("data=folder", "data.path=old", "data.size=8")
    assert codes("data=new").code == 0
    assert np.allclose(np.load("run/codes.npy"), model.encode((random(5, 8, 8) * 255).astype("uint8")), atol=1e-6)
    assert [*np.load("run/codes-labels.npy")] == ["a"] * 5


def test_the_best_weights_are_taken_when_they_are_asked_for():
    x, _ = trained_on_arrays()
    assert codes("data=x.npy", "best=true").code == 0
    assert np.array_equal(np.load("run/codes-best.npy"), satae.load("run", best=True).encode(x))


def test_numbers_of_another_unit_are_named():
    trained_on_arrays()
    np.save("new.npy", random(5, 6) * 1e5)
    code, _, err = codes("data=new.npy")
    assert code == 0
    assert err.startswith("warning: data=new.npy: the numbers go from ")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ([], "data is missing; format=npy writes the codes of data=x.npy, or of data=test, for example"),
        (["data=nowhere"], "data=nowhere: no such file or folder; name a .npy or .npz file, a folder, or train"),
        (["data=wide.npy"], "data=wide.npy: the array has shape (5, 7); this model takes (N, 6)"),
        (["data=objects.npy"], "data=objects.npy: objects.npy: cannot be read as a .npy file"),
        (["data=."], "data=.: is a folder; it needs a run of data=folder, not of array"),
        (["data=x.npy", "out=x.npy"], "out=x.npy: exists already; name another file, or delete it"),
        (["data=x.npy", "out=c.npy"], "out=c-labels.npy: exists already; name another file, or delete it"),
        (["data=x.npy", "out=codes.csv"], "out=codes.csv: must end in .npy"),
        (["data=x.npy", "format=onnx"], "data=x.npy: is for format=npy; leave it out"),
    ],
)
def test_what_cannot_be_written_is_refused_in_one_line_and_nothing_is_left(words, line):
    trained_on_arrays()
    np.save("wide.npy", random(5, 7))
    np.save("objects.npy", np.array([{}, {}]), allow_pickle=True)
    np.save("c-labels.npy", np.zeros(3))
    before = files(".")
    code, out, err = codes(*words)
    assert (code, out) == (2, "")
    assert err.splitlines()[-1].startswith(f"satae-export: {line}")
    assert files(".") == before


def test_a_run_resumes_beside_its_codes():
    trained_on_arrays()
    before = read("run/run.json")
    assert codes("data=x.npy").code == 0
    assert read("run/run.json") == before
    assert here(".", "resume=run", "epochs=2").code == 0
