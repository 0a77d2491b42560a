"""What is refused about averaged weights."""

import pytest
from program import TINY, here, typed

from satae import evaluate, export


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plain")
    assert here(folder, *TINY, "epochs=1", "hydra.run.dir=run").code == 0
    return folder


@pytest.mark.parametrize(("entry", "name"), [(evaluate.main, "satae-eval"), (export.main, "satae-export")])
@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("ema=true",), "run: has no averaged weights: it was trained without ema="),
        (("ema=true", "best=true"), "best=true ema=true: the average is of the newest weights; choose one of both"),
        (("ema=0.9",), "ema=0.9: must be true or false"),
    ],
)
def test_averaged_weights_that_do_not_exist_are_refused(folder, monkeypatch, entry, name, words, why):
    monkeypatch.chdir(folder)
    more = ("format=safetensors",) if name == "satae-export" else ("samples=5",)
    outcome = typed(entry, name, "run=run", *more, *words)
    found = outcome.err.replace(f"{folder}/", "")
    assert (outcome.code, found) == (2, f"{name}: {why}\n")


@pytest.mark.parametrize("value", ["0", "1", "1.5"])
def test_a_decay_outside_of_0_and_1_is_refused(tmp_path, value):
    outcome = here(tmp_path, f"ema={value}")
    assert (outcome.code, outcome.err) == (2, f"satae-train: ema={value}: must be above 0 and below 1\n")
