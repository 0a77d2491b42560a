"""Signals that ask a program to end: Ctrl-C, a closed terminal, a time limit, a preemption."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

# SIGHUP: the terminal was closed; SIGUSR1, SIGUSR2: schedulers can send them ahead of a time limit; SIGXCPU: the limit
# of ``ulimit -t``. SIGQUIT (Ctrl and backslash) stays what ends a program at once, even where it hangs.
SIGNALS: Final = (
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGXCPU,
)
ALWAYS_HANDLED: Final = (signal.SIGINT, signal.SIGTERM)  # in workers: launchers end runs by them
BLOCKED_FOR_HELPERS: Final = tuple(  # they would end the helper processes of multiprocessing
    number for number in SIGNALS if number not in ALWAYS_HANDLED
)
REPEAT_SECONDS: Final = 0.5  # a second Ctrl-C within this time counts as the first one


class Interrupted(KeyboardInterrupt):
    """A signal asked the program to end."""

    def __init__(self, number: int, remedy: str = "") -> None:
        super().__init__(number, remedy)
        self.number = number
        self.remedy = remedy  # for the message

    @property
    def exit_code(self) -> int:
        """The exit code of what the signal ends."""
        return 128 + self.number

    def __str__(self) -> str:
        """The name of the signal."""
        return signal.Signals(self.number).name


class _State:
    """The signal that this process received, and how it handles signals."""

    last_words: str = ""
    at_hangup: Callable[[], object] | None = None
    pending: int | None = None
    received_at = 0.0
    holds = 0  # contexts that hold signals back
    is_worker = False


def signal_number(error: KeyboardInterrupt) -> int:
    """The signal behind an interrupt; Python itself raises KeyboardInterrupt for Ctrl-C."""
    return error.number if isinstance(error, Interrupted) else signal.SIGINT


def pending_signal() -> int | None:
    """The signal that asked this process to end; None if no signal did."""
    return _State.pending


def raise_pending() -> None:
    """Raise the interrupt of a signal that was held back, or that a library swallowed.

    Raises:
        Interrupted: a signal asked this process to end.
    """
    if (number := pending_signal()) is not None:
        raise Interrupted(number)


def request_end() -> None:
    """Ask this process to end, as SIGTERM does, at the next point where its run can stop."""
    if _State.pending is None:
        _State.pending, _State.received_at = signal.SIGTERM, time.monotonic()


def end_without_traceback() -> None:
    """Let Ctrl-C end the program without Python's traceback, until :func:`handle_signals`."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextmanager
def handle_signals(last_words: str, at_hangup: Callable[[], object] | None = None) -> Iterator[None]:
    """Raise :class:`Interrupted` for signals; a second Ctrl-C ends the program at once.

    After a signal and this context, further signals are ignored: they would show a traceback during the exit.

    Args:
        last_words: printed when the program ends at once.
        at_hangup: called when the terminal was closed, before the interrupt is raised.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _State.pending, _State.last_words, _State.at_hangup = None, last_words, at_hangup
    handled = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]  # nohup, a shell's "&"
    before = {number: signal.signal(number, _receive) for number in handled}
    try:
        yield
    finally:
        is_ending = _State.pending is not None
        _State.pending = None
        atexit.register(_ignore_signals)
        for number, handler in before.items():
            signal.signal(number, _ignore if is_ending else handler)


@contextmanager
def pause_at_interrupt() -> Iterator[None]:
    """Hold the first Ctrl-C back until the run has written a checkpoint; a second one raises KeyboardInterrupt at once.

    This is for a run inside a program of the user's own: its other handlers stay in force, and so does this one after
    the context.
    """
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return

    def receive(number: int, frame: Any) -> None:
        if _State.pending is not None:
            raise KeyboardInterrupt
        _State.pending = number

    _State.pending = None
    signal.signal(signal.SIGINT, receive)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        _State.pending = None


@contextmanager
def hold_signals(last_words: str = "") -> Iterator[None]:
    """Hold signals back until the context ends; :func:`pending_signal` returns one that arrived meanwhile.

    An interrupt inside a callback of torch or a finalizer becomes another error, or is lost.

    Args:
        last_words: printed instead of those of :func:`handle_signals` when the program ends at once.

    Raises:
        Interrupted: at the end, if a signal was held back.
    """
    before, usual_words = _State.pending, _State.last_words
    _State.last_words = last_words or usual_words
    _State.holds += 1
    try:
        yield
    finally:
        _State.holds -= 1
        _State.last_words = usual_words
    if _State.pending is not None and before is None and not _State.holds:
        raise Interrupted(_State.pending)


def hold_signals_in_worker(*others: int) -> None:
    """Hold signals back for good in a worker process: its runs look at :func:`pending_signal` themselves.

    A signal that the program was told to ignore, as ``nohup`` does, stays ignored, except those by which launchers
    end runs.

    Args:
        others: further signals that ask the worker to end.
    """
    _State.holds += 1
    _State.is_worker = True
    ignored = [number for number in SIGNALS if signal.getsignal(number) is signal.SIG_IGN]
    install_handlers(
        *(number for number in SIGNALS if number not in BLOCKED_FOR_HELPERS or number not in ignored), *others
    )
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [*SIGNALS, *others])


def install_handlers(*numbers: int) -> None:
    """Receive signals, whatever handlers a library has installed for them."""
    for number in numbers:
        signal.signal(number, _receive)


@contextmanager
def block_signals(numbers: Iterable[int]) -> Iterator[None]:
    """Block some signals; processes that start meanwhile inherit the block."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def block_signals_for_workers() -> Iterator[None]:
    """Block the signals of this module while worker processes start, until these install their handlers."""
    from multiprocessing import resource_tracker

    with hold_signals():
        with block_signals(BLOCKED_FOR_HELPERS):
            resource_tracker.ensure_running()  # it would unblock the first two signals when it starts
        with block_signals(SIGNALS):
            yield


def _receive(number: int, frame: Any) -> None:
    if _State.pending is None:
        _State.pending, _State.received_at = number, time.monotonic()
        if number == signal.SIGHUP and _State.at_hangup is not None:
            _State.at_hangup()
        _forward_to_workers(number)
        if not _State.holds:
            raise Interrupted(number)
    elif number == signal.SIGINT and not _State.is_worker and time.monotonic() - _State.received_at > REPEAT_SECONDS:
        with suppress(OSError):
            os.write(sys.stderr.fileno(), f"{_State.last_words}\n".encode())  # print could be in the middle of a line
        os._exit(128 + number)


def _forward_to_workers(number: int) -> None:
    """Send a signal to the worker processes: a terminal signals them too, but a job scheduler may not."""
    if "multiprocessing" in sys.modules:
        for worker in getattr(sys.modules["multiprocessing"], "active_children", list)():
            with suppress(ProcessLookupError):
                os.kill(worker.pid, number)


def _ignore(number: int, frame: Any) -> None:
    """Do nothing; programs that this one starts do not inherit this handler, as they would inherit ``SIG_IGN``."""


def _ignore_signals() -> None:
    for number in SIGNALS:  # the interpreter resets handlers before it ends, but not this one
        signal.signal(number, signal.SIG_IGN)
