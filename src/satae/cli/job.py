"""One run of a command line, or of its sweep: made, written down, and told of where it fails."""

from __future__ import annotations

import logging
import math
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from satae.cli.compose import plain_values
from satae.cli.exit_codes import DIVERGED, FAILED, REFUSED, say
from satae.cli.launch import CommandLine, stop
from satae.cli.stored_runs import RERUN, RESUME
from satae.config import Config, ConfigError, validate
from satae.printable import first_line
from satae.runs.layout import RECORD_FILE, shorten
from satae.signals import Interrupted, number_of

if TYPE_CHECKING:
    from satae.runs.record import RunRecord

PROGRAM: Final = "satae-train"

log = logging.getLogger(__name__)


def run_job(composed: DictConfig, line: CommandLine) -> float:
    """One run of the command line, or of a sweep; returns the reconstruction loss on the validation split."""
    directory, config = Path(HydraConfig.get().runtime.output_dir), validate(plain_values(composed))
    return (_alone if line.sweep is None else _in_sweep)(directory, config, line)


def _alone(directory: Path, config: Config, line: CommandLine) -> float:
    try:
        return _made(directory, config, line)
    except Interrupted as error:
        raise Interrupted(error.number, f"; go on with: {_resuming(directory)}") from None


def _in_sweep(directory: Path, config: Config, line: CommandLine) -> float:
    """The same, shown beside the others when it is over, however it ends."""
    from satae.cli import sweep_session
    from satae.sweeps import results

    if results.status(directory) == results.FINISHED:  # another process has made it meanwhile
        return results.read(directory).metrics["valid/reconstruction"]
    try:
        return _made(directory, config, line)
    except ConfigError as error:
        say(PROGRAM, str(error), REFUSED)  # another process is at work on this run
        return math.nan
    finally:
        sweep_session.follow(directory)


def _made(directory: Path, config: Config, line: CommandLine) -> float:
    """A run that fails is told of, and gives nothing.

    Raises:
        ConfigError: another process is at work on it.
        Interrupted: a signal asked for it.
    """
    try:
        return _trained(directory, config, line)
    except ConfigError:
        raise
    except Exception as error:
        _tell_failure(error, directory, config)
        stop(line)
        return math.nan


def _trained(directory: Path, config: Config, line: CommandLine) -> float:
    """A run with its record; one of a sweep is shown beside the others as it begins."""
    from satae.cli import sweep_session
    from satae.cli.session import train

    with _record(directory, config, line) as record:
        if line.sweep is None:
            return train(config, record, line.share)
        sweep_session.follow(directory)
        return train(config, record, line.share, name=directory.name)


def _record(directory: Path, config: Config, line: CommandLine) -> RunRecord:
    """Of a new run, or of one that goes on: those of a sweep do where one is there."""
    from satae.runs.record import RunRecord

    if line.resume or (line.sweep and (directory / RECORD_FILE).exists()):
        return RunRecord.resume(directory, line.text, exit_code)
    words = list(HydraConfig.get().overrides.task)
    return RunRecord.start(directory, config, line.text, words, exit_code, rerun_of=line.rerun_of)


def _tell_failure(error: Exception, directory: Path, config: Config) -> None:
    """Why a run failed, and what can be done about it."""
    from satae.training.fit import NonFinite

    if isinstance(error, NonFinite):
        log.error("%s", error)
        anew = f"{PROGRAM} {RERUN}={_typed(directory)} optim.lr={config.optim.lr / 10:g}"
        say(PROGRAM, f"{directory}: {first_line(error)}, such as with: {anew}", DIVERGED)
    else:
        log.error("the run failed", exc_info=error)
        log_file = directory / f"{HydraConfig.get().job.name}.log"
        told = f"{_told(error)}; go on with: {_resuming(directory)}; the traceback is in {log_file}"
        say(PROGRAM, told, FAILED)


def _resuming(directory: Path) -> str:
    """The command that goes on with a run."""
    return f"{PROGRAM} {RESUME}={_typed(directory)}"


def _typed(directory: Path) -> str:
    """Its name, as one types it here."""
    return shlex.quote(str(shorten(directory)))


def _told(error: Exception) -> str:
    """A fault of the program or the machine, in one line with what can be done about it."""
    from satae.training import engine

    if engine.is_out_of_memory(error):
        return "out of memory; take a smaller batch_size, arch or n_jobs, or make room"
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: cannot be written or read ({error.strerror}); see to it"
    return f"{type(error).__name__}: {first_line(error)}"


def exit_code(error: BaseException) -> int:
    """Of a run that an error ends."""
    from satae.training.fit import NonFinite

    if isinstance(error, KeyboardInterrupt):
        return 128 + number_of(error)
    return DIVERGED if isinstance(error, NonFinite) else FAILED
