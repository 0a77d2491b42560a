"""Handing the runs of a command line to Hydra: one after another in this process, or several at once in others."""

from __future__ import annotations

import os
from collections.abc import Callable

import hydra
from omegaconf import DictConfig

from satae.command import CommandLine, parallel, watched
from satae.command.parallel import Share

Job = Callable[[DictConfig, CommandLine, Share | None], float]  # makes one run, as composed; None: all of the machine


def launch(line: CommandLine, job: Job, cores: Callable[[], int]) -> None:
    """Make the runs.

    Args:
        line: what was typed.
        job: makes one of them.
        cores: those that torch would use; asked only where they are to be shared.
    """
    if line.n_jobs is None:
        _hand_over(line, job, None)
    else:
        share = parallel.share(min(cores(), parallel.cores()), line.n_jobs, line.runs)
        with parallel.workers(share.jobs):
            _hand_over(line, job, share)


def _hand_over(line: CommandLine, job: Job, share: Share | None) -> None:
    """Have Hydra make the runs; a process of its own gets what it needs to know with the function."""
    here = os.getpid()

    @hydra.main(config_path="pkg://satae.conf", config_name="config", version_base="1.3")
    def task(composed: DictConfig) -> float:
        parallel.leave_with(here)
        with watched():
            return job(composed, line, share)

    task()
