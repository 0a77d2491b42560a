"""The command line that all entry points share: checks before anything is written, errors in one line, exit codes."""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import sys
from concurrent.futures import BrokenExecutor
from typing import Final

from hydra._internal.utils import get_args_parser
from hydra.core.utils import env_override

from satae.command import arguments, collector, interruption, overrides, parallel, places, stored_runs
from satae.command.composition import UNUSABLE, Planned, composed_already, planned
from satae.command.ending import FAILED, OK, REFUSED, say
from satae.command.interruption import Interrupted
from satae.command.launch import CommandLine, Program, launch, watched
from satae.command.ledger import ledger
from satae.command.stored_runs import Typed
from satae.config import ConfigError
from satae.config.messages import first_line

TRACEBACK: Final = "HYDRA_FULL_ERROR"  # as Hydra has it: 1 shows faults of the program in full


def execute(program: Program) -> int:
    """Run a command line, and tell what went wrong in one line; returns the exit code."""
    with collector.resting(), interruption.listening(), watched():
        try:
            return _execute(program)
        except KeyboardInterrupt as error:
            return _interrupted(program, error)
        except Exception as error:
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
        text = f"a worker process was killed, perhaps for want of memory; try a smaller {parallel.N_JOBS}"
        return say(program.name, text, FAILED)
    text = f"{type(error).__name__}: {first_line(error)} ({TRACEBACK}=1 shows where)"
    return say(program.name, text, FAILED)


def _execute(program: Program) -> int:
    words = sys.argv[1:]
    found, asked = _read()
    plan = _runs(found, asked)
    if text := arguments.shown(found):
        print(text)  # noqa: T201
        return OK
    # what goes on was typed as it was; what begins anew can be typed again without the run that it came from
    typed = shlex.join([program.name, *(words if asked.resume else sys.argv[1:])])
    with parallel.workers(plan.launcher, len(plan.configs), program.ready) as share, ledger() as notes:
        for config in plan.configs:
            if done := program.check(config, asked.resume):
                print(done)  # noqa: T201
                return OK
        return _run(program, CommandLine(typed, share, notes, asked.resume), len(plan.configs))


def _read() -> tuple[argparse.Namespace, Typed]:
    """What was typed, its words put in the order that Hydra reads, with stored configurations put in."""
    found = arguments.parse(get_args_parser(), sys.argv[1:])
    flags = [word for word in sys.argv[1:] if word not in found.overrides]
    asked = stored_runs.expanded([overrides.quoted(word) for word in found.overrides], found.multirun)
    found.overrides = asked.words
    sys.argv[1:] = flags + asked.words  # at the end Hydra's parser finds all of them
    return found, asked


def _runs(found: argparse.Namespace, asked: Typed) -> Planned:
    """The runs that are asked for; none where something is only shown."""
    nothing = Planned([], [], None)
    if not found.run and (found.shell_completion or not found.overrides):
        return nothing
    plan = planned(found.overrides, found.multirun, found.config_name, found.config_dir)
    if asked.resume:
        stored_runs.check_changes(asked, plan.configs[0])
    else:
        places.check_free(plan.places)
    return plan if found.run else nothing


def _run(program: Program, line: CommandLine, runs: int) -> int:
    """Make the runs, and close them whatever happens; their exit code."""
    try:
        _hand_over(program, line)
    except BaseException as error:
        with interruption.held():
            program.close(line.ledger.begun(), error)
        raise
    begun = line.ledger.begun()
    with interruption.held():
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
