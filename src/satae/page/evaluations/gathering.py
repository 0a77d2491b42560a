"""What the evaluations of runs say together: part by part, of those that were measured alike."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from satae.config.evaluation import PARTS
from satae.config.messages import count_words, join_words
from satae.config.registries import EVALUATION_PARTS
from satae.config.registry import conf_values
from satae.config.schema import flatten
from satae.page.evaluations import defence, parts, stored, weights
from satae.page.evaluations.defence import DEFENCE
from satae.page.evaluations.outcomes import Outcome, Part
from satae.page.sources import RunCollection
from satae.printable import first_line
from satae.runs.layout import EVALUATION_FOLDER
from satae.sweeps.aggregate import SeedGroup
from satae.sweeps.formatting import shorten_value

MOST_REFUSED: Final = 20  # told one by one
MOST_SETTINGS: Final = 4  # likewise


class Evaluated(NamedTuple):
    """All that is known of evaluations."""

    parts: list[Part]
    runs: dict[Path, dict[str, Outcome]]  # all that was read, by directory and part
    columns: list[str]  # of all tables
    notes: list[str]

    def counts(self, directory: Path, part: str) -> bool:
        """Whether what was found of a run is in the means."""
        return any(directory in found.outcomes for found in self.parts if found.name == part)


def gather(source: RunCollection, groups: Sequence[SeedGroup]) -> Evaluated:
    """Read the evaluations of all runs, each part by itself."""
    found, refused, columns = dict[Path, dict[str, Outcome]](), list[str](), dict[str, None]()
    for run in source.runs:
        if not (run.directory / EVALUATION_FOLDER).is_dir():
            continue
        for part in PARTS:
            try:
                if evaluation := stored.read(run.directory, part):
                    found.setdefault(run.directory, {})[part] = parts.outcome(evaluation)
                    columns |= dict.fromkeys(name for table in evaluation.tables for name in table.columns)
            except (OSError, ValueError) as error:
                why = getattr(error, "strerror", None) or first_line(error)
                refused.append(f"{EVALUATION_FOLDER}/{part}.json of {source.name(run)} is left out: {why}.")
        if run.directory in found:
            found[run.directory] = weights.marked(run, found[run.directory])
    told = [_part(part, {at: each[part] for at, each in found.items() if part in each}, groups) for part in PARTS]
    more = [f"{len(refused) - MOST_REFUSED} further ones are left out."] if len(refused) > MOST_REFUSED else []
    notes = [*refused[:MOST_REFUSED], *more]
    return Evaluated([part for part in told if part.outcomes or part.notes], found, [*columns], notes)


def _part(name: str, found: Mapping[Path, Outcome], groups: Sequence[SeedGroup]) -> Part:
    """A part of the runs that are finished and were measured with the settings that most of them have."""
    finished = {run.directory for group in groups for run in group.runs if run.is_finished}
    done = {at: each for at, each in found.items() if at in finished and not (each.is_empty or each.is_stale)}
    usual = _usual(done.values())
    alike = {at: each for at, each in done.items() if each.settings == usual}
    epsilon = defence.middle(alike.values()) if name == DEFENCE else None
    if epsilon is not None:
        alike = {at: defence.at(each, epsilon) for at, each in alike.items()}
    counting = [
        group.with_runs(
            [run._replace(metrics=alike[run.directory].numbers) for run in group.runs if run.directory in alike]
        )
        for group in groups
    ]
    notes = [*_left_out(found, finished), *_apart(usual, done)]
    return Part(name, [group for group in counting if group.runs], alike, usual, epsilon, notes)


def chosen(settings: Mapping[str, str]) -> dict[str, str]:
    """Those settings that are others than without a choice."""
    return {key: value for key, value in settings.items() if value != _shipped().get(key, value)}


@functools.cache
def _shipped() -> dict[str, str]:
    parts = {part: EVALUATION_PARTS.defaults(part) for part in EVALUATION_PARTS.names()}
    values = {**conf_values("eval.yaml"), **parts}
    return {key: stored.as_typed(value) for key, value in flatten(values).items()}


def _usual(done: Iterable[Outcome]) -> dict[str, str]:
    """The settings of most; of as many those with less chosen, and then those with more inputs."""
    alike: dict[tuple[tuple[str, str], ...], list[Outcome]] = {}
    for each in done:
        alike.setdefault(tuple(sorted(each.settings.items())), []).append(each)

    def rank(some: Sequence[Outcome]) -> tuple[int, int, int]:
        return len(some), -len(chosen(some[0].settings)), max(some[0].inputs.values(), default=0)

    return max(alike.values(), key=rank)[0].settings if alike else {}


def _left_out(found: Mapping[Path, Outcome], finished: Container[Path]) -> Iterator[str]:
    """Which runs are in no mean for what they are."""
    nothing = Counter(", ".join(each.notes) for each in found.values() if each.is_empty)
    for why, number in nothing.items():
        reason = f": {shorten_value(why, 200)}" if why else ""
        yield f"{count_words(number, 'run')} of which nothing was measured{reason}."
    if unfinished := sum(at not in finished for at in found):
        yield f"{count_words(unfinished, 'evaluated run')} not finished: in no mean, but in evaluation.csv."
    if stale := sum(each.is_stale for at, each in found.items() if at in finished):
        told = f"{count_words(stale, 'run was', 'runs were')} trained further after that: in no mean and no figure"
        yield f"{told}, but in evaluation.csv; measure again."


def _apart(usual: Mapping[str, str], done: Mapping[Path, Outcome]) -> Iterator[str]:
    """How many were measured otherwise than most, and how."""
    if others := [each for each in done.values() if each.settings != usual]:
        how = f"measured with other settings ({_differences(usual, others)})"
        told = f"{count_words(len(others), 'run')} of {len(done)} {how}"
        yield f"{told}: in no mean and no figure, but in evaluation.csv."


def _differences(usual: Mapping[str, str], others: Sequence[Outcome]) -> str:
    """The settings in which some differ, with theirs first."""
    keys = dict.fromkeys(key for other in others for key in {**usual, **other.settings})
    told = []
    for key in keys:
        values = dict.fromkeys(other.settings.get(key, "not given") for other in others)
        if values.keys() != {usual.get(key)}:
            apart = join_words((shorten_value(value) for value in values if value != usual.get(key)), "and")
            told.append(f"{shorten_value(key)}={apart}, not {shorten_value(usual.get(key, 'given'))}")
    more = [f"{len(told) - MOST_SETTINGS} more"] if len(told) > MOST_SETTINGS else []
    return "; ".join([*told[:MOST_SETTINGS], *more])
