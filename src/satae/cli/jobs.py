"""One run in its directory: logging, its record, and the line that says why it failed."""

from __future__ import annotations

import errno
import logging
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, chdir, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from omegaconf import DictConfig, OmegaConf

from satae import atomic_write, signals
from satae.cli import output
from satae.cli.app import print_error, resume_garbage_collector, tolerant_output
from satae.config import Config, plugins
from satae.data.local_files import CACHE_VARIABLE, expand_path
from satae.errors import DIVERGED, FAULT, REFUSED, ConfigError, RunFailedError, exit_code
from satae.messages import first_line, quote_word, reason
from satae.runs.layout import FINISHED, RECORD_FILE, find_log, shorten

if TYPE_CHECKING:
    from satae.launchers.base import CoreShare
    from satae.runs.record import RunRecord

PROGRAM: Final = "satae-train"

log = logging.getLogger(__name__)


class Job(NamedTuple):
    """One run to make, in this process or in a worker process."""

    config: Config
    directory: Path
    command: str  # the command line, as typed
    overrides: list[str]  # of this run, if the command line makes several
    hydra: DictConfig  # Hydra's own options for the process that makes the run
    in_sweep: bool
    resume: bool = False  # whether the directory holds a run that is resumed
    is_done: bool = False  # whether nothing is left to do: the run has finished, or would diverge again
    rerun_of: Path | None = None  # the directory of the run whose configuration it has
    first_paths: Mapping[str, str] = {}  # the files that earlier runs of the sweep read, if the same data were moved

    @property
    def other_names(self) -> set[str]:
        """What Hydra's options let the run write in its directory, besides what every run writes there."""
        handlers = self.hydra.job_logging.get("handlers") or {}
        files = [handler.get("filename") for handler in handlers.values()]
        places = [Path(str(file)) for file in [*files, self.hydra.output_subdir] if file]
        inside = [self.directory.joinpath(place) for place in places]
        return {place.relative_to(self.directory).parts[0] for place in inside if self.directory in place.parents}

    @property
    def resume_command(self) -> str:
        """The command that resumes this run."""
        words = [*plugins.typed_words(), f"resume={shorten(self.directory)}"]
        return " ".join([PROGRAM, *map(quote_word, words)])


def import_training(own: Sequence[plugins.Plugin] = ()) -> None:
    """Import what a run needs, which takes seconds; signals are held back, since an interrupt would be lost.

    Args:
        own: the plugins of the user.

    Raises:
        ConfigError: a plugin cannot be imported in this process.
    """
    plugins.load(own)
    with signals.hold_signals():
        import satae.experiment.before_training
        import satae.loggers.console
        import satae.loggers.tensorboard_logger
        import satae.plots.pictures
        import satae.runs.record  # noqa: F401


def run_job(
    train: Callable[[Config, RunRecord, CoreShare | None, str], object], job: Job, share: CoreShare | None
) -> bool:
    """Train one run in its directory, here or in a worker process; returns whether it failed, which is printed.

    Raises:
        ConfigError: a single run cannot start: another process works in its directory, something cannot be written
            there, or ``hydra.job_logging`` cannot be used.
        Interrupted: a signal ended the run; it has left a checkpoint, and the message says how to resume.
    """
    from hydra.core.utils import env_override

    from satae.sweeps.results import read_status
    from satae.sweeps.tensorboard_sweep import update_run

    directory, options = job.directory, job.hydra
    if job.in_sweep and read_status(directory) == FINISHED:  # by another process, meanwhile
        return False
    resume_garbage_collector()
    output.open_lasting_streams()  # a worker process has its own
    output.drop_unread_output()
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        return _report_no_start(error, job)
    variables = dict(options.job.env_set)
    if options.job.chdir and (folder := os.environ.get(CACHE_VARIABLE)):  # relative to the folder that the user is in
        variables.setdefault(CACHE_VARIABLE, str(expand_path(folder)))
    with tolerant_output(), env_override(variables):
        opened = ExitStack()
        try:
            _open_own_log(job)
            record = opened.enter_context(_open_record(job))
        except OSError as error:
            return _report_no_start(error, job)
        except ConfigError as error:
            return _report_failure(error, job)
        try:
            with opened:
                if job.in_sweep:
                    update_run(directory)
                with chdir(directory) if options.job.chdir else nullcontext():
                    train(job.config, record, share, directory.name if job.in_sweep else "")
        except signals.Interrupted as error:
            remedy = "" if job.in_sweep else f"; resume with: {job.resume_command}"
            raise signals.Interrupted(error.number, remedy) from None
        except Exception as error:
            return _report_failure(error, job)
        finally:
            if job.in_sweep:
                update_run(directory)
    return False


def run_in_program(train: Callable[[Config, RunRecord], object], job: Job) -> None:
    """Train a single run inside a program of the user's own, whose streams, log and garbage collector stay its own.

    Raises:
        ConfigError: the run cannot start: another process works in its directory, or something cannot be written there.
        Interrupted: Ctrl-C ended the run; it has left a checkpoint.
        RunFailedError: the run has failed.
    """
    opened = ExitStack()
    try:
        job.directory.mkdir(parents=True, exist_ok=True)
        record = opened.enter_context(_open_record(job))
    except OSError as error:
        _report_no_start(error, job)  # raises, since it is a single run
        return
    try:
        with opened:
            train(job.config, record)
    except signals.Interrupted as error:
        raise signals.Interrupted(error.number, f"; resume with: {job.resume_command}") from None
    except ConfigError:
        raise
    except Exception as error:
        raise _failure(error, job) from error


def check_log(options: Callable[[Path], DictConfig]) -> None:
    """Open the log in a temporary folder; refuse settings with which that fails.

    Args:
        options: gives Hydra's own options for a run in a directory.

    Raises:
        ConfigError: it fails.
    """
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, chdir(folder):
        try:
            hydra = options(Path(folder))
            if os.sep in hydra.job.name:
                raise ConfigError(f"hydra.job.name={hydra.job.name}: names the log file; leave out the {os.sep}")
            with suppress(OSError):  # reported where the run itself cannot write
                _open_log(hydra)
        finally:
            for handler in [handler for handler in root.handlers if handler not in handlers]:
                root.removeHandler(handler)
                handler.close()
            for handler in handlers:
                root.addHandler(handler)
            root.setLevel(level)


def _open_log(options: DictConfig) -> None:
    """Open the log that ``hydra.job_logging`` describes.

    Raises:
        ConfigError: it cannot be used.
        OSError: a file cannot be written.
    """
    from hydra.core.utils import configure_log
    from hydra.errors import HydraException

    if not (isinstance(options.verbose, bool | str) or OmegaConf.is_list(options.verbose)):
        raise ConfigError(f"hydra.verbose={options.verbose}: must be true, false, or names of loggers in brackets")
    try:
        configure_log(options.job_logging, options.verbose)
    except (ValueError, HydraException) as error:
        if isinstance(error.__cause__, OSError):
            raise error.__cause__ from None
        raise ConfigError(f"hydra/job_logging: {error} ({first_line(error.__cause__ or error)})") from None


def _open_own_log(job: Job) -> None:
    """Open the log of a run, and write Hydra's own record of it if ``hydra.output_subdir`` asks for one.

    Raises:
        ConfigError: ``hydra.job_logging`` cannot be used.
        OSError: something cannot be written.
    """
    directory, options = job.directory, job.hydra
    with chdir(directory) if options.job.chdir else nullcontext():
        _open_log(options)
    if options.output_subdir:
        for name, content in {"config": job.config.to_dict(), "overrides": job.overrides}.items():
            file = directory / options.output_subdir / f"{name}.yaml"
            file.parent.mkdir(parents=True, exist_ok=True)
            atomic_write.replace(file, OmegaConf.to_yaml(content).encode())


def _open_record(job: Job) -> RunRecord:
    """Open the record of a run, new or resumed.

    Raises:
        ConfigError: another process works in its directory.
        OSError: something cannot be written.
    """
    from satae.runs.record import RunRecord

    if job.resume or (job.in_sweep and (job.directory / RECORD_FILE).exists()):
        return RunRecord.resume(job.directory, job.command)
    start = (job.directory, job.config, job.command, job.overrides)
    return RunRecord.start(*start, rerun_of=job.rerun_of, first_paths=job.first_paths)


def _report_no_start(error: OSError, job: Job) -> bool:
    """Print why a run of a sweep cannot start or resume; returns that it counts as a failure.

    Raises:
        ConfigError: it is a single run.
    """
    what = "the run is as it was" if job.resume else "the run has not started"
    remedy = "make room there" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "make the folder writable"
    other = "" if job.resume or job.in_sweep else ", or name another folder (hydra.run.dir=...)"
    line = f"{error.filename or job.directory}: cannot write there ({reason(error)}); {what}; {remedy}{other}"
    if not job.in_sweep:
        raise ConfigError(line) from None
    print_error(PROGRAM, line, FAULT)
    return True


def _report_failure(error: Exception, job: Job) -> bool:
    """Log why a run failed, and print it in one line with a remedy; returns whether it counts as a failure.

    A run of a sweep that another process is making is only reported.

    Raises:
        ConfigError: another process works in the directory of a single run.
    """
    if isinstance(error, ConfigError):
        if not job.in_sweep:
            raise error
        print_error(PROGRAM, error, REFUSED)
        return False
    if exit_code(error) == DIVERGED:
        log.error("%s", error)
        print_error(PROGRAM, _failure(error, job), DIVERGED)
        return True
    log.error("the run failed", exc_info=error)
    log_file = find_log(job.directory)
    traceback = f"the traceback is in {log_file}" if log_file else "hydra/job_logging wrote no log file there"
    print_error(PROGRAM, f"{_failure(error, job)}; {traceback}", FAULT)
    return True


def _failure(error: Exception, job: Job) -> RunFailedError:
    """What ended a run, in one line with a remedy."""
    if exit_code(error) != DIVERGED:
        return RunFailedError(_explain_fault(error), f"; resume with: {job.resume_command}", FAULT)
    from satae.training.loop import NonFiniteData

    fault = f"{job.directory}: {first_line(error)}"
    if isinstance(error, NonFiniteData):
        return RunFailedError(fault, "", DIVERGED)
    rerun, optimizer = job.resume_command.replace(" resume=", " rerun=", 1), job.config.optim.options
    slower = f"optim.lr={optimizer['lr'] / 10:g}" if "lr" in optimizer else "alpha=0"
    return RunFailedError(fault, f", such as with: {rerun} {slower}", DIVERGED)


def _explain_fault(error: Exception) -> str:
    """A fault of the program or the machine, with what can be done about it."""
    from satae.training import torch_settings

    if torch_settings.is_out_of_memory(error):
        return "out of memory; choose a smaller batch_size, arch or n_jobs, or free memory"
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: cannot be written or read ({error.strerror}); check it"
    return f"{type(error).__name__}: {first_line(error)}"
