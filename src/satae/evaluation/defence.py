"""What an autoencoder defends a classifier from, and whether that can be believed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from torch import Tensor

from satae.config import ConfigError
from satae.config.evaluation import ALL, NONE, Defence
from satae.evaluation.attacking import Arsenal, Siege
from satae.evaluation.control import Controls
from satae.evaluation.drawing import Line, curves
from satae.evaluation.findings import Cell, Findings, Table, Track
from satae.evaluation.subject import Subject, Trained
from satae.evaluation.trained import classifier_of, twin_of
from satae.evaluation.victims import Victim
from satae.robustness import libraries
from satae.robustness.attacks import Budget
from satae.robustness.checks import Check, checks, verdict
from satae.robustness.evidence import Control, Evidence, robust_accuracy
from satae.robustness.proportions import Share
from satae.tracking.pictures import Picture

MOST_LABELS: Final = 9999
GREY: Final = 0.5  # of the range of the data: within that distance each value can become the middle of it
ALONE, TWIN, OWN = "alone", "twin", "own"
MEANING: Final = {
    ALONE: "the classifier alone",
    TWIN: "classifier(autoencoder(x)), its autoencoder trained with alpha=0",
    OWN: "classifier(autoencoder(x))",
}
ACCURACY: Final = ("victim", "epsilon", "accuracy", "low", "high", "n", "verdict")
ATTACKS: Final = ("victim", "epsilon", "attack", "kind", "tried", "broken", "left", "n")
CHECKS: Final = ("victim", "check", "what", "found", "outcome")


class Judged(NamedTuple):
    """A model after all attacks."""

    siege: Siege
    radii: Sequence[float]
    checks: Sequence[Check]

    @property
    def verdict(self) -> str:
        """In a word."""
        return verdict(self.checks)

    def accuracy(self, epsilon: float) -> Share:
        """Against the worst of all attacks for each example; without an attack at radius 0."""
        return robust_accuracy(self.siege.results, self.siege.correct, epsilon)


def defence(subject: Subject, chosen: Defence, track: Track) -> Findings:
    """The accuracy of a classifier under attack: alone, behind the unregularised twin, and behind the autoencoder.

    Radii are shares of the range of the data. The accuracy at a radius is that against the worst attack for each
    example; the verdict of eleven checks stands beside it. An extension beyond the paper.
    """
    if subject.y is None or subject.data.train.y is None:
        return Findings([], {}, notes=["no defence: the data have no labels"])
    _check_labels(subject.labels, subject.data.train.y)
    subject = subject.first(chosen.samples)
    budget = Budget(chosen.steps, chosen.restarts, chosen.queries)
    arsenal = Arsenal(
        chosen.norm,  # type: ignore[arg-type]
        budget,
        tuple(chosen.temperatures),
        sources={},
        libraries=_libraries(chosen),
    )
    try:
        sieges = _sieges(subject, arsenal)
    except ConfigError:
        raise
    except ValueError as error:  # a library cannot attack such a model
        raise ConfigError(f"defence.libraries={chosen.libraries}: {error}") from None
    radii = sorted({*chosen.epsilons, everything(chosen.norm, subject.data.shape)})
    controls = Controls(subject, arsenal, radii) if chosen.control else None
    steps = [step for siege in sieges.values() for radius in radii for step in siege.steps(radius)]
    for step in track([*steps, *(controls.steps() if controls else ())]):
        step()
    twin, control = sieges.get(TWIN, sieges[OWN]), controls.outcome() if controls else None
    judged = {name: _judged(siege, radii, twin, control) for name, siege in sieges.items()}
    return _findings(judged, controls, subject)


def _check_labels(found: Tensor, trained: Tensor) -> None:
    """Refuse labels that a classifier cannot learn.

    Raises:
        ConfigError: they are not 0, 1, ..., or some of them are not in training.
    """
    most = int(trained.max())
    if min(int(trained.min()), int(found.min())) < 0 or most > MOST_LABELS or int(found.max()) > most:
        told = f"from {int(trained.min())} to {most} in training and from {int(found.min())} to {int(found.max())} here"
        raise ConfigError(f"defence: labels {told}; number them from 0 to {MOST_LABELS} at most, with all in training")


def check_libraries(chosen: Defence, trained: Trained) -> None:
    """Refuse libraries that are not there.

    Raises:
        ConfigError: one is not installed.
    """
    try:
        for name in _libraries(chosen):
            libraries.imported(libraries.MODULES[name])
    except ValueError as error:
        raise ConfigError(f"defence.libraries={chosen.libraries}: {error}") from None


def _libraries(chosen: Defence) -> list[str]:
    names = [*libraries.MODULES] if chosen.libraries == ALL else [chosen.libraries]
    return [name for name in names if name != NONE]


def everything(norm: str, shape: Sequence[int]) -> float:
    """The radius, as a share of the range of the data, within which every input can become an even grey."""
    return GREY if norm == "linf" else GREY * math.sqrt(math.prod(shape))


def _sieges(subject: Subject, arsenal: Arsenal) -> dict[str, Siege]:
    victims = _victims(subject)
    return {
        name: Siege(subject, victim, arsenal._replace(sources=_sources(name, victims)))
        for name, victim in victims.items()
    }


def _victims(subject: Subject) -> dict[str, Victim]:
    """The twin only where it is another model."""
    device = subject.x.device
    classifier = classifier_of(subject.config, subject.data).to(device)
    found = {ALONE: Victim.of(ALONE, classifier, path=MEANING[ALONE])}
    if subject.config.alpha > 0:
        found[TWIN] = Victim.of(TWIN, twin_of(subject.config, device), classifier, path=MEANING[TWIN])
    found[OWN] = Victim.of(OWN, subject.model, classifier, path=MEANING[OWN])
    return found


def _sources(name: str, victims: Mapping[str, Victim]) -> dict[str, Victim]:
    """The models whose adversarial examples are tried: what is found of the twin can be kept for all its siblings."""
    choices = {ALONE: [TWIN if TWIN in victims else OWN], TWIN: [ALONE], OWN: [TWIN, ALONE]}
    return {source: victims[source] for source in choices[name] if source in victims}


def _judged(siege: Siege, radii: Sequence[float], twin: Siege, control: Control | None) -> Judged:
    told = {radius: robust_accuracy(siege.results, siege.correct, radius).value for radius in radii}
    evidence = Evidence(
        siege.results,
        siege.correct,
        siege.chance,
        siege.no_gradient,
        path=f"exact, through {siege.victim.path}",
        whole=True,
        on_logits=True,
        everything=radii[-1],
        twin=twin.results,
        control=control,
        reported=told,
    )
    return Judged(siege, radii, checks(evidence))


def _findings(judged: Mapping[str, Judged], controls: Controls | None, subject: Subject) -> Findings:
    own, twin = judged[OWN], judged.get(TWIN, judged[OWN])
    middle = min(own.radii, key=lambda radius: abs(twin.accuracy(radius).value - twin.accuracy(0).value / 2))
    tables = [
        Table("defence", ACCURACY, [row for name, each in judged.items() for row in _accuracies(name, each)], ACCURACY),
        Table("attacks", ATTACKS, [row for name, each in judged.items() for row in _attacks(name, each)], ()),
        *([controls.table()] if controls else []),
        Table("checks", CHECKS, _checks(OWN, own), CHECKS[1:]),
        Table(
            "checks of the others",
            CHECKS,
            [row for name in judged if name != OWN for row in _checks(name, judged[name])],
            (),
        ),
    ]
    headline: dict[str, float | str] = {
        "epsilon": middle,
        "robust accuracy": own.accuracy(middle).value,
        "of its twin": twin.accuracy(middle).value,
        "verdict": own.verdict,
    }
    points = {
        name: [(radius, each.accuracy(radius).value) for radius in (0, *own.radii)] for name, each in judged.items()
    }
    return Findings(tables, headline, _notes(judged), curves=points, pictures={"accuracy": _picture(judged)})


def _accuracies(name: str, judged: Judged) -> list[list[Cell]]:
    found = [(radius, judged.accuracy(radius)) for radius in (0.0, *judged.radii)]
    return [[name, radius, share.value, share.low, share.high, share.n, judged.verdict] for radius, share in found]


def _attacks(name: str, judged: Judged) -> list[list[Cell]]:
    """Each attack, in their order: on how many it was made, how many it broke, and who is left after it."""
    siege, rows = judged.siege, list[list[Cell]]()
    for epsilon in judged.radii:
        left = siege.correct.clone()
        for result in siege.results:
            if result.epsilon == epsilon:
                left &= result.withstood
                counts = siege.tried(result), int((siege.correct & ~result.withstood).sum())
                told = [result.attack, result.kind, *counts, left.float().mean().item(), len(left)]
                rows.append([name, epsilon, *told])
    return rows


def _checks(name: str, judged: Judged) -> list[list[Cell]]:
    return [[name, *check] for check in judged.checks]


def _notes(judged: Mapping[str, Judged]) -> list[str]:
    own = judged[OWN]
    failed = [str(check.number) for check in own.checks if check.outcome == "failed"]
    unsure = [str(check.number) for check in own.checks if check.outcome == "open"]
    why = f", for check {', '.join(failed or unsure)}" if failed or unsure else ""
    return [
        *(f"{name}: {MEANING[name]}" for name in judged),
        "accuracy: against the worst attack for each example; epsilon: a share of the range of the data",
        "checks 3, 5, 6, 7 and 8 tell the worst share of the examples at any epsilon",
        f"verdict: {own.verdict}{why}",
    ]


def _picture(judged: Mapping[str, Judged]) -> Picture:
    lines = [
        Line(f"{name}: {each.verdict}", [0, *each.radii], [each.accuracy(radius).value for radius in (0, *each.radii)])
        for name, each in judged.items()
    ]
    return curves({("worst case over all attacks", "accuracy"): lines}, "epsilon, as a share of the range", 1)
