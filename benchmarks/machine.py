"""Running a command, and how quiet the machine was meanwhile."""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

STAT: Final = Path("/proc/stat")
LOOK: Final = 0.5  # seconds of a look at the idle machine
OTHERS: Final = 0.10  # share of the time of all cores that others may use before a measurement counts as disturbed
STEAL: Final = 0.02  # share that the host of a virtual machine may take from it


class Times(NamedTuple):
    """CPU time since the start of the machine, in ticks, over all cores."""

    busy: int
    stolen: int
    total: int


class Quiet(NamedTuple):
    """Who else used the machine, as shares of the time of all its cores."""

    others: float
    steal: float

    @property
    def disturbed(self) -> bool:
        """Whether it was too much to trust a time."""
        return self.others > OTHERS or self.steal > STEAL


class Ran(NamedTuple):
    """A command that has ended."""

    code: int
    wall_s: float
    peak_mb: float  # of its largest process
    quiet: Quiet  # while it ran


def parse(stat: str) -> Times:
    """The first line of /proc/stat: user nice system idle iowait irq softirq steal, then guests within user."""
    ticks = [int(word) for word in stat.split("\n", 1)[0].split()[1:9]]
    idle, stolen = ticks[3] + ticks[4], ticks[7]
    return Times(sum(ticks) - idle - stolen, stolen, sum(ticks))


def quiet(before: Times, after: Times, ours: float) -> Quiet:
    """The share of the machine that other programs used between two readings.

    Args:
        before: the first look.
        after: the second.
        ours: CPU time of this program and the processes that it started, in ticks.
    """
    total = max(1, after.total - before.total)
    return Quiet(max(0.0, after.busy - before.busy - ours) / total, (after.stolen - before.stolen) / total)


def run(
    command: Sequence[str], folder: Path, log: Path, variables: Mapping[str, str] | None = None, *, patience: float = 0
) -> Ran:
    """Run a command to its end, on a machine that is idle if it becomes so in time.

    Args:
        command: program and words.
        folder: to run it in.
        log: gets its output; beside it, ``.err`` gets its errors.
        variables: added to the environment.
        patience: seconds to wait for that.
    """
    waiting = settle(_idle, patience)
    before, used, start = _look(), _own(), time.perf_counter()
    with log.open("wb") as out, log.with_suffix(".err").open("wb") as errors:
        environment = {**os.environ, **(variables or {})}
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=out, stderr=errors)
        _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    ours = (usage.ru_utime + usage.ru_stime + _own() - used) * os.sysconf("SC_CLK_TCK")
    found = quiet(before, _look(), ours)
    return Ran(process.returncode, wall, usage.ru_maxrss / 1e3, waiting if waiting.disturbed else found)


@dataclass
class Watch:
    """The time of a block of this process, and who else used the machine meanwhile."""

    wall_s: float = 0.0
    quiet: Quiet = Quiet(0, 0)  # noqa: RUF009 - a NamedTuple


@contextmanager
def watched() -> Iterator[Watch]:
    """Time the block."""
    watch, before, used, start = Watch(), _look(), _own(), time.perf_counter()
    yield watch
    watch.wall_s = time.perf_counter() - start
    watch.quiet = quiet(before, _look(), (_own() - used) * os.sysconf("SC_CLK_TCK"))


def settle(look: Callable[[], Quiet], patience: float) -> Quiet:
    """Look until nobody else uses the machine, but not for ever; the last look."""
    until = time.perf_counter() + patience
    while (found := look()).disturbed and time.perf_counter() < until:
        pass
    return found


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


def facts() -> dict[str, object]:
    """Facts about the machine for the report."""
    lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    models = {line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")}
    return {
        "processor": ", ".join(sorted(models)) or platform.processor(),
        "cores": cores(),
        "threads": os.environ.get("OMP_NUM_THREADS", "one a core"),
    }


def _idle() -> Quiet:
    before, used = _look(), _own()
    time.sleep(LOOK)
    return quiet(before, _look(), (_own() - used) * os.sysconf("SC_CLK_TCK"))


def _look() -> Times:
    return parse(STAT.read_text("ascii"))


def _own() -> float:
    """CPU seconds of this process alone."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
