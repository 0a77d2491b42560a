"""Handing the runs of a command line to Hydra, which makes them in this process or in others."""

from __future__ import annotations

import io
import logging
import math
import shlex
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import env_override
from omegaconf import DictConfig

from satae import signals as interruption
from satae.cli import collector, overrides
from satae.cli.compose import UNUSABLE
from satae.cli.exit_codes import let_go
from satae.cli.sweeper import handed
from satae.config import Config, ConfigError
from satae.launchers import failures, launchers, worker
from satae.launchers.share import Share
from satae.printable import first_line
from satae.signals import Interrupted

if TYPE_CHECKING:
    from satae.sweeps.notes import Runs

TRACEBACK: Final = "HYDRA_FULL_ERROR"  # as Hydra has it: 1 shows faults of the program in full

log = logging.getLogger(__name__)


class CommandLine(NamedTuple):
    """What was typed, for the runs that it makes in this process or in others."""

    text: str  # as it was typed
    sweep: Path | None = None  # the common folder of its runs
    resume: bool = False  # whether a single run goes on in its folder; those of a sweep see for themselves
    fail_fast: bool = False  # whether a failure ends the sweep
    share: Share | None = None  # what a run gets of the machine; None where they are made one after another
    rerun_of: Path | None = None  # the directory of the run whose configuration is begun anew with

    @property
    def sign(self) -> Path | None:
        """The file that a failure leaves to end the sweep; None if it is to go on."""
        return self.sweep / failures.SIGN if self.sweep and self.fail_fast else None

    @property
    def launcher(self) -> list[str]:
        """The words that chose one, as they were typed."""
        return [word for word in shlex.split(self.text) if word.startswith((f"{launchers.KEY}=", launchers.OPTION))]

    @property
    def is_stopped(self) -> bool:
        """Whether a failure has ended the sweep."""
        return self.sign is not None and self.sign.exists()


class Program(NamedTuple):
    """An entry point that makes runs."""

    name: str  # for the messages
    # raises ConfigError for what cannot be run, of the run that goes on in a directory, or of a new one; called before
    # anything is written; gives a line to say where there is nothing left to do
    check: Callable[[Config, Path | None], str | None]
    ready: Callable[[], None]  # imports what a run needs; called in each worker process as it starts
    open: Callable[[Path, Sequence[Config], Runs], None]  # shows what runs of a sweep choose, before they begin
    job: Callable[[DictConfig, CommandLine], float]  # makes one run, as composed
    # of the runs that were asked for, in their folders, and what ended them before their time: the exit code of all
    close: Callable[[CommandLine, Sequence[Path], BaseException | None], int]


def stop(line: CommandLine) -> None:
    """Have a failure end the sweep, if it is to."""
    if line.sign:
        line.sign.touch()


def hand_over(program: Program, line: CommandLine, jobs: Sequence[Sequence[str]] = ()) -> None:
    """Have Hydra make runs.

    Args:
        program: that makes them.
        line: that asks for them.
        jobs: the overrides of each, of a sweep.

    Raises:
        ConfigError: Hydra has found fault with what was typed, or something cannot be written.
    """
    try:
        with env_override({TRACEBACK: "1"}), handed(jobs):  # Hydra passes errors on instead of printing them
            _launch(program, line)
    except UNUSABLE as error:
        raise ConfigError(overrides.explain(error, {})) from None
    except BrokenPipeError:
        raise
    except OSError as error:
        if error.strerror is None:  # not the system's: a launcher cannot reach its cluster
            raise ConfigError(first_line(error) or type(error).__name__) from None
        place = error.filename or "standard output"
        raise ConfigError(f"{place}: cannot write there ({error.strerror}); name another") from None


def _launch(program: Program, line: CommandLine) -> None:
    """A process of its own gets what it needs to know with the function."""
    origin = worker.here()

    @hydra.main(config_path="pkg://satae.conf", config_name="config", version_base="1.3")
    def task(composed: DictConfig) -> float:
        is_worker = worker.settle(origin)
        if (number := interruption.asked()) or line.is_stopped:
            _take_back(Path(HydraConfig.get().runtime.output_dir))
            if is_worker and number and not line.is_stopped:
                worker.leave(number)
            return math.nan
        program.ready()
        collector.wake()
        with watched(), failures.listening(line.sign if is_worker else None):
            try:
                with interruption.held():  # a run looks by itself, where it can be left
                    return program.job(composed, line)
            except Interrupted as error:
                if not is_worker:
                    raise
                if not line.is_stopped:
                    worker.leave(error.number)
                return math.nan  # the main process waits for all of them, and ends as it was asked itself
            except Exception as error:
                raise _PastHydra(error) from None

    try:
        with interruption.held() if line.share else nullcontext():  # until the workers have seen to their runs
            task()
    except _PastHydra as error:
        raise error.args[0] from None


class _PastHydra(BaseException):
    """Carries an error past Hydra, which would print it."""


def _take_back(directory: Path) -> None:
    """Remove what Hydra has made for a run that is not to begin."""
    with suppress(OSError):
        for file in directory.iterdir():
            if file.stat().st_size == 0:
                file.unlink()
        directory.rmdir()


def forgive_output() -> None:
    """A terminal without our signs, or one that has gone away, is no reason to lose a run."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        try:
            sys.stdout.reconfigure(errors="replace")
        except BrokenPipeError:  # of what was printed before
            let_go()


@contextmanager
def watched() -> Iterator[None]:
    """What a run needs in whatever process it is, until its threads are gone."""
    forgive_output()
    before, threading.excepthook = threading.excepthook, _log_thread
    told, logging.raiseExceptions = logging.raiseExceptions, False  # a log that cannot be written would show tracebacks
    try:
        yield
    finally:
        threading.excepthook, logging.raiseExceptions = before, told


def _log_thread(error: threading.ExceptHookArgs) -> None:
    """Keep what ended a thread, such as TensorBoard's on a full disk, for the log; the run fails by itself."""
    log.error("a thread ended: %s", error.exc_value, exc_info=error.exc_value)
