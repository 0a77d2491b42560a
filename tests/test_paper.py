"""The experiments of Goroshin & LeCun (2013) on a curve in the plane, by their presets, over five seeds."""

import sys

import pytest

from satae.sweeps.results import read_runs
from satae.train import main

SEEDS = 5


def metrics_by_alpha(preset, folder, monkeypatch):
    overrides = [f"experiment=paper/{preset}", "alpha=0,0.1", f"seed=range({SEEDS})", f"hydra.sweep.dir={folder}"]
    monkeypatch.setattr(sys, "argv", ["satae-train", "--multirun", *overrides])
    assert main() == 0
    plain, saturated = (
        [run.metrics for run in read_runs(folder) if run.choices["alpha"] == alpha] for alpha in (0, 0.1)
    )
    assert (len(plain), len(saturated)) == (SEEDS, SEEDS)
    return plain, saturated


@pytest.mark.slow
def test_satlin_draws_the_low_energy_region_in_around_the_data(tmp_path, monkeypatch):
    plain, saturated = metrics_by_alpha("toy_satlin", tmp_path, monkeypatch)
    areas = [s["valid/low_energy_area"] / p["valid/low_energy_area"] for p, s in zip(plain, saturated, strict=True)]
    norms = [s["encoder_norm/layer1"] / p["encoder_norm/layer1"] for p, s in zip(plain, saturated, strict=True)]
    assert sum(area <= 0.5 for area in areas) >= 4
    assert max(s["valid/energy"] for s in saturated) <= 0.01
    assert sum(norms) / SEEDS >= 1.5


@pytest.mark.slow
def test_shrink_draws_the_low_energy_region_in_and_still_reconstructs_the_data(tmp_path, monkeypatch):
    plain, saturated = metrics_by_alpha("toy_shrink", tmp_path, monkeypatch)
    areas = [s["valid/low_energy_area"] / p["valid/low_energy_area"] for p, s in zip(plain, saturated, strict=True)]
    assert max(areas) <= 0.8
    # An L1 penalty shortens the reconstruction by alpha along each active atom: 1/2 alpha^2 at least for one, so the
    # energy cannot stay within a factor of alpha = 0, where it is nearly 0; it stays inside the low-energy region.
    assert max(s["valid/energy"] for s in saturated) <= 0.01
    assert min(s["valid/energy"] for s in saturated) >= 0.1**2 / 2
