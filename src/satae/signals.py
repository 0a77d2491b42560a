"""Signals that ask a program to end: Ctrl-C, a time limit, a preemption."""

from __future__ import annotations

import atexit
import functools
import os
import signal
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)  # Slurm can send the last one ahead of its limit
AGAIN: Final = 0.5  # seconds within which further signals are taken for the first one


class Interrupted(KeyboardInterrupt):
    """A signal asked the program to end."""

    def __init__(self, number: int, remedy: str = "") -> None:
        super().__init__(number, remedy)
        self.number = number
        self.remedy = remedy  # for the message

    @property
    def code(self) -> int:
        """The exit code, as shells have it."""
        return 128 + self.number

    def __str__(self) -> str:
        """The signal's name."""
        return signal.Signals(self.number).name


class _State:
    """What this process was asked, and whether it may be interrupted."""

    last_words: str = ""
    asked: int | None = None
    since = 0.0
    holding = 0
    worker = False


def number_of(error: KeyboardInterrupt) -> int:
    """The signal behind an interrupt, which Python raises for Ctrl-C where nobody is listening."""
    return error.number if isinstance(error, Interrupted) else signal.SIGINT


def asked() -> int | None:
    """The signal that asked this process to end; None if none did."""
    return _State.asked


def heed() -> None:
    """Raise what was asked for: it is held back, or was swallowed on its way, as by a library that was imported.

    Raises:
        Interrupted: this process was asked to end.
    """
    if (number := asked()) is not None:
        raise Interrupted(number)


def ask() -> None:
    """Ask this process to end, as SIGTERM does, where its run can be left."""
    if _State.asked is None:
        _State.asked, _State.since = signal.SIGTERM, time.monotonic()


def die_quietly() -> None:
    """Until it listens, have Ctrl-C end the program without the traceback that Python shows."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextmanager
def listening(last_words: str) -> Iterator[None]:
    """Have signals raise ``Interrupted``; Ctrl-C half a second after that or later ends the program at once.

    After that signals are ignored: they would show a traceback while the program is taken apart.

    Args:
        last_words: told where the program is ended at once.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _State.asked, _State.last_words = None, last_words
    heard = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]  # nohup, a shell's "&"
    before = {number: signal.signal(number, _hear) for number in heard}
    try:
        yield
    finally:
        ending = _State.asked is not None
        _State.asked = None
        _ignore_at_the_end()
        for number, handler in before.items():
            signal.signal(number, _ignore if ending else handler)


@contextmanager
def held() -> Iterator[None]:
    """Hold signals back until the context ends: :func:`asked` tells of one meanwhile.

    An interrupt that falls into a callback of torch or into a finaliser becomes another error, or is lost.

    Raises:
        Interrupted: at the end, if one was held back.
    """
    before = _State.asked
    _State.holding += 1
    try:
        yield
    finally:
        _State.holding -= 1
    if _State.asked is not None and before is None and not _State.holding:
        raise Interrupted(_State.asked)


def hold_for_good(*others: int) -> None:
    """In a worker process: let the runs look by themselves, since what goes on between them is not ours.

    Args:
        others: signals that mean the same there.
    """
    _State.holding += 1
    _State.worker = True
    hear(*SIGNALS, *others)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [*SIGNALS, *others])


def hear(*numbers: int) -> None:
    """Listen to signals, whatever a library has them do."""
    for number in numbers:
        signal.signal(number, _hear)


@contextmanager
def masked(numbers: Iterable[int]) -> Iterator[None]:
    """Block some signals, for the processes that are started meanwhile: they inherit that."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def blocked() -> Iterator[None]:
    """Block those that we hear, for the processes that are started meanwhile."""
    from multiprocessing import resource_tracker

    with held():
        resource_tracker.ensure_running()  # starting, it would unblock them
        with masked(SIGNALS):
            yield


def _hear(number: int, frame: Any) -> None:
    if _State.asked is None:
        _State.asked, _State.since = number, time.monotonic()
        _pass_on(number)
        if not _State.holding:
            raise Interrupted(number)
    elif number == signal.SIGINT and not _State.worker and time.monotonic() - _State.since > AGAIN:
        with suppress(OSError):
            os.write(sys.stderr.fileno(), f"{_State.last_words}\n".encode())  # print could be in the middle of a line
        os._exit(128 + number)


def _pass_on(number: int) -> None:
    """To worker processes: a terminal signals them too, but what runs jobs may not."""
    if "multiprocessing" in sys.modules:
        for worker in getattr(sys.modules["multiprocessing"], "active_children", list)():
            with suppress(ProcessLookupError):
                os.kill(worker.pid, number)


def _ignore(number: int, frame: Any) -> None:
    """Do nothing, unlike ``SIG_IGN`` not in the programs that this one starts."""


@functools.cache
def _ignore_at_the_end() -> None:
    atexit.register(_ignore_for_good)


def _ignore_for_good() -> None:
    for number in SIGNALS:  # the interpreter takes back handlers before it ends, but not this
        signal.signal(number, signal.SIG_IGN)
