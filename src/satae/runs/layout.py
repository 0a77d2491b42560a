"""Names inside the directories of runs and sweeps, the states of a run, and how large a stored file may be."""

from __future__ import annotations

import shlex
from collections.abc import Collection
from pathlib import Path
from typing import Final

from satae.atomic_write import PARTIAL_SUFFIX
from satae.messages import one_line
from satae.training import CHECKPOINTS_FOLDER

OUTPUTS_FOLDER: Final = "outputs"  # runs go here unless another folder is given; runs below it can be compared
CONFIG_FILE: Final = "config.yaml"
RECORD_FILE: Final = "run.json"
METRICS_LOG_FILE: Final = "metrics.jsonl"
METRICS_FILE: Final = "metrics.json"
EVALUATION_FOLDER: Final = "evaluation"
PICTURES_FOLDER: Final = "pictures"
LOG_FILE: Final = "satae-train.log"
LOCK_FILE: Final = ".lock"
HOLDER_FILE: Final = ".lock-holder"  # names the process that works here, where the file system has no locks
EVENT_FILE_PREFIX: Final = "events.out.tfevents."

# in the folder of a sweep
MANIFEST_FILE: Final = "sweep.json"
MULTIRUN_FILE: Final = "multirun.yaml"
RUNS_CSV_FILE: Final = "runs.csv"
STOP_FILE: Final = ".failed"  # of a sweep with fail_fast=true, once a run has failed
BANDS_FOLDER: Final = "over seeds"
SUBMITIT_FOLDER: Final = ".submitit"  # the logs of submitit's jobs
REPORT_FOLDER: Final = "report"  # of a run, too

# what satae-train writes directly in the directory of a run, and in the folder of a sweep, besides event files
RUN_NAMES: Final = (
    *(CONFIG_FILE, RECORD_FILE, METRICS_LOG_FILE, METRICS_FILE, LOG_FILE, LOCK_FILE, HOLDER_FILE),
    *(CHECKPOINTS_FOLDER, PICTURES_FOLDER),
)
SWEEP_NAMES: Final = (
    *(MANIFEST_FILE, MULTIRUN_FILE, RUNS_CSV_FILE, STOP_FILE, LOCK_FILE, HOLDER_FILE),
    *(BANDS_FOLDER, SUBMITIT_FOLDER, REPORT_FOLDER),
)

MAX_JSON_BYTES: Final = 2**24  # a larger record, metrics file, manifest or evaluation result is not read

RUNNING, FINISHED, INTERRUPTED, FAILED = "running", "finished", "interrupted", "failed"  # the status of a run


def is_written_name(name: str, names: Collection[str]) -> bool:
    """Whether a file or folder has one of these names, or is an event file, or is only half written."""
    is_partial = name.startswith(".") and name.endswith(PARTIAL_SUFFIX)
    return name in names or name.startswith(EVENT_FILE_PREFIX) or is_partial


def name_one_run(sweep: Path, option: str = "") -> str:
    """Say that a folder is a sweep, and name a run of it, as the value of an option such as ``rerun=``."""
    example = min((record.parent for record in sweep.glob(f"*/{RECORD_FILE}")), default=None)
    such_as = "" if example is None else f", such as {shlex.quote(option + show_path(example))}"
    return f"is a sweep; name one of its runs{such_as}"


def show_path(path: Path) -> str:
    """A path as it is printed: relative to the current folder if it lies below it, in one line, and harmless."""
    return one_line(shorten(path))


def find_log(directory: Path) -> Path | None:
    """The log file of a run, if it exists and is not empty; Hydra's options can rename it or leave it out."""
    logs = [directory / LOG_FILE, *sorted(directory.glob("*.log"))]
    return next((file for file in logs if file.is_file() and file.stat().st_size), None)


def shorten(path: Path) -> Path:
    """The path relative to the current folder if it lies below it, else the path itself.

    A run that works in its own directory (``hydra.job.chdir``) prints whole paths: the user is elsewhere.
    """
    is_below = path.is_relative_to(Path.cwd()) and not Path(RECORD_FILE).is_file()
    return path.relative_to(Path.cwd()) if is_below else path
