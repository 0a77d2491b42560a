"""Running satae-train: in this process, which is quick, or in one of its own, which is what a user does."""

import contextlib
import io
import json
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple
from unittest import mock

from satae.train import main

ROOT = Path(__file__).parents[1]
PROGRAM = str(Path(sys.executable).with_name("satae-train"))
TINY = ("data.limit=64", "epochs=2", "batch_size=32", "threads=1", "arch.widths=[16,4]")


class Outcome(NamedTuple):
    code: int
    out: str
    err: str


def typed(entry, name, *words):
    """Call an entry point in this process, as if ``name words...`` had been typed."""
    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch.object(sys, "argv", [name, *words]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            code = entry()
        except SystemExit as stop:
            code = stop.code or 0
    return Outcome(code, out.getvalue(), err.getvalue())


def here(folder, *words):
    """Run ``satae-train words...`` in this process, from ``folder``."""
    with contextlib.chdir(folder):
        try:
            return typed(main, "satae-train", *words)
        finally:
            close_logs()


def there(folder, *words, program=(PROGRAM,), **environment):
    """Run ``satae-train words...`` as a program of its own, from ``folder``."""
    done = subprocess.run(
        [*program, *words],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def started(folder, *words):
    """``satae-train words...`` as a program of its own, in a group of its own, as a terminal starts it."""
    return subprocess.Popen(
        [PROGRAM, *words],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        process_group=0,
        # a shell's background job is started deaf to Ctrl-C
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def close_logs():
    """Close the log file that Hydra leaves open for the end of a process."""
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if isinstance(handler, logging.FileHandler)]:
        root.removeHandler(handler)
        handler.close()


def files(folder):
    """Everything below a folder."""
    return sorted(path.relative_to(folder).as_posix() for path in Path(folder).rglob("*"))


def runs(folder):
    """The run directories below a folder, by their times or numbers."""
    return sorted(path.parent for path in Path(folder).rglob("run.json"))


def read(path):
    return json.loads(Path(path).read_text("utf-8"))
