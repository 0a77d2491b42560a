"""A new choice is one function and one YAML file: help, messages, lists and runs know it without another edit."""

import os
import re
import shutil
import subprocess
import sys

import pytest
from program import ROOT

SOURCE = '''
"""Points on two parallel lines."""

import torch

from satae.config.option_types import Count, OpenShare, Positive, Seed
from satae.config.registries import DATA_SOURCES
from satae.data.dataset import Dataset, Split, shuffled_splits


@DATA_SOURCES.register("rails", origin="computed")
def rails(*, gap: Positive, valid: OpenShare, test: OpenShare, split_seed: Seed, limit: Count | None) -> Dataset:
    """Points (2,) on two lines."""
    x = torch.linspace(-1, 1, 200)
    x = torch.cat([torch.stack([x, torch.full_like(x, side * gap / 2)], 1) for side in (-1, 1)])
    splits = shuffled_splits(Split(x), valid=valid, test=test, seed=split_seed, limit=limit)
    return Dataset("rails", *splits, span=(-1.0, 1.0))
'''
SOURCE_VALUES = """\
# points on two parallel lines
name: rails
gap: 1.0        # distance between the lines
valid: 0.15
test: 0.15
split_seed: 0
limit: null
"""
ACTIVATION = '''


class Ramp(nn.Module):
    def __init__(self, width: float) -> None:
        super().__init__()
        self.width = width

    def forward(self, z: Tensor) -> Tensor:
        return z.clamp(0, self.width)


@activation("ramp", Facts(flat=lambda act, eps: [(-inf, 0.0), (act.width, inf)]))
def ramp(*, width: PositiveValue) -> Ramp:
    """z clipped to [0, width]."""
    return Ramp(width)
'''
ACTIVATION_VALUES = """\
# z clipped to [0, width]
name: ramp
width: 2.0
"""


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A copy of the program with a data source and an activation more."""
    folder = tmp_path_factory.mktemp("tree")
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "src" / "satae", folder / "satae", ignore=ignore)
    shutil.copytree(ROOT / "conf", folder / "satae" / "conf", ignore=ignore)
    (folder / "satae" / "data" / "rails.py").write_text(SOURCE)
    (folder / "satae" / "conf" / "data" / "rails.yaml").write_text(SOURCE_VALUES)
    with (folder / "satae" / "model" / "activations.py").open("a") as file:
        file.write(ACTIVATION)
    (folder / "satae" / "conf" / "act" / "ramp.yaml").write_text(ACTIVATION_VALUES)
    return folder


def run(tree, module, *words):
    environment = {**os.environ, "PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", f"import sys; from satae.{module} import main; sys.exit(main())", *words]
    done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, done.stdout, done.stderr


def test_help_and_lists_show_an_added_choice(tree):
    shown = run(tree, "train", "--help")[1]
    assert "  rails          points on two parallel lines" in shown
    assert "data.gap=1.0" in shown
    assert re.search(r"^ +ramp +z clipped to \[0, width\]\n +act.width=2.0$", shown, re.MULTILINE)
    assert "\nrails\tembedded\t\tcomputed\n" in run(tree, "datasets", "list")[1]


def test_messages_know_an_added_choice(tree):
    code, _, err = run(tree, "train", "data=rail", "act=ramp")
    assert (code, err.count("\n")) == (2, 1)
    assert "rails, svhn; did you mean rails?" in err
    assert "data.gap: data=digits has no such option; it belongs to data=rails\n" in run(tree, "train", "data.gap=2")[2]
    assert (
        "act.widht: act=ramp has no such option; did you mean act.width?\n"
        in run(tree, "train", "act=ramp", "act.widht=1")[2]
    )
    assert "data.gap=0: must be above 0\n" in run(tree, "train", "data=rails", "data.gap=0")[2]


def test_an_added_choice_is_trained(tree):
    words = [
        "data=rails",
        "data.gap=0.5",
        "act=ramp",
        "alpha=0.1",
        "epochs=1",
        "arch.widths=[3]",
        "threads=1",
        "hydra.run.dir=run",
    ]
    code, _, err = run(tree, "train", *words)
    assert (code, err) == (0, "")
    config = (tree / "run" / "config.yaml").read_text()
    assert "gap: 0.5" in config
    assert "width: 2.0" in config
