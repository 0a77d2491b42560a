"""The command line that all entry points share: checks before anything is written, errors in one line, exit codes."""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import sys
from concurrent.futures import BrokenExecutor
from typing import NamedTuple

from hydra._internal.utils import get_args_parser

from satae import signals as interruption
from satae.cli import collector, overrides, plan, stored_runs, sweeps
from satae.cli import flags as arguments
from satae.cli.compose import planned
from satae.cli.exit_codes import FAILED, OK, REFUSED, ended, say, unread
from satae.cli.launch import TRACEBACK, CommandLine, Program, hand_over, watched
from satae.cli.making import make
from satae.cli.plan import Plan
from satae.config import ConfigError
from satae.config.validation import check_changes
from satae.launchers import cores, launchers
from satae.printable import first_line
from satae.signals import Interrupted


def execute(program: Program) -> int:
    """Run a command line, and tell what went wrong in one line; returns the exit code."""
    return ended(lambda: _told(program))


def _told(program: Program) -> int:
    last_words = f"{program.name}: ended at once; the last checkpoint is kept"
    with collector.resting(), interruption.listening(last_words), watched():
        try:
            code = _execute(program)
            interruption.heed()
            return code
        except KeyboardInterrupt as error:
            return _interrupted(program, error)
        except Exception as error:
            if unread(error):
                raise
            if (number := interruption.asked()) is not None:  # an interrupt that became another error on its way
                return _interrupted(program, Interrupted(number))
            if os.environ.get(TRACEBACK) == "1" and not isinstance(error, ConfigError):
                raise
            return _failed(program, error)


def _interrupted(program: Program, error: KeyboardInterrupt) -> int:
    number = interruption.number_of(error)
    by = "" if number == signal.SIGINT else f" ({signal.Signals(number).name})"
    return say(program.name, f"interrupted{by}{getattr(error, 'remedy', '')}", 128 + number)


def _failed(program: Program, error: Exception) -> int:
    if isinstance(error, ConfigError):
        return say(program.name, str(error), REFUSED)
    if isinstance(error, BrokenExecutor):
        text = f"a worker process was killed, perhaps for want of memory; try a smaller {cores.N_JOBS}"
        return say(program.name, text, FAILED)
    text = f"{type(error).__name__}: {first_line(error)} ({TRACEBACK}=1 shows where)"
    return say(program.name, text, FAILED)


def _execute(program: Program) -> int:
    read = _read(program)
    if read.found.run:
        asked = _plan(read)
        line = CommandLine(
            read.text,
            asked.sweep,
            read.stored.resume is not None,
            read.sweep.fail_fast,
            rerun_of=read.stored.rerun_of,
        )
        return make(program, line, asked)
    if read.found.overrides and not read.found.shell_completion:
        _plan(read)  # what is shown can be run
    if text := arguments.shown(read.found):
        print(text)  # noqa: T201
    else:
        hand_over(program, CommandLine(read.text))
    return OK


class _Read(NamedTuple):
    """A command line, taken apart."""

    found: argparse.Namespace  # Hydra's flags, and whether anything is to be run
    text: str  # as it was typed
    stored: stored_runs.Typed  # with stored configurations put in
    sweep: sweeps.Asked  # without what is said of a sweep as a whole


def _read(program: Program) -> _Read:
    words = sys.argv[1:]
    found = arguments.parse(get_args_parser(), words)
    flags = [word for word in words if word not in found.overrides]
    several = found.multirun or any(word.startswith(f"{sweeps.SWEEP}=") for word in found.overrides)
    stored = stored_runs.expanded([overrides.quoted(word) for word in found.overrides], several)
    sweep = sweeps.taken_out(launchers.with_ready(stored.words), found.multirun)
    flags += ["--multirun"] if sweep.multirun > found.multirun else []
    found.overrides, found.multirun = sweep.words, sweep.multirun
    sys.argv[1:] = [*flags, *sweep.words]  # at the end Hydra's parser finds all of them
    return _Read(found, shlex.join([program.name, *words]), stored, sweep)


def _plan(read: _Read) -> Plan:
    """The runs that are asked for."""
    found = read.found
    runs = planned(*read.sweep.commands, multirun=found.multirun, name=found.config_name, folder=found.config_dir)
    if read.stored.config:  # of a run that goes on
        check_changes(read.stored.config, runs.runs[0].config)
    return plan.of_sweep(runs, read.sweep) if found.multirun else plan.of_run(runs, read.stored.resume)
