"""What becomes of errors of the launchers."""

import errno
import logging
import os

import pytest
from program import TINY, close_logs, files, here

from satae.cli.compose import _with_known_handlers
from satae.experiment import experiment
from satae.launchers.base import Launcher


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ConnectionError("Ray at head:6379 does not answer.\nStart it."), "Ray at head:6379 does not answer"),
        (ConnectionRefusedError(), "ConnectionRefusedError"),
        (
            OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
            "standard output: cannot write there (No space left on device); name another",
        ),
        (OSError(errno.EACCES, "Permission denied", "x"), "x: cannot write there (Permission denied); name another"),
    ],
)
def test_an_error_of_a_launcher_is_refused_in_one_line(tmp_path, monkeypatch, error, message):
    def failing(*_):
        raise error

    monkeypatch.setattr(Launcher, "run", failing)
    assert here(tmp_path, *TINY) == (2, "", f"satae-train: {message}\n")
    assert files(tmp_path) == []


@pytest.mark.parametrize(
    ("word", "refusal"),
    [
        ("hydra.job_logging.formatters.simple.format=5", "hydra/job_logging: Unable to configure formatter"),
        (
            "hydra.job_logging.handlers.file.class=zzz.Handler",
            "hydra/job_logging: Unable to configure handler",
        ),
        ("hydra.job.name=a/b", "hydra.job.name=a/b: names the log file; leave out the /"),
        ("hydra.verbose=3", "hydra.verbose=3: must be true, false, or names of loggers"),
    ],
)
@pytest.mark.parametrize("several", [[], ["-m", "seed=0"]])
def test_a_log_that_cannot_be_opened_is_refused_before_anything_is_written(tmp_path, word, refusal, several):
    close_logs()  # pytest has one, too
    handlers = logging.getLogger().handlers[:]
    code, _, errors = here(tmp_path, *TINY, *several, word)
    assert (code, errors.count("\n")) == (2, 1)
    assert errors.startswith(f"satae-train: {refusal}")
    assert files(tmp_path) == []
    assert logging.getLogger().handlers == handlers


@pytest.mark.parametrize("choice", ["disabled", "none", "stdout"])
def test_a_run_can_do_without_a_log_file(tmp_path, choice):
    words = [*TINY, "-m", "seed=0", f"hydra/job_logging={choice}", "hydra.sweep.dir=sweep"]
    outcome = here(tmp_path, *words)
    assert (outcome.code, outcome.err) == (0, "")
    assert [path.name for path in (tmp_path / "sweep" / "seed=0").glob("*.log")] == []


WITHOUT_LOG = [
    "hydra/job_logging=disabled",
    "hydra.job_logging.root=null",
    "hydra.job_logging.root.handlers=null",
    "hydra.job_logging.handlers.file.filename=../elsewhere.log",
]


@pytest.mark.parametrize("word", WITHOUT_LOG)
def test_a_failed_run_without_a_log_file_names_none_and_the_next_run_starts(tmp_path, monkeypatch, word):
    monkeypatch.setattr(experiment, "fit", None)
    outcome = here(tmp_path, *TINY, "-m", "seed=0,1", word, "hydra.sweep.dir=sweep")
    lines = outcome.err.splitlines()
    assert len(lines) == 2
    assert all(line.endswith("; hydra/job_logging wrote no log file there") for line in lines)
    assert ".log" not in outcome.out
    assert outcome.out.count("TypeError: ") == 2


def test_the_log_of_a_failed_run_is_named_as_it_was_written(tmp_path, monkeypatch):
    monkeypatch.setattr(experiment, "fit", None)
    outcome = here(tmp_path, *TINY, "-m", "seed=0", "hydra.job.name=mine", "hydra.sweep.dir=sweep")
    assert outcome.err.endswith("sweep/run/mine.log\n")
    assert "each has its log: sweep/<run>/mine.log" in outcome.out.splitlines()


@pytest.mark.parametrize(
    ("asked", "used"),
    [(["file"], ["console", "mail"]), (["file", "mail"], ["mail"]), (["mail"], ["mail"]), (None, ["nothing"])],
)
def test_the_root_logger_has_the_handlers_that_were_asked_for(asked, used):
    handlers = {name: {"class": "logging.NullHandler"} for name in ("console", "mail")}
    assert _with_known_handlers({"handlers": handlers, "root": {"handlers": asked}})["root"]["handlers"] == used
