"""Standard streams that end no run: closed ones, a full disk behind them, a terminal or a reader that has gone."""

from __future__ import annotations

import errno
import io
import os
import select
import sys
from typing import Any, Final, TextIO

STREAMS: Final = ("stdin", "stdout", "stderr")  # by file descriptor


class _OutputState:
    """What has become of the output of this process."""

    program = ""  # for the message
    needs_reader = True  # whether the program ends if nobody reads its output
    is_lost = False  # whether some of the standard output is lost


class _LastingFile(io.FileIO):
    """A standard stream that drops what it cannot write, and says so once, instead of raising an error."""

    def write(self, content: Any, /) -> int:
        while True:
            try:
                written = super().write(content)
            except BrokenPipeError:
                if _OutputState.needs_reader:
                    raise
                return len(content)
            except OSError as error:
                if self.fileno() == STREAMS.index("stdout"):
                    _print_loss(error)
                return len(content)
            if written is not None:
                return written
            select.select([], [self], [])  # it has no room now, and does not wait by itself


def open_lasting_streams(program: str = "") -> None:
    """Replace the standard streams by ones that end no run; a closed stream becomes an empty one.

    Without this, the next file that is opened would get the number of a closed stream, and with it the output.

    Args:
        program: its name, which begins the message about output that is lost; empty in a worker process, where the
            main process prints this message.
    """
    _OutputState.program = program or _OutputState.program
    for number, name in enumerate(STREAMS):
        stream = getattr(sys, name)
        if stream is None:
            _open_nothing(number)
            file = io.FileIO(number, "w" if number else "r", closefd=False)
            setattr(
                sys,
                name,
                io.TextIOWrapper(io.BufferedWriter(file) if number else io.BufferedReader(file), "utf-8", "replace"),
            )
        elif number and type(stream) is io.TextIOWrapper and stream.fileno() == number:
            setattr(sys, name, _lasting(stream))


def drop_unread_output() -> None:
    """From now on, output that nobody reads is dropped, and does not end the program."""
    _OutputState.needs_reader = False


def is_complete() -> bool:
    """Whether everything that was printed so far has been written."""
    sys.stdout.flush()
    return not _OutputState.is_lost


# output without a reader: a pipe whose other end is closed, a terminal that is gone


def is_unread(error: BaseException) -> bool:
    """Whether an error says that nobody reads the output any more."""
    is_unread = isinstance(error, OSError) and error.errno in (errno.EPIPE, errno.EIO) and error.filename is None
    return is_unread and any(map(_has_no_reader, (sys.stdout, sys.stderr)))


def discard_unread() -> None:
    """Send output without a reader to nowhere, since Python writes the rest of it at exit."""
    for stream in filter(_has_no_reader, (sys.stdout, sys.stderr)):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _has_no_reader(stream: TextIO) -> bool:
    poll = select.poll()
    try:
        poll.register(stream.fileno(), select.POLLOUT)
    except ValueError:  # not a file
        return False
    return any(events & (select.POLLERR | select.POLLHUP) for _, events in poll.poll(0))


def _lasting(stream: io.TextIOWrapper) -> io.TextIOWrapper:
    """A stream to the file of another stream that raises no error."""
    if isinstance(getattr(stream.buffer, "raw", stream.buffer), _LastingFile):
        return stream
    stream.flush()
    raw = _LastingFile(stream.fileno(), "w", closefd=False)
    return io.TextIOWrapper(
        raw if isinstance(stream.buffer, io.RawIOBase) else io.BufferedWriter(raw),
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


def _open_nothing(number: int) -> None:
    """Open a closed file descriptor, as ``/dev/null``."""
    try:
        os.fstat(number)
    except OSError:
        opened = os.open(os.devnull, os.O_RDWR)
        if opened == number:
            os.set_inheritable(number, True)  # worker processes need it
        else:
            os.dup2(opened, number)
            os.close(opened)


def _print_loss(error: OSError) -> None:
    is_first, _OutputState.is_lost = not _OutputState.is_lost, True
    if is_first and _OutputState.program:
        line = f"{_OutputState.program}: standard output: {error.strerror}; what cannot be written there is lost"
        print(line, file=sys.stderr)  # noqa: T201
