"""Columns of vectors with different ranges: each is measured in units of its own range."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from satae.data import dataset
from satae.data.arrays import array
from satae.experiment import build
from satae.experiment.experiment import Experiment, check_data


def table(columns=3, rows=200):
    return np.random.default_rng(0).uniform(0, 1, (rows, columns)).astype(np.float32)


@pytest.fixture
def wide(tmp_path):
    """A file in which the second column has a range 10,000 times as wide, and the third does not vary."""
    x = table()
    x[:, 1] = 5e4 + 1e4 * x[:, 1]
    x[:, 2] = 7
    np.save(tmp_path / "x.npy", x)
    return tmp_path / "x.npy"


def test_each_column_is_scaled_by_its_range_in_the_training_split(wide):
    data = array(path=str(wide))
    x = data.batch(data.train.x)
    assert data.span == (0.0, 1.0)
    assert torch.equal(x.amin(0), torch.zeros(3))
    assert x.amax(0).tolist() == [1, 1, 0]
    facts = data.columns.to_dict()
    np.testing.assert_allclose(facts["low"], data.train.x.amin(0).tolist())
    np.testing.assert_allclose(facts["high"][:2], data.train.x.amax(0)[:2].tolist())
    (note,) = data.notes
    assert "each column is scaled to 0..1" in note
    assert "noise.level, epsilon and errors are in units of that range" in note


def test_a_large_file_is_scaled_alike(wide, monkeypatch):
    small = array(path=str(wide))
    monkeypatch.setattr(dataset, "MEMORY_BYTES", 0)
    large = array(path=str(wide))
    assert isinstance(large.train.x, dataset.OnDisk)
    assert torch.equal(large.batch(large.train.x), small.batch(small.train.x))


def test_a_column_of_times_is_centered_and_scaled(tmp_path):
    x = table(2, 300).astype(np.float64)
    x[:, 1] = 1.7e9 + np.arange(300) % 60
    np.save(tmp_path / "x.npy", x)
    data = array(path=str(tmp_path / "x.npy"))
    assert len(data.batch(data.train.x)[:, 1].unique()) == 60
    facts = data.columns.to_dict()
    assert (facts["low"][1], facts["high"][1]) == (1.7e9, 1.7e9 + 59)


@pytest.mark.parametrize(("factor", "is_scaled"), [(1, False), (9, False), (20, True), (1e-3, True)])
def test_only_ranges_that_differ_more_than_tenfold_are_scaled(tmp_path, factor, is_scaled):
    x = table(2)
    x[:, 1] *= factor
    np.save(tmp_path / "x.npy", x)
    data = array(path=str(tmp_path / "x.npy"))
    assert (data.columns is not None) == is_scaled
    assert bool(data.notes) == is_scaled


def test_a_span_that_was_given_and_images_keep_one_range(wide, tmp_path):
    assert array(path=str(wide), span=[0.0, 1e6]).columns is None
    x = table(16).reshape(200, 4, 4) * np.array([1, 1, 1, 1000], np.float32)
    np.save(tmp_path / "images.npy", x)
    assert array(path=str(tmp_path / "images.npy")).columns is None


def test_the_numbers_of_training_do_not_depend_on_the_unit_of_a_column(tmp_path, configuration):
    """The same data in meters and in kilometers: the scaled run is the same up to rounding."""
    x = table(2)
    x[:, 1] *= 64  # a power of two, so that the rounding is the same too
    found = []
    for name, unit in (("m", 1), ("km", 1 / 64)):
        np.save(tmp_path / f"{name}.npy", x * np.array([1, 64 * unit], np.float32))
        config = configuration("data=array", f"data.path={tmp_path / f'{name}.npy'}", "epochs=2", "arch.widths=[4]")
        experiment = Experiment.from_config(config)
        for epoch in experiment.fit():
            metrics = experiment.measure(epoch)
        found.append({key: value for key, value in metrics.items() if "second" not in key and "per_s" not in key})
    assert found[0] == pytest.approx(found[1], rel=1e-5)


def test_a_run_of_an_earlier_version_keeps_its_one_range(wide, tmp_path, configuration):
    """Its checkpoint has the fingerprint of the numbers alone."""
    config = configuration("data=array", f"data.path={wide}", "epochs=2", "arch.widths=[4]")
    now = build.dataset(config)
    earlier = replace(now, columns=None, span=now.columns.shared, notes=())
    assert earlier.fingerprint != now.fingerprint
    state = Experiment.from_config(config, facts={"data": earlier.fingerprint}).state()
    assert state.facts["data"] == earlier.fingerprint
    seen = now.as_seen_by(state.facts)
    check_data(state.facts, seen)
    assert (seen.columns, seen.span, seen.notes) == (None, now.columns.shared, ())
    assert torch.equal(seen.batch(seen.train.x), now.train.x)
    assert now.as_seen_by({"data": now.fingerprint}) is now
    with pytest.raises(ValueError, match="numbers in the data have changed"):
        check_data(state.facts, now)


def test_what_was_assumed_is_in_the_facts_of_a_run(wide, configuration):
    config = configuration("data=array", f"data.path={wide}", "arch.widths=[4]")
    experiment = Experiment.from_config(config)
    facts = json.loads(json.dumps(experiment.describe()))
    assert "each column is scaled" in facts["assumptions"][0]
    assert facts["data"]["columns"]["high"][1] > 5e4
    assert "data: " in experiment.summary()
