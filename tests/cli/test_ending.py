"""How a program ends whose output nobody reads: without a word, by its exit code."""

import os
import subprocess
from pathlib import Path

import pytest
from program import PROGRAM, TINY, here, read, runs

from satae.cli.exit_codes import UNREAD, ended

BUFFERED = pytest.mark.parametrize("buffered", ["", "1"], ids=["at the end", "at once"])


def unread(folder, program, *words, buffered=""):
    """Exit code and messages of a program that writes into a pipe without a reader."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [Path(PROGRAM).with_name(program), *words],
            cwd=folder,
            env={**os.environ, "PYTHONUNBUFFERED": buffered},
            stdout=writer,
            stderr=subprocess.PIPE,
            text=True,
            timeout=120,
            check=False,
        )
    finally:
        os.close(writer)
    return done.returncode, done.stderr


@BUFFERED
@pytest.mark.parametrize(
    "line",
    [
        *("satae-train --help", "satae-train --version", "satae-train --hydra-help", "satae-train --cfg job"),
        *("satae-export --help", "satae-export", "satae-export --version", "satae-data list"),
    ],
)
def test_what_shows_something_ends_without_a_word(tmp_path, line, buffered):
    assert unread(tmp_path, *line.split(), buffered=buffered) == (141, "")


@BUFFERED
def test_so_does_what_finds_nothing_left_to_do(tmp_path, buffered):
    assert here(tmp_path, *TINY, "hydra.run.dir=run").code == 0
    assert unread(tmp_path, "satae-train", "resume=run", buffered=buffered) == (141, "")
    assert unread(tmp_path, "satae-export", "run=run", "format=safetensors", buffered=buffered) == (141, "")
    assert (tmp_path / "run" / "model.safetensors").exists()


@BUFFERED
@pytest.mark.parametrize("words", [(), ("-m", "seed=0,1")], ids=["run", "sweep"])
def test_runs_go_on_to_their_end(tmp_path, words, buffered):
    assert unread(tmp_path, "satae-train", *TINY, *words, buffered=buffered) == (0, "")
    assert [read(run / "run.json")["status"] for run in runs(tmp_path)] == ["finished"] * (2 if words else 1)


def test_a_refusal_is_told_all_the_same(tmp_path):
    assert unread(tmp_path, "satae-train", "alpha=-1") == (2, "satae-train: alpha=-1: must be at least 0\n")


def test_a_pipe_to_something_else_is_another_matter():
    def work():
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        ended(work)
    assert UNREAD == 141
