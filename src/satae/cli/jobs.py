"""One run in its directory: logging, its record, and the line that says why it failed."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Callable
from contextlib import chdir, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from omegaconf import DictConfig, OmegaConf

from satae import atomic_write, signals
from satae.cli.app import print_error, resume_garbage_collector, tolerant_output
from satae.config import Config
from satae.errors import DIVERGED, FAILED, REFUSED, ConfigError, exit_code
from satae.messages import first_line
from satae.runs.layout import FINISHED, RECORD_FILE, shorten

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

    @property
    def resume_command(self) -> str:
        """The command that resumes this run."""
        return f"{PROGRAM} resume={shlex.quote(str(shorten(self.directory)))}"


def import_training() -> None:
    """Import what a run needs, which takes seconds; signals are held back, since an interrupt would be lost."""
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
        ConfigError: another process works in the directory of a single run, or ``hydra.job_logging`` cannot be used.
        Interrupted: a signal ended the run; it has left a checkpoint, and the message says how to resume.
    """
    from hydra.core.utils import configure_log, env_override

    from satae.runs.record import RunRecord
    from satae.sweeps.results import read_status
    from satae.sweeps.tensorboard_sweep import update_run

    directory, options = job.directory, job.hydra
    if job.in_sweep and read_status(directory) == FINISHED:  # by another process, meanwhile
        return False
    resume_garbage_collector()
    directory.mkdir(parents=True, exist_ok=True)
    with tolerant_output(), chdir(directory) if options.job.chdir else nullcontext(), env_override(options.job.env_set):
        try:
            configure_log(options.job_logging, options.verbose)
        except ValueError as error:
            raise ConfigError(f"hydra/job_logging: {error} ({first_line(error.__cause__ or error)})") from None
        if options.output_subdir:  # Hydra's own record of a run
            for name, content in {"config": job.config.to_dict(), "overrides": job.overrides}.items():
                file = directory / options.output_subdir / f"{name}.yaml"
                file.parent.mkdir(parents=True, exist_ok=True)
                atomic_write.replace(file, OmegaConf.to_yaml(content).encode())
        try:
            if job.resume or (job.in_sweep and (directory / RECORD_FILE).exists()):
                record = RunRecord.resume(directory, job.command)
            else:
                start = (directory, job.config, job.command, job.overrides)
                record = RunRecord.start(*start, rerun_of=job.rerun_of)
            with record:
                if job.in_sweep:
                    update_run(directory)
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
        rerun, optimizer = job.resume_command.replace(" resume=", " rerun=", 1), job.config.optim.options
        slower = f"optim.lr={optimizer['lr'] / 10:g}" if "lr" in optimizer else "alpha=0"
        remedy = f"such as with: {rerun} {slower}"
        print_error(PROGRAM, f"{job.directory}: {first_line(error)}, {remedy}", DIVERGED)
        return True
    log.error("the run failed", exc_info=error)
    has_log = "file" in job.hydra.job_logging.root.handlers
    log_file = job.directory / f"{job.hydra.job.name}.log"
    traceback = f"the traceback is in {log_file}" if has_log else "hydra/job_logging wrote no log file"
    print_error(PROGRAM, f"{_explain_fault(error)}; resume with: {job.resume_command}; {traceback}", FAILED)
    return True


def _explain_fault(error: Exception) -> str:
    """A fault of the program or the machine, with what can be done about it."""
    from satae.training import torch_settings

    if torch_settings.is_out_of_memory(error):
        return "out of memory; choose a smaller batch_size, arch or n_jobs, or free memory"
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: cannot be written or read ({error.strerror}); check it"
    return f"{type(error).__name__}: {first_line(error)}"
