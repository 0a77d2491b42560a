"""What evaluations say of runs, part by part, as far as the page tells it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from satae.config.evaluation import PARTS
from satae.config.messages import counted, listed
from satae.report import evaluations, words
from satae.report.evaluations import Cell, Evaluation
from satae.report.series import Point
from satae.report.sources import Source, cleaned
from satae.run_directory import EVALUATION
from satae.shown import first_line
from satae.sweep.groups import Group

DEFENCE: Final = "defence"
OWN, TWIN, ALONE = VICTIMS = ("own", "twin", "alone")
CLEAN: Final = "own, clean"
MASKED, INCONCLUSIVE, HOLDS = VERDICTS = ("masked", "inconclusive", "holds")  # the worst first
PASSED: Final = "passed"
MEASURES: Final = ("fvu", "psnr")  # of denoising
NOISY: Final = "noisy"
SEEN, UNSEEN = "seen", "no"
CHANGE, TWINS_CHANGE = "code change, own", "code change, twin"
AUROC: Final = "auroc"
MOST_REFUSED: Final = 20  # told one by one
MOST_SETTINGS: Final = 4  # likewise


class Outcome(NamedTuple):
    """What the evaluation of one run came to."""

    settings: dict[str, str]
    numbers: dict[str, float]  # by name
    inputs: dict[str, int]  # how many are behind each of them
    curves: dict[str, dict[float, float]]  # by name: numbers by place
    told: dict[str, str]  # of each victim the verdict, of each kind of noise whether it was seen
    checks: dict[int, str]  # of the own verdict, those that were not passed, with their outcome
    pictures: list[str]


class Part(NamedTuple):
    """A part of the evaluations, of runs that were measured alike."""

    name: str
    groups: list[Group]  # with what was found for the measures of their runs
    outcomes: dict[Path, Outcome]  # of these, by directory
    epsilon: float | None  # of a defence, the radius at which it is told
    notes: list[str]

    def of(self, point: Point) -> list[Outcome]:
        """Those of the runs of a configuration, one for each seed."""
        return [self.outcomes[run.directory] for run in point.runs.values()]


class Evaluated(NamedTuple):
    """All that is known of evaluations."""

    parts: list[Part]
    runs: dict[Path, dict[str, Outcome]]  # all that was read, by directory and part
    columns: list[str]  # of all tables
    notes: list[str]

    def counts(self, directory: Path, part: str) -> bool:
        """Whether what was found of a run is in the means."""
        return any(directory in found.outcomes for found in self.parts if found.name == part)


def gather(source: Source, groups: Sequence[Group]) -> Evaluated:
    """Read the evaluations of all runs, each part by itself."""
    found, refused, columns = dict[Path, dict[str, Outcome]](), list[str](), dict[str, None]()
    for run in source.runs:
        if not (run.directory / EVALUATION).is_dir():
            continue
        for part in PARTS:
            try:
                if evaluation := evaluations.read(run.directory, part):
                    found.setdefault(run.directory, {})[part] = _outcome(evaluation)
                    columns |= dict.fromkeys(name for table in evaluation.tables for name in table.columns)
            except (OSError, ValueError) as error:
                why = getattr(error, "strerror", None) or first_line(error)
                refused.append(f"{EVALUATION}/{part}.json of {source.name(run)} is left out: {why}.")
    parts = [_part(part, {at: each[part] for at, each in found.items() if part in each}, groups) for part in PARTS]
    more = [f"{len(refused) - MOST_REFUSED} further ones are left out."] if len(refused) > MOST_REFUSED else []
    notes = [*refused[:MOST_REFUSED], *more]
    return Evaluated([part for part in parts if part.outcomes or part.notes], found, [*columns], notes)


def _part(name: str, found: Mapping[Path, Outcome], groups: Sequence[Group]) -> Part:
    """A part of the runs that are finished and were measured with the settings that most of them have."""
    done = {run.directory for group in groups for run in group.runs if run.is_finished} & {*found}
    settings = Counter(tuple(found[at].settings.items()) for at in found if at in done)
    usual = dict(settings.most_common(1)[0][0]) if settings else {}
    outcomes = {at: outcome for at, outcome in found.items() if at in done and outcome.settings == usual}
    epsilon = _middle(outcomes.values()) if name == DEFENCE else None
    counting = [
        Group(
            group.values,
            [
                run._replace(metrics=_numbers(outcomes[run.directory], epsilon))
                for run in group.runs
                if run.directory in outcomes
            ],
        )
        for group in groups
    ]
    notes = []
    if apart := [found[at] for at in done if at not in outcomes]:
        what = _differences(usual, apart)
        notes.append(
            f"{counted(len(apart), 'run')} of {len(done)} measured with other settings ({what}): in no mean and no"
            " figure, but in evaluation.csv."
        )
    if unfinished := len(found) - len(done):
        notes.append(f"{counted(unfinished, 'evaluated run')} not finished: in no mean, but in evaluation.csv.")
    return Part(name, [group for group in counting if group.runs], outcomes, epsilon, notes)


def _middle(outcomes: Iterable[Outcome]) -> float | None:
    """The radius that most of them have for the middle one, the smallest of several."""
    found = Counter(radius for each in outcomes if math.isfinite(radius := each.numbers["epsilon"]))
    return min(found, key=lambda radius: (-found[radius], radius), default=None)


def _numbers(outcome: Outcome, epsilon: float | None) -> dict[str, float]:
    if epsilon is None:
        return outcome.numbers
    at = {victim: outcome.curves.get(victim, {}).get(epsilon, math.nan) for victim in VICTIMS}
    return {CLEAN: outcome.curves.get(OWN, {}).get(0.0, math.nan), **at}


def _differences(usual: Mapping[str, str], others: Sequence[Outcome]) -> str:
    """The settings in which some differ, with theirs first."""
    keys = dict.fromkeys(key for other in others for key in {**usual, **other.settings})
    told = []
    for key in keys:
        values = dict.fromkeys(other.settings.get(key, "not given") for other in others)
        if values.keys() != {usual.get(key)}:
            apart = listed((words.short(value) for value in values if value != usual.get(key)), "and")
            told.append(f"{words.short(key)}={apart}, not {words.short(usual.get(key, 'given'))}")
    more = [f"{len(told) - MOST_SETTINGS} more"] if len(told) > MOST_SETTINGS else []
    return "; ".join([*told[:MOST_SETTINGS], *more])


def _outcome(found: Evaluation) -> Outcome:
    """What an evaluation says.

    Raises:
        ValueError: it lacks what its part has.
    """
    try:
        return READERS[found.part](found)
    except KeyError as error:
        raise ValueError(f"it lacks {cleaned(error.args[0])}") from None


def _empty(found: Evaluation) -> Outcome:
    return Outcome(found.settings, {}, {}, {}, {}, {}, found.pictures)


def _denoising(found: Evaluation) -> Outcome:
    outcome, rows = _empty(found), [*found.rows("denoising")]
    for row in rows:
        kind = _text(row["noise"])
        for measure in (*MEASURES, *(f"{NOISY} {measure}" for measure in MEASURES)):
            places = outcome.curves.setdefault(f"{kind}/{measure}", {})
            places[_number(row["level"])] = _number(row[measure])
        if outcome.told.get(kind) != SEEN:
            outcome.told[kind] = UNSEEN if row["seen"] == UNSEEN else SEEN
    for measure in MEASURES if rows else ():
        outcome.numbers[measure] = _number(found.headline[measure])
        outcome.inputs[measure] = _count(rows[0]["n"])
    return outcome


def _code(found: Evaluation) -> Outcome:
    outcome, rows = _empty(found), [*found.rows("code")]
    behind = {(row["of"], row["measure"]): _count(row["n"]) for row in rows}
    of_inputs = _count(rows[0]["n"]) if rows else 0
    places = {"slope": ("encoder", "slope"), "probe": ("code", "linear probe")}
    for name in ("saturated", *places):
        if name in found.headline:
            outcome.numbers[name] = _number(found.headline[name])
            outcome.inputs[name] = behind[places[name]] if name in places else of_inputs
    return outcome


def _manifold(found: Evaluation) -> Outcome:
    outcome = _empty(found)
    for row in found.rows("manifold"):
        name = f"{AUROC} {_text(row['against'])}"
        outcome.numbers[name], outcome.inputs[name] = _number(row["auroc"]), _count(row["n"])
    return outcome


def _perturbation(found: Evaluation) -> Outcome:
    """Of the code in the largest ball of the first norm."""
    outcome, rows = _empty(found), [row for row in found.rows("perturbation") if row["output"] == "code"]
    rows = [row for row in rows if row["norm"] == rows[0]["norm"]]
    epsilon = max((_number(row["epsilon"]) for row in rows), default=math.nan)
    for row in rows:
        name = {OWN: CHANGE, TWIN: TWINS_CHANGE}.get(_text(row["model"]))
        if name and row["epsilon"] == epsilon:
            outcome.numbers[name], outcome.inputs[name] = _number(row["change share"]), _count(row["n"])
            outcome.told[name] = f"{_text(row['norm'])}, epsilon {epsilon:g}"
    return outcome


def _defence(found: Evaluation) -> Outcome:
    outcome = _empty(found)
    for row in found.rows("defence"):
        victim, verdict = _text(row["victim"]), _text(row["verdict"])
        if victim not in VICTIMS or verdict not in VERDICTS:
            raise ValueError(f"{words.short(victim)}: {words.short(verdict)}: no model, or no verdict, that is known")
        outcome.curves.setdefault(victim, {})[_number(row["epsilon"])] = _number(row["accuracy"])
        outcome.told[victim], outcome.inputs[victim] = verdict, _count(row["n"])
    for row in found.rows("checks"):
        if row["victim"] == OWN and row["outcome"] != PASSED:
            outcome.checks[_count(row["check"])] = _text(row["outcome"])
    outcome.numbers["epsilon"] = _number(found.headline["epsilon"]) if outcome.curves else math.nan
    if OWN in outcome.inputs:
        outcome.inputs[CLEAN] = outcome.inputs[OWN]
    return outcome


READERS: Final[Mapping[str, Callable[[Evaluation], Outcome]]] = {
    "denoising": _denoising,
    "code": _code,
    "manifold": _manifold,
    "perturbation": _perturbation,
    DEFENCE: _defence,
}


def _number(cell: Cell) -> float:
    """One that may be unknown."""
    if isinstance(cell, str):
        raise ValueError(f"{words.short(cell)}: is no number")
    return math.nan if cell is None else float(cell)


def _count(cell: Cell) -> int:
    if not isinstance(cell, int):
        raise ValueError(f"{words.short(cell)}: is no number of inputs")
    return cell


def _text(cell: Cell) -> str:
    if not isinstance(cell, str):
        raise ValueError(f"{words.short(cell)}: is no name")
    return cell


def verdicts(outcomes: Iterable[Outcome], victim: str) -> str:
    """How often each came out: ``masked 1, holds 2``; of one run the word alone."""
    found = Counter(outcome.told[victim] for outcome in outcomes if victim in outcome.told)
    told = [f"{verdict}\N{NO-BREAK SPACE}{found[verdict]}" for verdict in VERDICTS if found[verdict]]
    return ", ".join(told) if found.total() > 1 else "".join(found)


def worst(outcomes: Iterable[Outcome], victim: str) -> str:
    """The worst verdict of some runs; of none, inconclusive."""
    found = {outcome.told[victim] for outcome in outcomes if victim in outcome.told}
    return next((verdict for verdict in VERDICTS if verdict in found), INCONCLUSIVE)


def unpassed(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """The checks that were not passed: ``2 failed, 8 open in 1 of 3``."""
    found = Counter((number, how) for outcome in outcomes for number, how in outcome.checks.items())
    for (number, how), times in sorted(found.items()):
        seldom = f" in {times} of {len(outcomes)}" if times < len(outcomes) else ""
        yield f"{number} {words.short(how)}{seldom}"
