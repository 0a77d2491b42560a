"""The frame of the five commands: exit codes, errors in one line, signals, broken pipes, garbage collection."""

from __future__ import annotations

import argparse
import atexit
import errno
import functools
import gc
import io
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager, nullcontext
from typing import Final, NoReturn

from satae import signals
from satae.cli import output
from satae.errors import FAULT, OK, REFUSED, ConfigError
from satae.messages import brief, first_line, is_utf8, one_line, printable

BROKEN_PIPE: Final = 128 + signal.SIGPIPE  # nobody reads the output any more

FULL_ERROR: Final = "HYDRA_FULL_ERROR"  # the environment variable of Hydra: 1 shows tracebacks

log = logging.getLogger(__name__)


class LineErrorParser(argparse.ArgumentParser):
    """A parser that refuses words in one line, instead of printing its usage."""

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        """End the program after its help."""
        super().exit(status or output_exit_code(), message)

    def error(self, message: str) -> NoReturn:
        """Refuse the words of the command line."""
        raise ConfigError(f"{message} (see {self.prog.partition(' ')[0]} --help)")


def run(
    program: str,
    work: Callable[[Sequence[str]], int | str],
    *,
    help_text: str | Callable[[], str] | None = None,
    refusals: tuple[type[Exception], ...] = (ConfigError,),
    last_words: str = "ended at once",
    pause_garbage_collector: bool = False,
) -> int:
    """Run a program with the words of its command line, and print what goes wrong in one line.

    Args:
        program: its name, which begins every error line.
        work: does what the words ask for, and returns the exit code, or a text to print; it does not get the word
            ``plugins=...``, whose plugins have been imported.
        help_text: printed for ``--help`` and for a command line without words; None if ``work`` sees to both.
        refusals: the errors that mean that the words cannot be followed.
        last_words: printed when a second Ctrl-C ends the program at once.
        pause_garbage_collector: whether the collector waits until :func:`resume_garbage_collector`.

    Returns:
        The exit code. A missing reader of the output shows in it alone.
    """
    # OpenMP's threads wait by spinning, long by default: beside other programs, steps took up to 20 times as long
    os.environ.setdefault("GOMP_SPINCOUNT", "2000")
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # an NVIDIA GPU cannot repeat a run exactly without
    words = sys.argv[1:]
    try:
        output.open_lasting_streams(program)
        with _flushed_output(), tolerant_output(), _paused_collector() if pause_garbage_collector else nullcontext():
            if "--version" in words:
                from importlib import metadata

                print(f"satae {metadata.version('satae')}")  # noqa: T201
                return output_exit_code()
            # without plugins, help waits for no import
            has_plugins = "SATAE_PLUGINS" in os.environ or any(
                word.lstrip("+~").startswith("plugins") for word in words
            )
            is_help = help_text is not None and (not words or not {"--help", "-h"}.isdisjoint(words))
            if help_text is not None and is_help:
                work = functools.partial(_show_help, help_text)
            try:
                with signals.handle_signals(f"{program}: {last_words}", output.discard_unread), _interrupt_first():
                    _check_names(words)
                    if has_plugins or not is_help:
                        with signals.hold_signals():  # pydantic's library panics if an exception is raised inside it
                            import satae.config  # noqa: F401
                    if has_plugins:
                        from satae.config.plugins import import_typed

                        words = import_typed(words)
                    result = work(words)
                    signals.raise_pending()
                    if isinstance(result, str):
                        print(printable(result))  # noqa: T201
                    return OK if isinstance(result, str) else result
            except (KeyboardInterrupt, Exception) as error:
                is_expected = isinstance(error, (KeyboardInterrupt, *refusals))
                if output.is_unread(error) or (os.environ.get(FULL_ERROR) == "1" and not is_expected):
                    raise
                return _print_failure(program, error, refusals)
    except OSError as error:
        if not output.is_unread(error):
            raise
        output.discard_unread()
        return BROKEN_PIPE


def _show_help(help_text: str | Callable[[], str], words: Sequence[str]) -> int:
    """Print the help; returns the exit code."""
    print(help_text() if callable(help_text) else help_text)  # noqa: T201
    return output_exit_code() if words else REFUSED


@contextmanager
def _interrupt_first() -> Iterator[None]:
    """Raise the interrupt that became another error on its way, such as inside a library, instead of that error."""
    try:
        yield
    except BaseException as error:  # a panic of such a library is not an Exception
        if not isinstance(error, signals.Interrupted) and not output.is_unread(error):
            signals.raise_pending()
        raise


def warn_of_repetition(words: Sequence[str], allowed: Collection[str] = ()) -> None:
    """Print a warning for an option that is typed twice: the last one counts.

    Args:
        words: of a command line; those without ``=`` are not options.
        allowed: options that may be repeated, or have a message of their own.
    """
    first = dict[str, str]()
    for word in words:
        key, equals, _ = word.partition("=")
        key = key.lstrip("+~")
        if key in first and key not in allowed:
            line = f"warning: {brief(first[key])} {brief(word)}: {brief(key)} is given twice; the last one counts"
            print(line, file=sys.stderr)  # noqa: T201
        if equals:
            first[key] = word


def _check_names(words: Sequence[str]) -> None:
    """Refuse, by a ConfigError, words and a current folder that no file can record, and a folder that is gone."""
    for word in words:
        if not is_utf8(word):
            raise ConfigError(f"{word}: is not UTF-8, which no file of a run can record; rename what it names")
    try:
        folder = os.getcwd()
    except OSError as error:
        raise ConfigError(f"the current folder cannot be used ({error.strerror}); change to another one") from None
    if not is_utf8(folder):
        raise ConfigError(f"{folder}: the name of the current folder is not UTF-8; rename it, or change to another one")


def _print_failure(program: str, error: BaseException, refusals: tuple[type[Exception], ...]) -> int:
    """Print what ended a program; returns the exit code."""
    if isinstance(error, KeyboardInterrupt):
        number = signals.signal_number(error)
        by = "" if number == signal.SIGINT else f" ({signal.Signals(number).name})"
        return print_error(program, f"interrupted{by}{getattr(error, 'remedy', '')}", 128 + number)
    if isinstance(error, (ConfigError, *refusals)):
        return print_error(program, error if isinstance(error, ConfigError) else first_line(error), REFUSED)
    if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG and error.filename:
        name = os.path.basename(str(error.filename))
        typed = next((word for word in sys.argv[1:] if name in word), name)
        return print_error(program, f"{brief(typed)}: this name is too long for a file; choose a shorter one", REFUSED)
    if isinstance(error, OSError) and error.strerror is not None:
        return print_error(program, f"{error.filename or 'standard output'}: {error.strerror}", FAULT)
    if isinstance(error, BrokenExecutor):
        killed = "a worker process was killed, perhaps because memory ran out; try a smaller hydra.launcher.n_jobs"
        return print_error(program, killed, FAULT)
    fault = f"{type(error).__name__}: {first_line(error)} ({FULL_ERROR}=1 shows where)"
    return print_error(program, fault, FAULT)


def output_exit_code() -> int:
    """The exit code of a program that only prints: it has failed if some of its output is lost."""
    return OK if output.is_complete() else FAULT


def print_error(program: str, message: object, code: int) -> int:
    """Print what went wrong in one line on standard error; returns the exit code."""
    print(f"{program}: {one_line(message)}", file=sys.stderr)  # noqa: T201
    return code


@contextmanager
def tolerant_output() -> Iterator[None]:
    """Keep output from ending a run: a character that the terminal lacks, a log or a thread that cannot write."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        try:
            sys.stdout.reconfigure(errors="replace")
        except OSError as error:  # from what was printed before
            if not output.is_unread(error):
                raise
            output.discard_unread()
    hook, threading.excepthook = threading.excepthook, _log_thread_error
    raises, logging.raiseExceptions = logging.raiseExceptions, False  # else a full disk shows tracebacks of the log
    try:
        yield
    finally:
        threading.excepthook, logging.raiseExceptions = hook, raises


def _log_thread_error(error: threading.ExceptHookArgs) -> None:
    """Log what ended a thread, such as TensorBoard's on a full disk; the run fails by itself."""
    log.error("a thread ended: %s", error.exc_value, exc_info=error.exc_value)


@contextmanager
def _flushed_output() -> Iterator[None]:
    """Write all output at the end, where a missing reader is still noticed."""
    try:
        yield
    finally:
        try:
            sys.stdout.flush()
        except OSError as error:  # the interpreter reports another one at exit
            if output.is_unread(error):
                raise


# the garbage collector, which finds nothing among the half a million objects of the libraries


@contextmanager
def _paused_collector() -> Iterator[None]:
    """Pause the collector until :func:`resume_garbage_collector`, and at the end of the program.

    During the imports of torch and the rest it would cost a quarter of a second, at exit half a second.
    """
    gc.disable()
    atexit.register(gc.freeze)
    try:
        yield
    finally:
        gc.enable()


def resume_garbage_collector() -> None:
    """Let the collector look at the objects that are created from now on."""
    _freeze_existing_objects()
    gc.enable()


@functools.cache  # once in a process: later there may be garbage of an earlier run
def _freeze_existing_objects() -> None:
    gc.freeze()
