"""How a program ends: its exit codes, and the line that tells why."""

from __future__ import annotations

import os
import select
import signal
import sys
from collections.abc import Callable
from typing import Final, TextIO

from satae.printable import first_line, one_line

OK: Final = 0
FAILED: Final = 1  # a fault of the program or of the machine
REFUSED: Final = 2  # a choice that cannot be run
DIVERGED: Final = 3  # the loss was not finite
UNREAD: Final = 128 + signal.SIGPIPE  # what read the output has gone away, as if by that signal
# 128 + n: ended by signal n, such as 130 for Ctrl-C


def ended(work: Callable[[], int]) -> int:
    """Let a program run to its end; where nobody reads its output any more, that is told by the exit code alone.

    Args:
        work: gives the exit code; it passes on errors that are :func:`unread`.
    """
    try:
        try:
            return work()
        finally:
            _flush()
    except BrokenPipeError as error:
        if not unread(error):
            raise
        let_go()
        return UNREAD


def unread(error: Exception) -> bool:
    """Whether an error says that nobody reads the output any more."""
    return isinstance(error, BrokenPipeError) and bool(_gone())


def _gone() -> list[TextIO]:
    """Pipes of ours that have no reader."""
    return [stream for stream in (sys.stdout, sys.stderr) if _is_gone(stream)]


def _is_gone(stream: TextIO) -> bool:
    look = select.poll()
    try:
        look.register(stream.fileno(), select.POLLOUT)
    except ValueError:  # it is no file
        return False
    return any(found & (select.POLLERR | select.POLLHUP) for _, found in look.poll(0))


def let_go() -> None:
    """Have output that nobody reads go nowhere, since what is left of it is written at the end at the latest."""
    for stream in _gone():
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _flush() -> None:
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError:  # the interpreter tells of it at the end
        pass


def say(program: str, line: str, code: int) -> int:
    """Tell what went wrong, in one line; returns the exit code."""
    print(f"{program}: {one_line(line)}", file=sys.stderr)  # noqa: T201
    return code


def say_fault(program: str, error: Exception) -> int:
    """Tell of an error that nobody has foreseen; returns the exit code."""
    return say(program, f"{type(error).__name__}: {first_line(error)}", FAILED)
