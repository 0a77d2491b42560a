"""Run satae-train for a test: in the process of the test (fast), or as a separate process, as a user does."""

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
    """Call an entry point in this process with the command line ``name words...``; returns code, output and errors."""
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


def replaced(words):
    """Leave out each option that a later word gives again: a test may vary some of its usual options."""
    keys = [word.partition("=")[0] for word in words]
    own = ("sweep", "resume", "rerun", "run", "-m")
    kept = [word for place, word in enumerate(words) if keys[place] in own or keys[place] not in keys[place + 1 :]]
    return [*kept]


def here(folder, *words):
    """Run ``satae-train words...`` in this process, in the working directory ``folder``."""
    with contextlib.chdir(folder):
        try:
            return typed(main, "satae-train", *replaced(words))
        finally:
            close_logs()


def there(folder, *words, program=(PROGRAM,), **environment):
    """Run ``satae-train words...`` as a separate process in ``folder``, and wait for its end."""
    done = subprocess.run(
        [*program, *replaced(words)],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def started(folder, *words):
    """Start ``satae-train words...`` as a separate process in its own process group, as a terminal does."""
    return subprocess.Popen(
        [PROGRAM, *replaced(words)],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        process_group=0,
        # a background job of a shell starts with Ctrl-C ignored
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def close_logs():
    """Close the log file that Hydra leaves open for the end of a process, and enable loggers that it disabled."""
    root = logging.getLogger()
    for logger in root.manager.loggerDict.values():
        if isinstance(logger, logging.Logger):
            logger.disabled = False
    for handler in [handler for handler in root.handlers if isinstance(handler, logging.FileHandler)]:
        root.removeHandler(handler)
        handler.close()


def files(folder):
    """List all paths below a folder, relative to it."""
    return sorted(path.relative_to(folder).as_posix() for path in Path(folder).rglob("*"))


def runs(folder):
    """List the run directories below a folder, sorted by path."""
    return sorted(path.parent for path in Path(folder).rglob("run.json"))


def read(path):
    """Read a JSON file."""
    return json.loads(Path(path).read_text("utf-8"))
