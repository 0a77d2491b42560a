"""Train small runs and run satae-eval on them, in the process of the test."""

import contextlib
import sys
from pathlib import Path

import program
from program import TINY, here

from satae import evaluate

PROGRAM = str(Path(sys.executable).with_name("satae-eval"))
QUICK = (
    *("denoising.gaussian=[0.1,0.5]", "denoising.uniform=[]", "denoising.masking=[0.25]"),
    *("denoising.salt_and_pepper=[]", "code.train=40", "manifold.other=none"),
    *("perturbation.linf=[0.1]", "perturbation.l2=[]", "perturbation.samples=10", "perturbation.steps=3"),
    *("defence.epsilons=[0.1]", "defence.samples=10", "defence.steps=2", "defence.restarts=1", "defence.queries=2"),
    *("defence.temperatures=[10]", "defence.control=false"),
    "denoising.corruptions=[rotate]",
)
PLANE = ("data=manifold", "act=satlin", "data.count=300", "arch.widths=[2]", "epochs=2", "batch_size=50", "threads=1")


def typed(folder, *words):
    """Run ``satae-eval words...`` in this process, in the working directory ``folder``."""
    with contextlib.chdir(folder):
        return program.typed(evaluate.main, "satae-eval", *program.replaced(words))


def trained(folder, *words, where="run", tiny=TINY):
    """Train a small run; returns its directory."""
    assert here(folder, *tiny, *words, f"hydra.run.dir={where}").code == 0
    return folder / where


def table(out, first):
    """Return the rows of the printed table whose first column is ``first``, as dictionaries."""
    lines = [line.split("\t") for line in out.splitlines()]
    start = next(place for place, cells in enumerate(lines) if cells[0] == first)
    rows = []
    for cells in lines[start + 1 :]:
        if len(cells) != len(lines[start]):
            break
        rows.append(dict(zip(lines[start], cells, strict=True)))
    return rows
