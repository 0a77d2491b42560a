"""What a command line asks for: the runs, which of them exist already, and how they start and end together."""

from __future__ import annotations

import argparse
import functools
import shlex
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from omegaconf import OmegaConf

from satae import atomic_write
from satae.cli import jobs, output
from satae.cli.compose import ComposedRun, add_grid, compose_runs
from satae.cli.jobs import Job
from satae.cli.overrides import SWEEP_FOLDER, task_overrides
from satae.cli.run_options import RunOptions, names_data_file, read_run_options
from satae.cli.typed_text import quote_value
from satae.config import plugins
from satae.config.saved_config import read_config
from satae.config.schema import (
    all_path_options,
    check_changes,
    flatten,
    key_of,
    with_absolute_paths,
    with_absolute_start,
)
from satae.errors import DIVERGED, FAULT, OK, ConfigError
from satae.launchers.base import Launcher, WorkerKilledError, run_status
from satae.launchers.selection import LAUNCHER_GROUP, LAUNCHER_OPTION, open_launcher
from satae.messages import brief_line, count_words, one_line, quote_word, reason
from satae.runs import own_files
from satae.runs.layout import (
    CONFIG_FILE,
    FAILED,
    FINISHED,
    MULTIRUN_FILE,
    RECORD_FILE,
    RUNNING,
    RUNS_CSV_FILE,
    STOP_FILE,
    shorten,
    show_path,
)
from satae.signals import Interrupted, hold_signals, raise_pending

if TYPE_CHECKING:
    from satae.sweeps.manifest import Manifest, RunIndex


class Plan(NamedTuple):
    """The runs of a command line."""

    jobs: list[Job]
    first: ComposedRun  # the first run as Hydra composed it
    command: str  # as typed
    sweep: Path | None = None  # the common folder of the runs
    stop_file: Path | None = None  # its existence stops the sweep
    commands: Sequence[list[str]] = ()  # the overrides of each command line of the sweep
    varied: Sequence[str] = ()  # the keys with several values
    run_index: RunIndex | None = None  # of all runs of the sweep, those of earlier command lines too

    @property
    def jobs_to_run(self) -> list[Job]:
        """The runs that are to be made."""
        return [job for job in self.jobs if not job.is_done]

    def count_runs(self) -> str:
        """How many runs a sweep has, and how many of them are skipped, resume or are new."""
        left = self.jobs_to_run
        done, resuming = len(self.jobs) - len(left), sum(job.resume for job in left)
        counts = {"done already (skipped)": done, "resumed": resuming, "new": len(left) - resuming}
        return f"{count_words(len(self.jobs), 'run')}: {', '.join(f'{n} {what}' for what, n in counts.items() if n)}"


def make_plan(flags: argparse.Namespace, command: str) -> Plan:
    """Compose and validate every run that a command line asks for; nothing is written.

    Raises:
        ConfigError: one of the runs cannot be made, or does not fit those that exist.
    """
    options = read_run_options(flags.overrides, flags.multirun)
    names = {"config_name": flags.config_name, "config_dir": flags.config_dir}
    grids = [add_grid(words, options.multirun, **names) for words in options.commands]
    options = options._replace(commands=[words for words, _ in grids], multirun=any(several for _, several in grids))
    if options.multirun and options.stored_config is not None:
        raise ConfigError("hydra.mode=MULTIRUN: resume= resumes one run; leave one of them out")
    try:
        runs, varied = compose_runs(*options.commands, multirun=options.multirun, **names)
    except ConfigError as error:
        missing = plugins.missing_names(options.plugins)
        raise ConfigError(f"{error} (the sweep {missing})" if missing else str(error)) from None
    if options.multirun:
        return _plan_sweep(runs, varied, options, command)
    (run,) = runs
    if unused := [word for word in flags.overrides if word.startswith(f"{LAUNCHER_GROUP}=")]:
        line = f"warning: {unused[-1]}: is for sweeps (-m, or sweep=); this run is made here"
        print(one_line(line), file=sys.stderr)  # noqa: T201
    if options.stored_config is not None:
        # files may move; the fingerprint is compared
        check_changes(options.stored_config, run.config, all_path_options())
    elif (run.folder / RECORD_FILE).exists():
        remedy = f"name another folder, resume the run (resume={run.folder}), or delete it"
        raise ConfigError(f"{run.folder} holds a run already; {remedy}")
    job = _job(run, run.folder, options, command)
    if options.stored_config is None:
        own_files.check_new_run(run.folder, job.other_names)
    return Plan([job._replace(resume=options.stored_config is not None)], run, command)


def _job(run: ComposedRun, directory: Path, options: RunOptions, command: str, *, is_done: bool = False) -> Job:
    if is_done:  # Hydra's options, which take half the time of a plan, are for runs that train
        return Job(run.config, directory, command, [], OmegaConf.create(), options.multirun, is_done=True)
    values, words = flatten(run.config.to_dict()), task_overrides(run.overrides)
    # a value such as ${seed} is recorded as the number that it stands for
    for index, word in enumerate(words):
        if "${" in word and (key := key_of(word)) in values:
            words[index] = f"{key}={quote_value(values[key])}"
    hydra = run.process_options(directory)
    config = with_absolute_paths(run.config) if hydra.job.chdir else with_absolute_start(run.config)
    return Job(config, directory, command, words, hydra, options.multirun, rerun_of=options.rerun_of)


def _plan_sweep(runs: Sequence[ComposedRun], varied: Sequence[str], options: RunOptions, command: str) -> Plan:
    """Find or name the directory of each run of a sweep by its configuration."""
    from satae.sweeps.manifest import RequestedRun, assign_run_names, identity, index_runs, read_manifest
    from satae.sweeps.moved_data import first_paths
    from satae.sweeps.results import flat_choices, read_runs

    sweep = options.sweep or runs[0].folder
    existing = {run.name: run for run in read_runs(sweep)}
    manifest = read_manifest(sweep)
    varied = manifest.with_varied(list(varied)).varied
    choices_of = [flat_choices(run.config) for run in runs]
    configs = [run.config for run in runs]
    moved = first_paths([*zip(configs, choices_of, strict=True)], [*existing.values()], varied)
    choices_of = [own | paths for own, paths in zip(choices_of, moved, strict=True)]
    if len(options.commands) > 1:  # what several command lines ask for is made as the last one says
        last = {identity(own, varied): number for number, own in enumerate(choices_of)}.values()
        runs = [runs[number] for number in last]
        choices_of, moved = [choices_of[number] for number in last], [moved[number] for number in last]
    requested = [RequestedRun(task_overrides(run.overrides), own) for run, own in zip(runs, choices_of, strict=True)]
    earlier = manifest.words
    typed = [word for word in options.commands[-1] if key_of(word) != SWEEP_FOLDER] if not options.rerun_of else []
    names = assign_run_names(
        requested, [*existing.values()], varied, typed=typed, earlier=earlier[-1] if earlier else ()
    )
    own_files.check_sweep(sweep, {*names, *manifest.run_names})
    done = {name for name, run in existing.items() if run.is_finished or run.record.get("exit_code") == DIVERGED}
    planned = [
        _job(run, sweep / name, options, command, is_done=name in done)._replace(
            first_paths=paths, resume=name in existing
        )
        for run, name, paths in zip(runs, names, moved, strict=True)
    ]
    choices = {name: run.choices for name, run in zip(names, requested, strict=True)}
    choices = {name: run.choices for name, run in existing.items()} | choices
    index_by_configuration = index_runs(choices, varied)
    stop_file = sweep / STOP_FILE if options.fail_fast else None
    commands = [[word for word in task_overrides(words) if word not in options.moved] for words in options.commands]
    return Plan(planned, runs[0], command, sweep, stop_file, commands, varied, index_by_configuration)


# from before the first run to after the last one


@contextmanager
def open_runs(plan: Plan) -> Iterator[tuple[Launcher, list[Job]]]:
    """Check every run, open the launcher and the sweep; at the end close the runs that could not close themselves.

    Args:
        plan: the runs of a command line.

    Yields:
        The launcher, and the runs that are to be made.

    Raises:
        ConfigError: a run cannot be made, or something cannot be written.
        Interrupted: a signal asked the program to end.
    """
    left = plan.jobs_to_run
    if plan.sweep is not None:
        output.drop_unread_output()
    if left:
        jobs.check_log(plan.first.process_options)
    options = plan.first.launcher_options(plan.sweep) if plan.sweep and left else None
    prepare = functools.partial(jobs.import_training, plugins.imported_plugins())
    with open_launcher(options, len(left), prepare, plan.stop_file) as launcher, ExitStack() as stack:
        try:
            prepare()
            said = set[str]()
            left = [job for job in left if check_job(job, said) is not None]
            if plan.sweep is not None:
                stack.enter_context(_opened_sweep(plan, plan.sweep))
                print(plan.count_runs(), flush=True)  # noqa: T201
        except Interrupted as error:
            is_new = plan.sweep is not None and not plan.sweep.exists()
            remedy = "; nothing has been written: type the same line again" if is_new else ""
            raise Interrupted(error.number, remedy) from None
        try:
            with _write_errors_refused():
                yield launcher, left
            raise_pending()
        except BaseException as error:
            done = _describe_end(plan)
            with hold_signals(f"{jobs.PROGRAM}: ended at once{done}" if done else ""):
                _close(plan, error)
            if isinstance(error, Interrupted) and done:
                raise Interrupted(error.number, done) from None
            raise
        done = _describe_end(plan)
        try:
            with hold_signals(f"{jobs.PROGRAM}: ended at once{done}" if done else ""):
                _close(plan, None)
        except Interrupted as error:
            raise Interrupted(error.number, done) from None


def _describe_end(plan: Plan) -> str:
    """What an interrupt after the last run leaves to do, as the end of a line; empty if a run has not ended."""
    if any(run_status(job.directory) not in (FINISHED, FAILED) for job in plan.jobs):
        return ""
    ended = f"all {len(plan.jobs)} runs have ended" if len(plan.jobs) > 1 else "the run has ended"
    report = f"; write the report with: satae-report {quote_word(shorten(plan.sweep))}" if plan.sweep else ""
    return f"; {ended}{report}"


def overall_exit_code(plan: Plan) -> int:
    """The exit code of all runs together."""
    from satae.sweeps import results

    directories = [job.directory for job in plan.jobs]
    is_stopped = plan.stop_file is not None and plan.stop_file.exists()
    is_lost = not is_stopped and any(results.read_status(directory) is None for directory in directories)
    return max(results.worst_exit_code(directories), FAULT if is_lost else OK)


def check_job(job: Job, said: set[str]) -> int | None:
    """Refuse a run that cannot be made; returns the number of its finished epochs, None if none is left to train.

    That nothing is left is printed for a single run.
    The runs of a sweep do not print what was assumed about their data: it is printed here, unless it is in ``said``.
    """
    from satae.experiment import build
    from satae.experiment.before_training import check_new, check_resume
    from satae.experiment.experiment import check_evaluated
    from satae.runs.record import read_first_epochs, read_record
    from satae.training.checkpoint import latest_checkpoint

    if not job.resume:
        check_new(job.config)
        _check_start(job)
        notes = build.dataset(job.config).notes if job.in_sweep else ()
        for note in [note for note in notes if note not in said]:
            print(f"data: {one_line(note)}", flush=True)  # noqa: T201
            said.add(note)
        return 0
    record = read_record(job.directory)
    finished = record["status"] == FINISHED
    moved = _moved_data(job)
    if moved:
        _check_moved_data(job, record, moved)

    def warn(line: str) -> None:
        print(f"warning: {one_line(line)}", file=sys.stderr)  # noqa: T201

    epochs_done = check_resume(job.config, job.directory, finished, warn)
    if moved and epochs_done is not None:
        try:
            check_evaluated(record, build.dataset(job.config))
        except ValueError as error:
            raise ConfigError(f"{moved}: {error}; start over with rerun={show_path(job.directory)} {moved}") from None
    if epochs_done == 0 and latest_checkpoint(job.directory) is None:
        _check_start(job)
    if epochs_done is not None:
        read_first_epochs(job.directory, epochs_done)  # refuses a run without them
    elif not job.in_sweep:
        early = record.get("stopped_early")
        after = f"after {job.config.epochs} epochs" if early is None else brief_line(early)
        more = f"to train further, give more ({'epochs=...' if early is None else 'patience=... or epochs=...'})"
        print(f"{show_path(job.directory)}: already finished, {after}; {more}")  # noqa: T201
    return job.config.epochs if epochs_done is None and job.in_sweep else epochs_done


def _check_start(job: Job) -> None:
    """Refuse weights of another run from which a run without a checkpoint cannot start, or did not start before."""
    from satae.experiment.weights import check_start, start_fingerprint
    from satae.runs.loading import read_start
    from satae.runs.record import read_record

    needed = f"{show_path(job.directory)}: has no checkpoint yet, so that it needs its start: " if job.resume else ""
    try:
        start = read_start(job.config)
        if start is None:
            return
        check_start(job.config, start)
    except ConfigError as error:
        remedy = "; put it back, or start a new run with start=..." if needed else ""
        raise ConfigError(f"{needed}{error}{remedy}") from None
    before: Any = {}
    if earlier := job.directory if job.resume else job.rerun_of:
        with suppress(ConfigError):  # without a record there is nothing to compare
            before = read_record(earlier).get("start")
    known = before.get("sha256") if isinstance(before, dict) else None
    if known is None or known == start_fingerprint(start):
        return
    changed = f"start={one_line(job.config.start)}: its weights have changed since"
    if job.resume:
        raise ConfigError(f"{needed}{changed} this run started; start over with rerun={show_path(job.directory)}")
    print(f"warning: {changed} {show_path(job.rerun_of or job.directory)} started", file=sys.stderr)  # noqa: T201


def _moved_data(job: Job) -> str:
    """The options that name the data of a run in another place than before."""
    from satae.sweeps.results import flat_choices

    before = flat_choices(read_config(job.directory / CONFIG_FILE))
    moved = {key: path for key, path in flat_choices(job.config).items() if path != before.get(key, path)}
    return " ".join(f"{key}={path}" for key, path in moved.items() if names_data_file(key))


def _check_moved_data(job: Job, record: Mapping[str, Any], typed: str) -> None:
    """Refuse the options ``typed``, if the data differ; only for a run without a checkpoint."""
    from satae.experiment import build
    from satae.training.checkpoint import latest_checkpoint

    if latest_checkpoint(job.directory) is not None:
        return
    data = record.get("data")
    try:
        known = isinstance(data, dict) and data.get("fingerprint") == build.dataset(job.config).fingerprint
    except (OSError, ValueError):
        return  # check_resume reports it
    if not known:
        has_known = isinstance(data, dict) and "fingerprint" in data
        why = "the numbers in these data are others" if has_known else "no checkpoint says which numbers the data had"
        raise ConfigError(f"{typed}: {why}; start over with rerun={show_path(job.directory)} {typed}")


@contextmanager
def _opened_sweep(plan: Plan, sweep: Path) -> Iterator[None]:
    """Write down what is asked of a sweep, and lock it; leave everything as it was if that cannot be written."""
    from satae.runs.locks import lock_directory
    from satae.sweeps import tensorboard_sweep
    from satae.sweeps.manifest import encode_manifest, write_manifest
    from satae.sweeps.results import flat_choices

    encode_manifest(sweep, _extended_manifest(plan, sweep))  # refuses one that is too large
    new, lock = [folder for folder in (sweep, *sweep.parents) if not folder.exists()], None
    try:
        sweep.mkdir(parents=True, exist_ok=True)
        lock = lock_directory(sweep)
        manifest = _extended_manifest(plan, sweep)
        tensorboard_sweep.start_sweep(
            sweep, [flat_choices(job.config) | dict(job.first_paths) for job in plan.jobs], manifest.runs
        )
        write_manifest(sweep, manifest)
        if plan.jobs_to_run:
            text = plan.first.multirun_text([word for words in plan.commands for word in words], sweep)
            atomic_write.replace(sweep / MULTIRUN_FILE, text.encode())
        (sweep / STOP_FILE).unlink(missing_ok=True)  # from an earlier failure
    except BaseException as error:
        if lock is not None:
            lock.release(force=True)
            if sweep in new:  # no other process has written there
                shutil.rmtree(sweep, ignore_errors=True)
        for folder in new:
            with suppress(OSError):
                folder.rmdir()
        if not isinstance(error, OSError):
            raise
        why = f"cannot write there ({reason(error)}); no run has started"
        raise ConfigError(f"{error.filename or sweep}: {why}") from None
    with lock:
        yield


def _extended_manifest(plan: Plan, sweep: Path) -> Manifest:
    """The manifest of the sweep, with what this command line asks for."""
    from satae.sweeps.manifest import read_manifest

    manifest = read_manifest(sweep)
    for words in plan.commands:
        manifest = manifest.with_command(plan.command, words, list(plan.varied))
    return manifest.with_runs(plan.run_index or {})


@contextmanager
def _write_errors_refused() -> Iterator[None]:
    """Turn an error of the system while runs are made, such as a directory that cannot be created, into a refusal."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        if output.is_unread(error):
            raise
        if error.strerror is None:  # not the system's: a launcher cannot reach its cluster
            raise ConfigError(reason(error)) from None
        place = error.filename or "standard output"
        raise ConfigError(f"{place}: cannot write there ({error.strerror}); name another") from None


def _close(plan: Plan, error: BaseException | None) -> None:
    """Close the runs that could not close themselves, and show what a sweep came to; ``error`` ended it early."""
    from satae.runs.record import close_unfinished
    from satae.sweeps.results import read_status

    cause = error or WorkerKilledError()
    for job in plan.jobs:
        # a run that could not write its own end has printed why; the table names a record that cannot be read
        with suppress(OSError, ConfigError):
            if read_status(job.directory) == RUNNING:
                close_unfinished(job.directory, cause)
    if plan.sweep is not None and plan.sweep.is_dir():
        _show_sweep(plan, plan.sweep, with_report=error is None)


def _show_sweep(plan: Plan, sweep: Path, *, with_report: bool) -> None:
    """Show what a sweep came to: in TensorBoard, in ``runs.csv``, as a table, and on a page."""
    from satae.sweeps.csv_files import runs_csv
    from satae.sweeps.results import RunResult, run_directories, try_read_run
    from satae.sweeps.table import print_sweep
    from satae.sweeps.tensorboard_sweep import show_sweep, writes_events

    runs = [try_read_run(directory) for directory in run_directories(sweep)]
    show_sweep(sweep, runs)
    if runs:
        atomic_write.replace(sweep / RUNS_CSV_FILE, runs_csv(runs, attrgetter("name")))
    launcher = [word for word in shlex.split(plan.command) if word.startswith((f"{LAUNCHER_GROUP}=", LAUNCHER_OPTION))]
    print_sweep(sweep, runs, [job.directory for job in plan.jobs], launcher)
    if with_report:
        from satae.page.writing import write_report

        try:
            page = write_report([sweep], known=runs)
            print(f"report       {show_path(page)}")  # noqa: T201
            if any(isinstance(run, RunResult) and writes_events(run.choices) for run in runs):
                print(f"TensorBoard  tensorboard --logdir {quote_word(shorten(sweep))}", flush=True)  # noqa: T201
        except (OSError, ConfigError) as error:
            print(f"no report: {one_line(error)}", file=sys.stderr)  # noqa: T201
