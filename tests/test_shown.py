"""What comes from a file is shown in one short line, and a terminal is told nothing by it."""

import json
import shutil
import struct

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from program import TINY, here
from safetensors.torch import save_file

import satae
from satae.messages import MAX_BRIEF, brief, one_line
from satae.training import checkpoint
from satae.training.checkpoint import list_checkpoints

HOSTILE = "\x1b[2J\x1b]0;owned\x07\nall is well\r\u202e\x9b1m" + "A" * 5000
TYPED = 400  # characters of what we say ourselves, with the names of folders, at most


@given(st.text(st.characters(), max_size=500))
def test_any_text_is_one_short_line_that_can_be_printed(text):
    assert one_line(text).isprintable()
    assert len(brief(text)) <= MAX_BRIEF
    one_line(text).encode()


@given(st.text(st.characters(categories=["L", "N", "P"]), max_size=MAX_BRIEF))
def test_what_can_be_shown_is_left_as_it_is(text):
    assert brief(text) == one_line(text) == text


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    assert here(folder, *TINY, "hydra.run.dir=run").code == 0
    return folder / "run"


@pytest.fixture
def run(finished, tmp_path):
    """The directory of a run."""
    shutil.copytree(finished, tmp_path / "run")
    return tmp_path / "run"


def check_harmless(text):
    (line,) = text.splitlines()
    assert line.isprintable()
    assert len(line) < TYPED + MAX_BRIEF


def refused(run):
    """What is told where a run cannot go on."""
    outcome = here(run.parent, "resume=run", "epochs=3")
    assert (outcome.code, outcome.out) == (2, "")
    check_harmless(outcome.err)
    return outcome.err


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("step", HOSTILE),
        ("step", [10**300] * 9),
        ("best", HOSTILE),
        ("samples", HOSTILE),
        ("samples", {HOSTILE: 1}),
        ("samples", 10**400),
        ("shape", [10**400]),
        ("shape", HOSTILE),
    ],
)
def test_facts_of_a_checkpoint(run, key, value):
    (_, newest), *_ = list_checkpoints(run)
    state = checkpoint.load(newest)
    checkpoint.save(newest, state._replace(facts=state.facts | {key: value}))
    refused(run)


@pytest.mark.parametrize("where", ["model/", "model/encoder.", "optimiser/", "optimiser/0/"])
def test_names_in_a_checkpoint(run, where):
    (_, newest), *_ = list_checkpoints(run)
    state = checkpoint.load(newest)
    checkpoint.save(newest, state._replace(tensors={**state.tensors, f"{where}{HOSTILE}": torch.zeros(1)}))
    told = here(run.parent, "resume=run", "epochs=3").err
    check_harmless(told)
    if where.startswith("model"):
        with pytest.raises(ValueError, match="does not hold a model of this program") as error:
            satae.load(run)
        check_harmless(str(error.value))


def test_the_format_of_a_checkpoint(run):
    (_, newest), *_ = list_checkpoints(run)
    save_file({"a": torch.zeros(2)}, newest, {"format": HOSTILE})
    assert "a checkpoint of format" in refused(run)


def test_the_header_of_a_checkpoint(run):
    for _, path in list_checkpoints(run):
        header = json.dumps({"a": {"dtype": HOSTILE, "shape": [], "data_offsets": [0, 0]}}).encode()
        path.write_bytes(struct.pack("<Q", len(header)) + header)
    refused(run)


@pytest.mark.parametrize(
    "content",
    [
        json.dumps({"alpha": HOSTILE, "act": {"name": "relu"}}),
        json.dumps({"act": {"name": HOSTILE}}),
        json.dumps({HOSTILE: 1}),
        "!<tag:\x85all%1B%0Ais well> {}",
        '"\\e[2J": [',
    ],
)
@pytest.mark.parametrize("word", ["resume", "rerun"])
def test_a_configuration(run, word, content):
    (run / "config.yaml").write_text(content)
    outcome = here(run.parent, f"{word}=run")
    assert (outcome.code, outcome.out) == (2, "")
    check_harmless(outcome.err)


def test_what_a_sweep_shows_of_its_runs(run):
    record = json.loads((run / "run.json").read_text())
    told = f"[link=https://example.org]here[/link]{HOSTILE}"
    (run / "run.json").write_text(json.dumps({**record, "status": "failed", "exit_code": 3, "error": told}))
    outcome = here(run.parent, *TINY, "-m", "hydra.sweep.dir=.")
    assert "[link=https://example.org]here" in outcome.out
    assert all(line.isprintable() for line in outcome.out.splitlines())
    assert max(map(len, outcome.out.splitlines())) < TYPED + MAX_BRIEF
