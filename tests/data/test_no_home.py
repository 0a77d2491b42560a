"""A user without a name and without a home folder, as in some containers: only what needs the cache fails."""

import contextlib
import pwd

import evaluated
import numpy
import program
import pytest
from PIL import Image
from program import TINY, here

from satae import datasets, export, report
from satae.data import local_files

NEEDED = "since this user has no home folder; set SATAE_DATA_DIR to a folder\n"


@pytest.fixture(autouse=True)
def _no_home(tmp_path, monkeypatch):
    def unknown(number):
        raise KeyError(number)

    for variable in (local_files.CACHE_VARIABLE, "HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    assert local_files.known_cache_folder() is None
    (tmp_path / "photos").mkdir()
    for number in range(20):
        pixels = numpy.random.default_rng(number).integers(0, 256, (8, 8), dtype="uint8")
        Image.fromarray(pixels).save(tmp_path / "photos" / f"{number}.png")


def folder_of_images(tmp_path):
    return here(tmp_path, *TINY[1:], "data=folder", "data.path=photos", "data.size=8", "hydra.run.dir=images")


def test_data_that_need_no_cache_train_and_the_run_is_evaluated_reported_and_exported(tmp_path):
    assert here(tmp_path, *TINY, "hydra.run.dir=run").code == 0
    done = evaluated.typed(tmp_path, "run=run", "evaluation=code", "code.train=40")
    assert (done.code, done.err) == (0, "")
    with contextlib.chdir(tmp_path):
        assert program.typed(report.main, "satae-report", "run").code == 0
        assert program.typed(export.main, "satae-export", "run=run", "format=safetensors").code == 0
        listed = program.typed(datasets.main, "satae-data", "list")
        unknown = program.typed(export.main, "satae-export", "run=~/run", "format=safetensors")
    assert (listed.code, listed.err) == (0, "")
    assert "satae-data fetch mnist" in listed.out
    assert (unknown.code, unknown.err) == (2, "satae-export: run=~/run: no such run directory\n")


def test_what_needs_the_cache_names_the_variable_in_one_line(tmp_path, monkeypatch):
    assert here(tmp_path, *TINY, "hydra.run.dir=run").code == 0
    with contextlib.chdir(tmp_path):
        found = [
            folder_of_images(tmp_path),
            evaluated.typed(tmp_path, "run=run", "evaluation=perturbation", *evaluated.QUICK[6:10]),
            program.typed(datasets.main, "satae-data", "fetch", "cifar10"),
        ]
    for outcome in found:
        assert (outcome.code, len(outcome.err.splitlines())) == (2, 1)
        assert outcome.err.endswith(NEEDED)
    monkeypatch.setenv(local_files.CACHE_VARIABLE, str(tmp_path / "cache"))
    assert folder_of_images(tmp_path).code == 0
