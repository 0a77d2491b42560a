"""Making the runs of a command line: each is closed, whatever happens to the processes that are at it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from satae.cli.exit_codes import FAILED, OK, say
from satae.cli.launch import CommandLine, Program, hand_over, stop
from satae.cli.opening import opened
from satae.cli.overrides import in_grammar
from satae.cli.places import RUN_FOLDER, SWEEP_FOLDER
from satae.cli.plan import Job, Plan
from satae.config.messages import counted
from satae.launchers import launchers
from satae.signals import Interrupted, heed, held

NOTHING_WRITTEN: Final = "; nothing has been written: type the same line again"


class Killed(RuntimeError):
    """A process that was at work on a run is gone."""

    def __init__(self) -> None:
        super().__init__("its process was killed, perhaps for want of memory")


def make(program: Program, line: CommandLine, plan: Plan) -> int:
    """Make what is left of a plan; the exit code of all of it.

    Raises:
        ConfigError: a run cannot be made; nothing is written.
    """
    if plan.sweep is not None:
        return _make_sweep(program, line, plan)
    (job,) = plan.jobs
    if done := _checked(program, job):
        print(done)  # noqa: T201
        return OK
    sys.argv.append(f"{RUN_FOLDER}={in_grammar(str(job.folder))}")
    return _closed(program, line, plan, lambda: hand_over(program, line))


def _checked(program: Program, job: Job) -> str | None:
    return program.check(job.config, job.folder if job.begun else None)


def _closed(program: Program, line: CommandLine, plan: Plan, work: Callable[[], None]) -> int:
    folders = [job.folder for job in plan.jobs]
    try:
        work()
        heed()
    except BaseException as error:
        with held():
            program.close(line, folders, error)
        raise
    with held():
        return program.close(line, folders, None)


def _make_sweep(program: Program, line: CommandLine, plan: Plan) -> int:
    assert plan.sweep is not None
    left = plan.left
    sys.argv.append(f"{SWEEP_FOLDER}={in_grammar(str(plan.sweep))}")
    if len(left) < len(plan.jobs):
        print(_there(plan), flush=True)  # noqa: T201
    with launchers.workers(plan.launcher, len(left), program.ready) as share, ExitStack() as stack:
        with _nothing_written(plan.sweep):
            for job in left:
                _checked(program, job)
            stack.enter_context(opened(program, line, plan, plan.sweep))
        return _closed(program, line, plan, lambda: _in_rounds(program, line._replace(share=share), plan))


def _there(plan: Plan) -> str:
    """What of a sweep is there already, and what becomes of the rest."""
    done, begun = len(plan.jobs) - len(plan.left), sum(job.begun for job in plan.left)
    text = f"{done} of {counted(len(plan.jobs), 'run')} {'is' if done == 1 else 'are'} there already"
    if not plan.left:
        return text
    return f"{text}; {counted(begun, 'goes on', 'go on')}, {counted(len(plan.left) - begun, 'begins', 'begin')}"


@contextmanager
def _nothing_written(sweep: Path) -> Iterator[None]:
    """Say so where an interrupt comes before there is a sweep to go on with."""
    try:
        yield
    except Interrupted as error:
        raise Interrupted(error.number, "" if sweep.exists() else NOTHING_WRITTEN) from None


def _in_rounds(program: Program, line: CommandLine, plan: Plan) -> None:
    """Make the runs of a sweep, and again what a killed process has left."""
    rounds = _attempt(program, line, plan.left) if plan.left else []
    while rounds:
        jobs, *rounds = rounds
        with launchers.workers(plan.launcher, len(jobs), program.ready, apart=len(jobs) == 1) as share:
            rounds = _attempt(program, line._replace(share=share), jobs) + rounds


def _attempt(program: Program, line: CommandLine, jobs: Sequence[Job]) -> list[list[Job]]:
    """Make runs; those that are left if a process was killed: one that was at work alone, since it may be why."""
    from satae.runs import record
    from satae.sweeps import results

    try:
        hand_over(program, line, [job.words for job in jobs])
        return []
    except BrokenExecutor:
        status = {job.folder: results.status(job.folder) for job in jobs}
        at_work = [job for job in jobs if status[job.folder] == results.RUNNING]
        waiting = [job for job in jobs if status[job.folder] is None]
        if not at_work and len(waiting) == len(jobs):  # it has not come to any run
            raise
        if len(jobs) > 1:
            alone = counted(len(at_work), "run goes", "runs go")
            print(f"a process was killed; {alone} on alone, then the others", flush=True)  # noqa: T201
            return [*([job] for job in at_work), *([waiting] if waiting else [])]
        record.close_unfinished(jobs[0].folder, Killed(), FAILED)
        say(program.name, f"{jobs[0].folder}: {Killed()}", FAILED)
        stop(line)
        return []
