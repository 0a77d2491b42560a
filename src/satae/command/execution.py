"""The command line that all entry points share: checks before anything is written, errors in one line, exit codes."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from concurrent.futures import BrokenExecutor
from typing import Final

from hydra._internal.utils import get_args_parser
from hydra.core.utils import env_override

from satae.command import arguments, collector, overrides, parallel
from satae.command.composition import UNUSABLE, Planned, composed_already, planned
from satae.command.ending import FAILED, INTERRUPTED, OK, REFUSED, say
from satae.command.interruption import undisturbed
from satae.command.launch import CommandLine, Program, forgive_output, launch
from satae.command.ledger import ledger
from satae.config import ConfigError
from satae.config.messages import first_line

TRACEBACK: Final = "HYDRA_FULL_ERROR"  # as Hydra has it: 1 shows faults of the program in full


def execute(program: Program) -> int:
    """Run a command line, and tell what went wrong in one line; returns the exit code."""
    forgive_output()
    with collector.resting():
        return _execute(program)


def _execute(program: Program) -> int:
    try:
        found, plan = _plan()
        if text := arguments.shown(found):
            print(text)  # noqa: T201
            return OK
        typed = shlex.join([program.name, *sys.argv[1:]])
        with parallel.workers(plan.launcher, len(plan.configs), program.ready) as share, ledger() as notes:
            for config in plan.configs:
                program.check(config)
            return _run(program, CommandLine(typed, share, notes), len(plan.configs))
    except ConfigError as error:
        return say(program.name, str(error), REFUSED)
    except KeyboardInterrupt:
        return say(program.name, "interrupted", INTERRUPTED)
    except BrokenExecutor:
        text = f"a worker process was killed, perhaps for want of memory; try a smaller {parallel.N_JOBS}"
        return say(program.name, text, FAILED)
    except Exception as error:
        if os.environ.get(TRACEBACK) == "1":
            raise
        text = f"{type(error).__name__}: {first_line(error)} ({TRACEBACK}=1 shows where)"
        return say(program.name, text, FAILED)


def _plan() -> tuple[argparse.Namespace, Planned]:
    """What was typed, its words put in the order that Hydra reads, and the runs that it asks for."""
    found = arguments.parse(get_args_parser(), sys.argv[1:])
    flags = [word for word in sys.argv[1:] if word not in found.overrides]
    found.overrides = [overrides.quoted(word) for word in found.overrides]
    sys.argv[1:] = flags + found.overrides  # at the end Hydra's parser finds all of them
    plan = Planned([], None)
    if found.run or (found.overrides and not found.shell_completion):
        plan = planned(found.overrides, found.multirun, found.config_name, found.config_dir)
    return found, plan if found.run else Planned([], None)


def _run(program: Program, line: CommandLine, runs: int) -> int:
    """Make the runs, and close them whatever happens; their exit code."""
    try:
        _hand_over(program, line)
    except BaseException as error:
        with undisturbed():
            program.close(line.ledger.begun(), error)
        raise
    begun = line.ledger.begun()
    code = program.close(begun, None)
    if unknown := runs - len(begun):
        text = f"how {unknown} of {runs} runs ended is not known here, only in their directories"
        code = max(code, say(program.name, f"{text}: no notes in {line.ledger.folder}", FAILED))
    return code


def _hand_over(program: Program, line: CommandLine) -> None:
    try:
        with env_override({TRACEBACK: "1"}), composed_already():  # Hydra passes errors on instead of printing them
            launch(program, line)
    except UNUSABLE as error:
        raise ConfigError(overrides.explain(error, {})) from None
    except OSError as error:
        place = error.filename or "standard output"
        raise ConfigError(f"{place}: cannot write there ({error.strerror}); name another") from None
