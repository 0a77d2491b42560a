"""A program that does one thing and tells of it: its help, its version, and what goes wrong, in one line."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Final

from satae import signals as interruption
from satae.cli.exit_codes import FAILED, OK, REFUSED, ended, say, say_fault, unread
from satae.cli.flags import VERSION, version_line
from satae.printable import first_line
from satae.signals import Interrupted

SHOWS: Final = {"--help", "-h"}


def run(program: str, text: str, work: Callable[[Sequence[str]], object], refusals: tuple[type[Exception], ...]) -> int:
    """Do what the words after the program's name ask for; returns the exit code.

    Args:
        program: its name.
        text: its help.
        work: takes the words, and gives what is to be told.
        refusals: the errors that say that the words cannot be followed.
    """
    return ended(lambda: _run(program, text, work, refusals))


def _run(
    program: str, text: str, work: Callable[[Sequence[str]], object], refusals: tuple[type[Exception], ...]
) -> int:
    words = sys.argv[1:]
    if VERSION in words:
        print(version_line())  # noqa: T201
        return OK
    if not words or SHOWS & {*words}:
        print(text)  # noqa: T201
        return OK if words else REFUSED
    try:
        with interruption.listening(f"{program}: ended at once"):
            try:
                told = work(words)
            except Exception:
                interruption.heed()  # it may have become another error on its way
                raise
            interruption.heed()
            print(told)  # noqa: T201
    except refusals as error:
        return say(program, first_line(error), REFUSED)
    except Interrupted as error:
        return say(program, f"interrupted{error.remedy}", error.code)
    except OSError as error:
        if unread(error):
            raise
        if error.strerror is None:  # not the system's
            return say_fault(program, error)
        return say(program, f"{error.filename or 'standard output'}: {error.strerror}", FAILED)
    except Exception as error:
        return say_fault(program, error)
    return OK
