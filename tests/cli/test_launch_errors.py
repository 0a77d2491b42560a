"""What becomes of errors of the launchers."""

import errno
import os

import pytest
from program import TINY, files, here

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


def test_job_logging_that_cannot_be_used_is_refused_with_its_cause(tmp_path):
    code, _, errors = here(tmp_path, *TINY, "hydra/job_logging=disabled")
    message = "hydra/job_logging: Unable to configure root logger (Unable to add handler 'file')"
    assert (code, errors) == (2, f"satae-train: {message}\n")
