"""Arrays go through a loaded model in the units of the user's file."""

import copy
import json
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from program import here, typed

import satae
from satae.data.array_units import ArrayUnits
from satae.export import main


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def trained(x, **words):
    options = {"arch.widths": [8, 3], **words.pop("options", {})}
    return satae.train(data=x, epochs=1, threads=1, options=options, directory="run", quiet=True, **words)


def random(*shape):
    return np.random.default_rng(0).random(shape).astype("float32")


def test_an_array_gives_the_code_of_its_tensor():
    x = random(50, 6)
    model = trained(x).model
    with torch.no_grad():
        expected = model.encode(torch.from_numpy(x)), model(torch.from_numpy(x))
    code = model.encode(x)
    assert (type(code), code.shape, code.dtype) == (np.ndarray, (50, 3), np.float32)
    assert np.array_equal(code, expected[0].numpy())
    assert np.array_equal(model.reconstruct(x), expected[1].numpy())
    assert np.array_equal(model.decode(code), expected[1].numpy())


def test_columns_are_scaled_as_in_training_and_back():
    x = random(80, 3) * np.float32([1, 1000, 1])
    run = trained(x, alpha=0)
    columns = json.loads((run.directory / "run.json").read_text())["data"]["columns"]
    low, high = np.array(columns["low"]), np.array(columns["high"])
    scaled = torch.from_numpy(((x - low) / (high - low)).astype("float32"))
    assert np.array_equal(run.model.encode(x), run.model.encode(scaled).detach().numpy())
    back = run.model(scaled).detach().numpy() * (high - low) + low
    assert np.allclose(run.model.reconstruct(x), back)


def test_a_number_that_was_subtracted_in_training_is_subtracted_again():
    x = np.round(random(90, 4).astype("float64"), 2) + 1.7e9
    run = trained(x)
    stored = satae.load("run").units.to_tensor(x)
    assert stored.abs().max() < 2
    assert abs(run.model.reconstruct(x).mean() - 1.7e9) < 2


def test_a_run_that_does_not_say_what_it_subtracted_takes_tensors_only():
    trained(np.round(random(90, 4).astype("float64"), 2) + 1.7e9)
    file = Path("run/run.json")
    record = json.loads(file.read_text())
    del record["data"]["center"]
    file.write_text(json.dumps(record))
    model = satae.load("run")
    with pytest.raises(ValueError, match="did not record the number that it subtracted"):
        model.encode(random(2, 4))
    assert model.encode(torch.zeros(2, 4)).shape == (2, 3)


def test_bytes_are_brightness_in_each_layout():
    x = (random(60, 5, 5) * 255).astype("uint8")
    model = trained(x).model
    expected = model.encode(torch.from_numpy(x[:, None] / np.float32(255)))
    for given in (x, x[:, None], x[..., None], x / 255):
        assert np.allclose(model.encode(given), expected.detach().numpy(), atol=1e-6)
    assert model.reconstruct(x).max() < 10


def test_colors_are_read_with_their_channels_first_or_last():
    x = random(60, 5, 5, 3)
    model = trained(x).model
    assert np.array_equal(model.encode(x), model.encode(x.transpose(0, 3, 1, 2)))


def test_an_exported_model_keeps_the_units():
    x = random(80, 3) * np.float32([1, 1000, 1])
    run = trained(x)
    assert typed(main, "satae-export", "run=run", "format=safetensors").code == 0
    assert np.array_equal(satae.load("run/model.safetensors").encode(x), run.model.encode(x))


@pytest.mark.parametrize(
    ("x", "line"),
    [
        (np.zeros((5, 7)), "the array has shape (5, 7); this model takes (N, 6)"),
        (np.zeros(6), "the array has shape (6,); this model takes (N, 6)"),
        (np.zeros((0, 6)), "the array has shape (0, 6); this model takes (N, 6)"),
        (np.zeros((5, 6), int), "the array holds int64; must be floating-point, or uint8 for brightness"),
        (np.zeros((5, 6), "uint8"), "the array holds uint8, but the model was trained on other numbers"),
        (np.diag([1, 1, np.nan, 1, 1, 1]), "example 2 holds a number that is not finite"),
    ],
)
def test_an_array_that_does_not_fit_is_refused_in_one_line(x, line):
    model = trained(random(50, 6)).model
    with pytest.raises(ValueError, match=f"^{re.escape(line)}"):
        model.encode(x)


def test_numbers_of_another_unit_are_named():
    assert here(".", "epochs=1", "data.limit=64", "arch.widths=[8]", "hydra.run.dir=digits").code == 0
    model = satae.load("digits")
    with pytest.warns(UserWarning, match="from 0 to 16, those in training from 0 to 1: in the same unit"):
        model.encode(random(4, 8, 8).round() * 16)
    with pytest.warns(UserWarning, match="no number is above 16, and all are read as brightness"):
        model.encode(np.full((4, 8, 8), 16, "uint8"))


def test_a_model_of_no_run_takes_tensors_only():
    with pytest.raises(ValueError, match="arrays are for models of a run"):
        satae.mlp((6,), torch.nn.ReLU, widths=[3]).encode(np.zeros((2, 6)))


def test_a_copy_keeps_the_units():
    x = random(50, 6)
    model = trained(x).model
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert np.array_equal(other.encode(x), model.encode(x))


@pytest.mark.parametrize("facts", [{"columns": {"low": [0], "high": [1]}}, {"span": ["a", "b"]}, {"center": "x"}])
def test_units_that_cannot_be_read_are_named_where_they_are_needed(facts):
    units = ArrayUnits.of((6,), facts)
    with pytest.raises(ValueError, match="cannot be read; give a tensor"):
        units.to_tensor(np.zeros((2, 6)))
