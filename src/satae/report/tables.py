"""The tables on the page."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from satae.config.flat import SEED
from satae.report import outcomes, words
from satae.report.evaluated import Part
from satae.report.outcomes import CLEAN, DEFENCE, OWN, VICTIMS
from satae.report.series import Point
from satae.report.sources import Source, cleaned
from satae.sweep.csv_files import UNREADABLE
from satae.sweep.groups import Group
from satae.sweep.measures import COLUMNS, FVU

MOST_AXES: Final = 8  # columns of what varies
MOST_ROWS: Final = 5_000  # of a table on the page; the files have all
FOLDED: Final = 60  # rows from which a table opens when asked
MOST_TITLES: Final = 12  # figures of an evaluation
LOGS: Final = "*.log"
INTERVAL: Final = " ± 95 %"  # which the table of the console has not


class Table(NamedTuple):
    """A table on the page; the first cell of a row names it."""

    title: str
    head: list[str]
    rows: list[list[str]]
    numbers: int  # of columns, the last ones, that hold numbers
    left_out: int
    files: str = "runs.csv and groups.csv"  # that have all rows

    @property
    def folded(self) -> bool:
        """Whether it is shown only when asked."""
        return len(self.rows) > FOLDED


def _table(title: str, head: Sequence[str], rows: Iterable[list[str]], numbers: int = 0) -> Table:
    all_rows = [*rows]
    return Table(title, [*head], all_rows[:MOST_ROWS], numbers, max(0, len(all_rows) - MOST_ROWS))


def configurations(groups: Sequence[Group], axes: Sequence[str]) -> Table:
    """One row for each configuration."""
    keys, shown = _keys(axes), _measures(groups)
    spread = INTERVAL if any(len(group.finished) > 1 for group in groups) else ""
    titles = [f"{title}{spread}" for title in shown.values()]
    head = [*(keys or ["configuration"]), "n", *titles, "collapsed", "not finished"]

    def rows() -> Iterator[list[str]]:
        for group in groups:
            runs = group.finished
            done = group._replace(runs=runs)
            collapsed = sum(run.is_collapsed for run in runs)
            unfinished = sum(not run.is_finished for run in group.runs)
            names = _values(group, keys)
            spreads = [words.spread(done.spread(metric)) for metric in shown]
            yield [*(names or [words.ONE]), str(done.spread(FVU).n), *spreads, str(collapsed), str(unfinished)]

    return _table("Configurations", head, rows(), len(shown) + 3)


def evaluation(part: Part, axes: Sequence[str]) -> Table:
    """What a part of the evaluations came to, one row for each configuration; an accuracy has its verdict with it."""
    keys, names = _keys(axes), _evaluated(part)
    spread = INTERVAL if any(len(group.finished) > 1 for group in part.groups) else ""
    judged = {name: f"{name} at {part.epsilon:g}{spread} (verdict)" for name in VICTIMS} if part.epsilon else {}
    balls = {name: ball for found in part.outcomes.values() for name, ball in found.balls.items()}
    within = {name: f" ({ball})" for name, ball in balls.items()}
    titles = [judged.get(name, f"{name}{spread}{within.get(name, '')}") for name in names]
    more = ["own: checks not passed"] if part.name == DEFENCE else []

    def rows() -> Iterator[list[str]]:
        for group in part.groups:
            point = Point.of(math.nan, group)
            found = part.of(point)
            told = [_told(part, point, name) for name in names]
            checks = ["; ".join(outcomes.unpassed(found)) or words.NOTHING] * len(more)
            named = _values(group, keys) or [words.ONE]
            yield [*named, str(len(found)), _inputs(found, names), *told, *checks]

    head = [*(keys or ["configuration"]), "n", "inputs", *titles, *more]
    table = _table(f"{part.name.capitalize()}, evaluated", head, rows(), len(head) - max(1, len(keys)))
    return table._replace(files="evaluation.csv")


def _told(part: Part, point: Point, name: str) -> str:
    """A figure over the seeds, or of one run an accuracy with its interval; under attack with the verdicts."""
    found, number = part.of(point), words.spread(point.spread(name))
    verdict = outcomes.verdicts(found, name) if name in VICTIMS else ""
    if len(found) == 1 and part.epsilon is not None:
        victim, epsilon = (OWN, 0.0) if name == CLEAN else (name, part.epsilon)
        ends = found[0].ends.get(victim, {}).get(epsilon)
        number += f" [{', '.join(map(words.number, ends))}]" if ends else ""
    return f"{number}\n({verdict})" if verdict else number


def _evaluated(part: Part) -> list[str]:
    """The names of what a part tells."""
    if part.name == DEFENCE:
        known = {victim for found in part.outcomes.values() for victim in found.told}
        return [name for name in (CLEAN, *VICTIMS) if name == CLEAN or name in known]
    return [*dict.fromkeys(name for group in part.groups for run in group.runs for name in run.metrics)][:MOST_TITLES]


def _inputs(found: Sequence[outcomes.Outcome], names: Sequence[str]) -> str:
    """How many inputs are behind the figures, and of some of them others."""
    counts: dict[str, list[str]] = {}
    for name in names:
        behind = sorted({each.inputs[name] for each in found if name in each.inputs})
        if behind:
            ends = dict.fromkeys(f"{number:,}" for number in (behind[0], behind[-1]))
            counts.setdefault(" to ".join(ends), []).append(name)
    usual, *others = sorted(counts, key=lambda count: -len(counts[count])) or [words.NOTHING]
    return "; ".join([usual, *(f"{', '.join(counts[count])}: {count}" for count in others)])


def runs(source: Source, groups: Sequence[Group], axes: Sequence[str]) -> Table:
    """One row for each run."""
    keys, shown = _keys(axes), _measures(groups)
    head = ["run", *keys, "status", SEED, *shown.values(), "wall time"]

    def rows() -> Iterator[list[str]]:
        for group, run in ((of, run) for of in groups for run in of.runs):
            numbers = [words.number(run.metrics.get(metric)) for metric in shown]
            wall = words.duration(run.record.get("wall_s", math.nan))
            yield [source.name(run), *_values(group, keys), words.short(run.status), str(run.seed), *numbers, wall]
        for unreadable in source.unreadable:
            nothing = [words.NOTHING] * len(head)
            yield [source.name(unreadable), *nothing[: len(keys)], UNREADABLE, *nothing[len(keys) + 2 :]]

    return _table("Runs", head, rows(), len(shown) + 2)


def failures(source: Source, groups: Sequence[Group]) -> Table:
    """What did not come to its end, and why."""

    def rows() -> Iterator[list[str]]:
        for run in (run for group in groups for run in group.runs if not run.is_finished):
            log = next(iter(sorted(run.directory.glob(LOGS))), None)
            where = f"{source.name(run)}/{cleaned(log.name)}" if log else words.NOTHING
            code = run.record.get("exit_code")
            why = run.record.get("error") or ("still running, or killed" if run.status == "running" else words.NOTHING)
            yield [source.name(run), words.short(run.status), words.NOTHING if code is None else str(code), why, where]
        for unreadable in source.unreadable:
            yield [source.name(unreadable), UNREADABLE, words.NOTHING, unreadable.reason, words.NOTHING]

    return _table("Runs that did not finish", ["run", "status", "exit code", "reason", "log"], rows())


def _keys(axes: Sequence[str]) -> list[str]:
    return [key for key in axes if key != SEED][:MOST_AXES]


def _values(group: Group, keys: Sequence[str]) -> list[str]:
    return [words.short(group.values[key]) if key in group.values else words.NOTHING for key in keys]


def _measures(groups: Sequence[Group]) -> dict[str, str]:
    known = {metric for group in groups for run in group.runs for metric in run.metrics}
    return {metric: title for metric, title in COLUMNS.items() if metric in known}
