"""Python's garbage collector, kept from the libraries: it finds nothing among their half a million objects."""

from __future__ import annotations

import atexit
import functools
import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def resting() -> Iterator[None]:
    """Let it rest until :func:`wake`, and at the end of the program.

    While torch and the rest are imported it looked at them again and again, a quarter of a second in all; at the end
    the interpreter had it take all of them apart, half a second.
    """
    gc.disable()
    _rest_at_the_end()
    try:
        yield
    finally:
        gc.enable()


def wake() -> None:
    """Have it look at what is made from now on."""
    _pass_over_what_is_there()
    gc.enable()


@functools.cache
def _rest_at_the_end() -> None:
    atexit.register(gc.freeze)


@functools.cache  # once in a process: later there may be garbage of the run before
def _pass_over_what_is_there() -> None:
    gc.freeze()
