"""One tool on one workload, once: what was found."""

from __future__ import annotations

from typing import Any, NamedTuple

from benchmarks.machine import Quiet


class Measurement(NamedTuple):
    """The result of one measurement."""

    workload: str
    tool: str
    alternation: int
    quiet: Quiet  # while it ran
    figures: dict[str, float] = {}  # noqa: RUF012 - never changed: samples_per_s, wall_s, ...
    losses: tuple[float, ...] = ()  # final validation total, of each run
    versions: dict[str, str] = {}  # noqa: RUF012
    failed: str = ""  # why nothing was found

    @property
    def of(self) -> tuple[str, str]:
        """The workload and the tool."""
        return self.workload, self.tool

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return {**self._asdict(), "quiet": {**self.quiet._asdict(), "disturbed": self.quiet.disturbed}}


class Quantity(NamedTuple):
    """A figure of a tool on a workload."""

    workload: str
    tool: str
    figure: str

    def among(self, measurements: list[Measurement]) -> list[Measurement]:
        """The measurements that it is in, by alternation, with those that failed."""
        found = [
            m for m in measurements if m.of == (self.workload, self.tool) and (m.failed or self.figure in m.figures)
        ]
        return sorted(found, key=lambda m: m.alternation)
