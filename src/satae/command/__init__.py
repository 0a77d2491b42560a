"""The command line that all entry points share: checks before anything is written, errors in one line, exit codes."""

from __future__ import annotations

import argparse
import io
import logging
import os
import shlex
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager
from typing import Final, NamedTuple

from hydra._internal.utils import get_args_parser
from hydra.core.utils import env_override

from satae.command import arguments, overrides, parallel
from satae.command.composition import UNUSABLE, Planned, composed_already, planned
from satae.command.ledger import Ledger, Place, ledger
from satae.config import Config, ConfigError
from satae.config.messages import first_line

OK: Final = 0
FAILED: Final = 1  # a fault of the program or of the machine
REFUSED: Final = 2  # a choice that cannot be run
DIVERGED: Final = 3  # the loss was not finite
INTERRUPTED: Final = 130  # Ctrl-C

log = logging.getLogger(__name__)

TRACEBACK: Final = "HYDRA_FULL_ERROR"  # as Hydra has it: 1 shows faults of the program in full


class CommandLine(NamedTuple):
    """What was typed, for the runs that it makes in this process or in others."""

    text: str  # as it can be typed again
    runs: int  # how many it asks for
    n_jobs: int | None  # runs at once, as asked of the launcher; None where it makes one after another
    ledger: Ledger  # where each run leaves a note as it begins


def execute(
    program: str,
    start: Callable[[CommandLine], None],
    check: Callable[[Config], None],
    close: Callable[[Sequence[Place], BaseException | None], int],
) -> int:
    """Run a command line, and tell what went wrong in one line.

    Args:
        program: its name, for the messages.
        start: calls a function decorated by ``hydra.main``.
        check: raises ``ConfigError`` for a configuration that cannot be run; called before Hydra writes anything.
        close: called when the runs are over, with where they are and what ended them before their time; gives
            their exit code.

    Returns:
        The exit code.
    """
    forgive_output()
    try:
        found, plan = _check(check)
        if text := arguments.shown(found):
            print(text)  # noqa: T201
            return OK
        with ledger() as notes:
            typed = shlex.join([program, *sys.argv[1:]])
            runs = len(plan.configs) if found.run else 0
            return _run(program, CommandLine(typed, runs, plan.n_jobs, notes), start, close)
    except ConfigError as error:
        return say(program, str(error), REFUSED)
    except KeyboardInterrupt:
        return say(program, "interrupted", INTERRUPTED)
    except BrokenExecutor:
        text = f"a worker process was killed, perhaps for want of memory; try a smaller {parallel.N_JOBS}"
        return say(program, text, FAILED)
    except Exception as error:
        if os.environ.get(TRACEBACK) == "1":
            raise
        return say(program, f"{type(error).__name__}: {first_line(error)} ({TRACEBACK}=1 shows where)", FAILED)


def say(program: str, line: str, code: int) -> int:
    """Tell what went wrong, in one line; returns the exit code."""
    print(f"{program}: {' '.join(line.splitlines())}", file=sys.stderr)  # noqa: T201
    return code


@contextmanager
def watched() -> Iterator[None]:
    """What a run needs in whatever process it is."""
    forgive_output()
    before, threading.excepthook = threading.excepthook, _log_thread
    try:
        yield
    finally:
        threading.excepthook = before


def forgive_output() -> None:
    """A terminal without our signs is no reason to lose a run."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


def _check(check: Callable[[Config], None]) -> tuple[argparse.Namespace, Planned]:
    """Refuse a command line that cannot be run, and put its words in the order that Hydra reads; what was typed."""
    found = arguments.parse(get_args_parser(), sys.argv[1:])
    flags = [word for word in sys.argv[1:] if word not in found.overrides]
    found.overrides = [overrides.quoted(word) for word in found.overrides]
    sys.argv[1:] = flags + found.overrides  # at the end Hydra's parser finds all of them
    plan = Planned([], None)
    if found.run or (found.overrides and not found.shell_completion):
        plan = planned(found.overrides, found.multirun, found.config_name, found.config_dir)
    for config in plan.configs if found.run else []:
        check(config)
    return found, plan


def _run(
    program: str,
    line: CommandLine,
    start: Callable[[CommandLine], None],
    close: Callable[[Sequence[Place], BaseException | None], int],
) -> int:
    """Make the runs, and close them whatever happens; their exit code."""
    try:
        _hand_over(line, start)
    except BaseException as error:
        close(line.ledger.places(), error)
        raise
    places = line.ledger.places()
    code = close(places, None)
    if unknown := line.runs - len(places):
        text = f"how {unknown} of {line.runs} runs ended is not known here, only in their directories"
        code = max(code, say(program, f"{text}: no notes in {line.ledger.folder}", FAILED))
    return code


def _hand_over(line: CommandLine, start: Callable[[CommandLine], None]) -> None:
    try:
        with env_override({TRACEBACK: "1"}), composed_already():  # Hydra passes errors on instead of printing them
            start(line)
    except UNUSABLE as error:
        raise ConfigError(overrides.explain(error, {})) from None
    except OSError as error:
        place = error.filename or "standard output"
        raise ConfigError(f"{place}: cannot write there ({error.strerror}); name another") from None


def _log_thread(error: threading.ExceptHookArgs) -> None:
    """Keep what ended a thread, such as TensorBoard's on a full disk, for the log; the run fails by itself."""
    log.error("a thread ended: %s", error.exc_value, exc_info=error.exc_value)
