"""What becomes of errors of the launchers."""

import errno
import os

import pytest
from program import TINY, files, here

from satae.cli import launch


@pytest.mark.parametrize(
    ("error", "told"),
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
def test_an_error_of_another_than_the_system_is_told_in_its_own_words(tmp_path, monkeypatch, error, told):
    def failing(*_):
        raise error

    monkeypatch.setattr(launch, "_launch", failing)
    assert here(tmp_path, *TINY) == (2, "", f"satae-train: {told}\n")
    assert files(tmp_path) == []
