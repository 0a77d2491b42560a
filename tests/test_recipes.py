"""docs/recipes.md does what it says; its commands are also tested with those of the other pages."""

import contextlib
import io
import re

import numpy as np
from program import ROOT, TINY, here, typed

import satae
from satae import export

PAGE = (ROOT / "docs" / "recipes.md").read_text("utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def test_the_examples_in_python_run_one_after_another(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found, known = blocks("python"), {}
    assert len(found) == 4
    for block in found:
        with contextlib.redirect_stdout(io.StringIO()):
            exec(block, known)
    assert known["codes"].shape[0] == len(known["x"])
    assert len(known["curve"]) == 3


def test_the_settings_of_ones_own_are_followed_by_the_command_and_in_python(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my" / "experiment").mkdir(parents=True)
    (tmp_path / "my" / "experiment" / "small.yaml").write_text(blocks("yaml")[0])
    shown = here(tmp_path, "--config-dir", "my", "experiment=small", "alpha=0.5", "--cfg", "job").out
    assert "alpha: 0.5" in shown
    assert "name: tanh" in shown
    run = satae.train(config_dir="my", experiment="small", alpha=0.5, options={"data.limit": 64}, quiet=True)
    assert len(run.history) == 3
    assert run.model.encode(np.zeros((1, 8, 8))).shape == (1, 8)


def test_the_commands_for_codes_write_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert here(tmp_path, *TINY, "hydra.run.dir=RUN").code == 0
    np.save("new.npy", np.random.default_rng(0).random((5, 8, 8)))
    lines = re.findall(r"^ +satae-export (run=RUN format=npy .*)$", PAGE, re.MULTILINE)
    assert len(lines) == 2
    for line in lines:
        assert typed(export.main, "satae-export", *line.split()).code == 0
    assert np.load("codes.npy").shape == (5, 4)
