"""What a command line asks for, and what of it is there already: nothing is written before all of it is known."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from satae.cli import places
from satae.cli.compose import Planned, Run
from satae.cli.exit_codes import DIVERGED
from satae.cli.overrides import in_grammar
from satae.cli.sweeps import Asked, overrides_of
from satae.config import Config
from satae.launchers.launchers import Launcher

if TYPE_CHECKING:
    from satae.sweeps.notes import Runs
    from satae.sweeps.results import Result


class Job(NamedTuple):
    """A run in its folder."""

    words: list[str]  # its overrides, with its folder
    config: Config
    folder: Path
    begun: bool  # whether it goes on with what is there
    ended: bool  # whether there is nothing to do: it has finished, or would diverge again


class Plan(NamedTuple):
    """The runs of a command line."""

    jobs: list[Job]
    sweep: Path | None  # their common folder
    commands: list[list[str]]  # the overrides of each command line of the sweep
    varied: list[str]  # what it varies
    runs: Runs  # all that it has or is to have
    launcher: Launcher | None

    @property
    def left(self) -> list[Job]:
        """What is to be made."""
        return [job for job in self.jobs if not job.ended]


def of_run(found: Planned, resume: Path | None) -> Plan:
    """One run: a new one, or one that goes on.

    Raises:
        ConfigError: another one is where it would write.
    """
    (run,) = found.runs
    if resume is None:
        places.check_free(run.folder)
    return Plan([Job(run.words, run.config, run.folder, resume is not None, ended=False)], None, [], [], {}, None)


def of_sweep(found: Planned, asked: Asked) -> Plan:
    """The runs of a sweep, each in the folder of its configuration.

    Raises:
        ConfigError: they do not go with those that are there, or these cannot be read.
    """
    from satae.sweeps import folders, notes, results

    sweep = asked.folder or found.runs[0].folder
    there = {run.name: run for run in results.below(sweep)}
    varied = notes.read(sweep).with_varied(found.varied).varied
    runs = found.runs if len(asked.commands) == 1 else _once(found.runs, varied)
    wanted = [folders.Wanted(overrides_of(run.words), results.chosen(run.config)) for run in runs]
    names = folders.place(wanted, [*there.values()], varied)
    jobs = [_job(run, sweep / name, there.get(name)) for run, name in zip(runs, names, strict=True)]
    choices = {name: run.choices for name, run in zip(names, wanted, strict=True)}
    known = folders.by_configuration({name: run.choices for name, run in there.items()} | choices, varied)
    return Plan(jobs, sweep, [overrides_of(words) for words in asked.commands], varied, known, found.launcher)


def _once(runs: Sequence[Run], varied: Sequence[str]) -> list[Run]:
    """Those that several command lines ask for, as the last one says that they are computed."""
    from satae.sweeps import folders, results

    return list({folders.content(results.chosen(run.config), varied): run for run in runs}.values())


def _job(run: Run, folder: Path, there: Result | None) -> Job:
    if there is not None:
        places.check_files(folder)
    ended = there is not None and (there.is_finished or there.record.get("exit_code") == DIVERGED)
    words = [*run.words, f"{places.SUBFOLDER}={in_grammar(folder.name)}"]
    return Job(words, run.config, folder, there is not None, ended)
