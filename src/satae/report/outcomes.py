"""What the evaluation of one run says, as far as the page tells it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from satae.report import words
from satae.report.evaluations import Cell, Evaluation
from satae.report.sources import cleaned

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


class Outcome(NamedTuple):
    """What the evaluation of one run came to."""

    settings: dict[str, str]
    numbers: dict[str, float]  # by name
    inputs: dict[str, int]  # how many are behind each of them
    curves: dict[str, dict[float, float]]  # by name: numbers by place
    ends: dict[str, dict[float, tuple[float, float]]]  # of an accuracy, its interval over other draws of the inputs
    told: dict[str, str]  # of each victim the verdict, of each kind of noise whether it was seen
    balls: dict[str, str]  # within which a change was sought, by the name of its number
    checks: dict[int, str]  # of the own verdict, those that were not passed, with their outcome
    pictures: list[str]
    notes: list[str]

    @property
    def is_empty(self) -> bool:
        """Whether nothing was measured, for which the notes say why."""
        return not self.numbers and not self.curves


def outcome(found: Evaluation) -> Outcome:
    """What an evaluation says.

    Raises:
        ValueError: it lacks what its part has.
    """
    try:
        return READERS[found.part](found)
    except KeyError as error:
        raise ValueError(f"it lacks {cleaned(error.args[0])}") from None


def _empty(found: Evaluation) -> Outcome:
    return Outcome(found.settings, {}, {}, {}, {}, {}, {}, {}, found.pictures, found.notes)


def _denoising(found: Evaluation) -> Outcome:
    told, rows = _empty(found), [*found.rows("denoising")]
    for row in rows:
        kind = _text(row["noise"])
        for measure in (*MEASURES, *(f"{NOISY} {measure}" for measure in MEASURES)):
            places = told.curves.setdefault(f"{kind}/{measure}", {})
            places[_number(row["level"])] = _number(row[measure])
        if told.told.get(kind) != SEEN:
            told.told[kind] = UNSEEN if row["seen"] == UNSEEN else SEEN
    for measure in MEASURES if rows else ():
        told.numbers[measure] = _number(found.headline[measure])
        told.inputs[measure] = _count(rows[0]["n"])
    return told


def _code(found: Evaluation) -> Outcome:
    told, rows = _empty(found), [*found.rows("code")]
    behind = {(row["of"], row["measure"]): _count(row["n"]) for row in rows}
    of_inputs = _count(rows[0]["n"]) if rows else 0
    places = {"slope": ("encoder", "slope"), "probe": ("code", "linear probe")}
    for name in ("saturated", *places):
        if name in found.headline:
            told.numbers[name] = _number(found.headline[name])
            told.inputs[name] = behind[places[name]] if name in places else of_inputs
    return told


def _manifold(found: Evaluation) -> Outcome:
    told = _empty(found)
    for row in found.rows("manifold"):
        name = f"{AUROC} {_text(row['against'])}"
        told.numbers[name], told.inputs[name] = _number(row["auroc"]), _count(row["n"])
    return told


def _perturbation(found: Evaluation) -> Outcome:
    """Of the code in the largest ball of the first norm."""
    told, rows = _empty(found), [row for row in found.rows("perturbation") if row["output"] == "code"]
    rows = [row for row in rows if row["norm"] == rows[0]["norm"]]
    epsilon = max((_number(row["epsilon"]) for row in rows), default=math.nan)
    for row in rows:
        name = {OWN: CHANGE, TWIN: TWINS_CHANGE}.get(_text(row["model"]))
        if name and row["epsilon"] == epsilon:
            told.numbers[name], told.inputs[name] = _number(row["change share"]), _count(row["n"])
            told.balls[name] = f"{_text(row['norm'])}, epsilon {epsilon:g}"
    return told


def _defence(found: Evaluation) -> Outcome:
    told = _empty(found)
    for row in found.rows("defence"):
        victim, verdict = _text(row["victim"]), _text(row["verdict"])
        if victim not in VICTIMS or verdict not in VERDICTS:
            raise ValueError(f"{words.short(victim)}: {words.short(verdict)}: no model, or no verdict, that is known")
        epsilon = _number(row["epsilon"])
        told.curves.setdefault(victim, {})[epsilon] = _number(row["accuracy"])
        told.ends.setdefault(victim, {})[epsilon] = _number(row["low"]), _number(row["high"])
        told.told[victim], told.inputs[victim] = verdict, _count(row["n"])
    for row in found.rows("checks"):
        if row["victim"] == OWN and row["outcome"] != PASSED:
            told.checks[_count(row["check"])] = _text(row["outcome"])
    if told.curves:
        told.numbers["epsilon"] = _number(found.headline["epsilon"])
    if OWN in told.inputs:
        told.inputs[CLEAN] = told.inputs[OWN]
    return told


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
