"""The frame of the programs: errors in one line, exit codes, output without a reader, the garbage collector."""

import gc
import io
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from program import PROGRAM, TINY, here, read, replaced, runs, typed

from satae import evaluate, export, report, train
from satae.cli import app, output

FAULTS = {
    "an error of the system": (FileNotFoundError(2, "No such file or directory", "there"), "there: No such file"),
    "an error without its words": (OSError("the other end has gone"), "OSError: the other end has gone"),
    "a fault": (ZeroDivisionError("division by zero\nmore"), "ZeroDivisionError: division by zero (HYDRA_FULL_ERROR"),
}


def ended_by(error, **options):
    """The outcome of a program whose work raises an error."""

    def work(words):
        raise error

    return typed(lambda: app.run("satae-try", work, help_text="help", **options), "satae-try", "word")


@pytest.mark.parametrize("kind", FAULTS)
def test_a_fault_gives_1_and_one_line(kind):
    error, text = FAULTS[kind]
    code, out, err = ended_by(error, refusals=(KeyError,))
    assert (code, out) == (1, "")
    assert err.startswith(f"satae-try: {text}")
    assert err.count("\n") == 1
    assert "None" not in err


def test_a_fault_shows_its_traceback_on_request(monkeypatch):
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    with pytest.raises(ZeroDivisionError):
        ended_by(ZeroDivisionError("division by zero"))


def test_a_refusal_gives_2_and_one_line():
    refused = ended_by(ValueError("word: no such thing"), refusals=(ValueError,))
    assert refused == (2, "", "satae-try: word: no such thing\n")


@pytest.mark.parametrize(("words", "code"), [([], 2), (["-h"], 0), (["word", "--help"], 0)])
def test_the_help_is_shown_for_a_command_line_without_words(words, code):
    assert typed(lambda: app.run("satae-try", str, help_text="help"), "satae-try", *words) == (code, "help\n", "")


def test_a_text_is_printed_and_gives_0():
    assert typed(lambda: app.run("satae-try", " ".join), "satae-try", "a", "b") == (0, "a b\n", "")


@pytest.mark.parametrize(
    ("module", "words"),
    [
        (report, ["@"]),
        (report, [".", "out=@"]),
        (export, ["run=@", "format=onnx"]),
        (evaluate, ["run=@"]),
        (train, ["resume=@"]),
        (train, ["hydra.run.dir=@"]),
    ],
)
def test_a_name_that_is_too_long_is_refused_as_it_was_typed(tmp_path, monkeypatch, module, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run.json").write_text("{}")
    code, out, err = typed(module.main, "satae-try", *(word.replace("@", "x" * 300) for word in words))
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert words[-1 if module is report else 0].partition("@")[0] + "xxx" in err
    assert {path.name for path in tmp_path.iterdir()} == {"run.json"}


# output without a reader

JOBLIB = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")  # prints a line before any run

AT_THE_END_AND_AT_ONCE = ("", "1")  # when Python writes: values of PYTHONUNBUFFERED


def unread(folder, program, *words, buffered=""):
    """Exit code and messages of a program that writes into a pipe without a reader."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [Path(PROGRAM).with_name(program), *replaced(words)],
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


@pytest.mark.parametrize(
    ("line", "buffered"),
    [
        *(("satae-train --help", ""), ("satae-train --cfg job", "1"), ("satae-export", "1"), ("satae-data list", "")),
        *(pytest.param(line, "1", marks=pytest.mark.slow) for line in ("satae-train --version", "satae-export --help")),
        pytest.param("satae-train --hydra-help", "", marks=pytest.mark.slow),
    ],
)
def test_a_program_that_prints_something_exits_silently_without_a_reader(tmp_path, line, buffered):
    assert unread(tmp_path, *line.split(), buffered=buffered) == (141, "")


@pytest.mark.parametrize(
    ("resume", "export"), [AT_THE_END_AND_AT_ONCE, pytest.param(*AT_THE_END_AND_AT_ONCE[::-1], marks=pytest.mark.slow)]
)
def test_a_program_that_finds_nothing_to_do_exits_silently_without_a_reader(tmp_path, resume, export):
    assert here(tmp_path, *TINY, "epochs=1", "hydra.run.dir=run").code == 0
    assert unread(tmp_path, "satae-train", "resume=run", buffered=resume) == (141, "")
    assert unread(tmp_path, "satae-export", "run=run", "format=safetensors", buffered=export) == (141, "")
    assert (tmp_path / "run" / "model.safetensors").exists()


@pytest.mark.parametrize(
    ("words", "buffered"),
    [
        pytest.param((), "1", id="run-at once"),
        pytest.param(("-m", "seed=0,1", *JOBLIB), "", id="sweep-at the end"),
        pytest.param((), "", id="run-at the end", marks=pytest.mark.slow),
        pytest.param(("-m", "seed=0,1"), "1", id="sweep-at once", marks=pytest.mark.slow),
    ],
)
def test_runs_without_a_reader_finish(tmp_path, words, buffered):
    assert unread(tmp_path, "satae-train", *TINY, "epochs=1", *words, buffered=buffered) == (0, "")
    assert [read(run / "run.json")["status"] for run in runs(tmp_path)] == ["finished"] * (2 if words else 1)


def test_a_refusal_without_a_reader_is_still_printed(tmp_path):
    assert unread(tmp_path, "satae-train", "alpha=-1") == (2, "satae-train: alpha=-1: must be at least 0\n")


def test_another_broken_pipe_is_a_fault():
    assert ended_by(BrokenPipeError()).code == 1


# output that cannot be written


def redirected(folder, line, *words):
    """The outcome of a program whose streams a shell has redirected, as ``>&-`` and ``>/dev/full`` do."""
    program, _, where = line.partition(" ")
    command = f'{Path(PROGRAM).with_name(program)} "$@" {where}'
    done = subprocess.run(["sh", "-c", command, "sh", *words], cwd=folder, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


LOST = "standard output: No space left on device; what cannot be written there is lost\n"


@pytest.mark.parametrize("program", ["satae-train", "satae-data"])
def test_help_that_cannot_be_written_is_no_success(tmp_path, program):
    assert redirected(tmp_path, f"{program} >/dev/full", "--help") == (1, "", f"{program}: {LOST}")


@pytest.mark.parametrize(
    "program", ["satae-report", *(pytest.param(f"satae-{name}", marks=pytest.mark.slow) for name in ("eval", "export"))]
)
def test_a_closed_output_is_like_an_empty_one(tmp_path, program):
    assert redirected(tmp_path, f"{program} >&-", "--help") == (0, "", "")
    assert redirected(tmp_path, f"{program} <&- >&- 2>&-", "no-such-thing") == (2, "", "")


@pytest.mark.parametrize(
    ("where", "launcher"), [(">/dev/full", ()), pytest.param("<&- >&- 2>&-", JOBLIB, marks=pytest.mark.slow)]
)
def test_a_sweep_keeps_its_table_and_report_without_output(tmp_path, where, launcher):
    words = (*TINY, "sweep=./S", "seed=0,1", *launcher)
    lost = f"satae-train: {LOST}" if "full" in where else ""
    assert redirected(tmp_path, f"satae-train {where}", *words) == (0, "", lost)
    assert [read(run / "run.json")["status"] for run in runs(tmp_path)] == ["finished"] * 2
    assert (tmp_path / "S" / "runs.csv").exists()
    assert (tmp_path / "S" / "report" / "index.html").exists()
    assert {path.name for path in tmp_path.iterdir()} == {"S"}


def test_a_stream_that_has_no_room_now_is_waited_for():
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    content = bytes(2**18)  # more than a pipe holds
    with open(writer, "wb", buffering=0) as pipe, open(reader, "rb") as source:
        thread = threading.Thread(target=lambda: read_back.append(source.read(len(content))))
        read_back = []
        thread.start()
        stream = io.TextIOWrapper(io.BufferedWriter(pipe), "latin-1")
        lasting = output._lasting(stream)
        lasting.write(content.decode("latin-1"))
        lasting.flush()
        thread.join()
    assert read_back == [content]


# the garbage collector

ENDS = """
import atexit, gc, sys
from unittest import mock
atexit.register(lambda: print(gc.get_freeze_count() > 100_000, file=sys.stderr))  # called after those registered later
sys.argv = ["satae-train", *sys.argv[1:]]
from satae import train

def training(*args, **kwargs):
    print(gc.isenabled(), gc.get_freeze_count() > 50_000)
    return 1.0

with mock.patch.object(train, "train", training):
    train.main()
"""


@pytest.mark.parametrize("error", [None, ValueError("x")])
def test_the_collector_works_again_when_a_program_has_ended(error):
    def work(words):
        assert not gc.isenabled()
        if error:
            raise error
        return 0

    typed(lambda: app.run("satae-try", work, pause_garbage_collector=True), "satae-try")
    assert gc.isenabled()


def test_the_collector_looks_at_what_a_run_leaves_behind():
    def work(words):
        app.resume_garbage_collector()
        assert gc.isenabled()
        cycle = []
        cycle.append(cycle)
        del cycle
        assert gc.collect() > 0
        frozen = gc.get_freeze_count()
        app.resume_garbage_collector()  # a second run in one process
        assert gc.get_freeze_count() <= frozen
        return 0

    assert typed(lambda: app.run("satae-try", work, pause_garbage_collector=True), "satae-try") == (0, "", "")


def test_the_collector_works_during_a_run_and_rests_at_exit(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", ENDS, *TINY], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stdout.startswith("True True")
    assert done.stderr.splitlines()[-1] == "True"
