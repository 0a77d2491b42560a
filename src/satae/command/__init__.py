"""The command line that all entry points share: checks before anything is written, errors in one line, exit codes."""

from __future__ import annotations

import argparse
import io
import logging
import math
import os
import sys
import threading
from collections.abc import Callable
from typing import Final

from hydra._internal.utils import get_args_parser
from hydra.core.utils import env_override

from satae.command import arguments, overrides
from satae.command.composition import UNUSABLE, configs
from satae.config import Config, ConfigError
from satae.config.messages import first_line

OK: Final = 0
FAILED: Final = 1  # a fault of the program or of the machine
REFUSED: Final = 2  # a choice that cannot be run
DIVERGED: Final = 3  # the loss was not finite
INTERRUPTED: Final = 130  # Ctrl-C

log = logging.getLogger(__name__)

TRACEBACK: Final = "HYDRA_FULL_ERROR"  # as Hydra has it: 1 shows faults of the program in full
_failures: list[int] = []  # exit codes of the runs of this process that did not end well


def fail(program: str, line: str, code: int = FAILED) -> float:
    """Tell in one line that a run failed; the other runs of a sweep go on.

    Returns:
        nan, for the sweeper.
    """
    _failures.append(say(program, line, code))
    return math.nan


def execute(
    program: str, hydra_main: Callable[[], None], check: Callable[[Config], None], after: Callable[[], None]
) -> int:
    """Run a command line, and tell what went wrong in one line.

    Args:
        program: its name, for the messages.
        hydra_main: a function decorated by ``hydra.main``.
        check: raises ``ConfigError`` for a configuration that cannot be run; called before Hydra writes anything.
        after: called when the runs are over, also when they were interrupted.

    Returns:
        The exit code.
    """
    _failures.clear()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal without our signs is no reason to lose a run
    try:
        found = _check(check)
        if text := arguments.shown(found):
            print(text)  # noqa: T201
            return OK
        try:
            _run(hydra_main)
        finally:
            after()
    except ConfigError as error:
        return say(program, str(error), REFUSED)
    except KeyboardInterrupt:
        return say(program, "interrupted", INTERRUPTED)
    except Exception as error:
        if os.environ.get(TRACEBACK) == "1":
            raise
        return say(program, f"{type(error).__name__}: {first_line(error)} ({TRACEBACK}=1 shows where)", FAILED)
    return max(_failures, default=OK)


def say(program: str, line: str, code: int) -> int:
    """Tell what went wrong, in one line; returns the exit code."""
    print(f"{program}: {' '.join(line.splitlines())}", file=sys.stderr)  # noqa: T201
    return code


def _check(check: Callable[[Config], None]) -> argparse.Namespace:
    """Refuse a command line that cannot be run, and put its words in the order that Hydra reads; what was typed."""
    found = arguments.parse(get_args_parser(), sys.argv[1:])
    flags = [word for word in sys.argv[1:] if word not in found.overrides]
    found.overrides = [overrides.quoted(word) for word in found.overrides]
    sys.argv[1:] = flags + found.overrides  # at the end Hydra's parser finds all of them
    if found.run or (found.overrides and not found.shell_completion):
        for config in configs(found.overrides, found.multirun, found.config_name, found.config_dir):
            if found.run:
                check(config)
    return found


def _run(hydra_main: Callable[[], None]) -> None:
    before, threading.excepthook = threading.excepthook, _log_thread
    try:
        with env_override({TRACEBACK: "1"}):  # Hydra passes errors on instead of printing them
            hydra_main()
    except UNUSABLE as error:
        raise ConfigError(overrides.explain(error, {})) from None
    except OSError as error:
        place = error.filename or "standard output"
        raise ConfigError(f"{place}: cannot write there ({error.strerror}); name another") from None
    finally:
        threading.excepthook = before


def _log_thread(error: threading.ExceptHookArgs) -> None:
    """Keep what ended a thread, such as TensorBoard's on a full disk, for the log; the run fails by itself."""
    log.error("a thread ended: %s", error.exc_value, exc_info=error.exc_value)
