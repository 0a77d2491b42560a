"""What an autoencoder defends a classifier from, and whether that can be believed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from torch import Tensor

from satae.config import ConfigError
from satae.config.evaluation import ALL, NONE, Defence
from satae.evaluation import judged
from satae.evaluation.attacking import Attacked, Plan
from satae.evaluation.control import Controls
from satae.evaluation.findings import Findings, Track
from satae.evaluation.judged import Judged
from satae.evaluation.subject import Subject
from satae.evaluation.trained import classifier_of, twin_of
from satae.evaluation.victims import ALONE, MEANING, OWN, TWIN, Victim
from satae.robustness import external_attacks
from satae.robustness.attack_suite import Budget
from satae.robustness.norm_ball import Norm, vector_norm

MOST_LABELS: Final = 9999
GREY: Final = 0.5  # of the range of the data: within that distance each value can become the middle of it
UNLABELLED: Final = (
    "no defence: the data have no labels; those of digits, mnist, fashion_mnist, cifar10 and svhn have, data=array with"
    " data.labels, data=folder with a folder for each class, data=hf with data.label"
)


def defence(subject: Subject, chosen: Defence, track: Track) -> Findings:
    """The accuracy of a classifier under attack: alone, behind the unregularised twin, and behind the autoencoder.

    Radii are shares of the range of the data. The accuracy at a radius is that against the worst attack for each
    example; the verdict of eleven checks stands beside it. An extension beyond the paper.
    """
    if subject.y is None or subject.data.train.y is None:
        return Findings([], {}, notes=[UNLABELLED])
    _check_labels(subject.labels, subject.data.train.y)
    subject = subject.first(chosen.samples)
    budget = Budget(chosen.steps, chosen.restarts, chosen.queries)
    norm: Norm = chosen.norm
    plan = Plan(norm, budget, tuple(chosen.temperatures), libraries=_libraries(chosen))
    try:
        models = _attacked(subject, plan)
    except ConfigError:
        raise
    except ValueError as error:  # a library cannot attack such a model
        raise ConfigError(f"defence.libraries={chosen.libraries}: {error}") from None
    most = everything(subject, norm)
    radii = sorted({*chosen.epsilons, most})
    controls = Controls(subject, plan, most) if chosen.control else None
    steps = [step for model in models.values() for radius in radii for step in model.steps(radius)]
    for step in track([*steps, *(controls.steps() if controls else ())]):
        step()
    twin, control = models.get(TWIN, models[OWN]), controls.outcome() if controls else None
    found = {name: Judged.of(model, twin, control, radii[-1]) for name, model in models.items()}
    return Findings(
        judged.tables(found, [controls.table()] if controls else []),
        judged.headline(found),
        [*judged.notes(found), _grey(most), *_classes_missing(subject)],
        curves={name: judged.points(each) for name, each in found.items()},
        pictures={"accuracy": judged.picture(found, (0.0, *chosen.epsilons))},
    )


def _check_labels(found: Tensor, trained: Tensor) -> None:
    """Refuse labels that a classifier cannot learn.

    Raises:
        ConfigError: they are not 0, 1, ..., or some of them are not in training.
    """
    most = int(trained.max())
    if min(int(trained.min()), int(found.min())) < 0 or most > MOST_LABELS or int(found.max()) > most:
        told = f"from {int(trained.min())} to {most} in training and from {int(found.min())} to {int(found.max())} here"
        raise ConfigError(f"defence: labels {told}; number them from 0 to {MOST_LABELS} at most, with all in training")


def check_libraries(chosen: Defence) -> None:
    """Refuse libraries that are not there.

    Raises:
        ConfigError: one is not installed.
    """
    try:
        for name in _libraries(chosen):
            external_attacks.import_library(external_attacks.MODULES[name])
    except ValueError as error:
        raise ConfigError(f"defence.libraries={chosen.libraries}: {error}") from None


def _libraries(chosen: Defence) -> list[str]:
    names = [*external_attacks.MODULES] if chosen.libraries == ALL else [chosen.libraries]
    return [name for name in names if name != NONE]


def everything(subject: Subject, norm: Norm) -> float:
    """The radius, as a share of the range of the data, within which every input can become an even grey.

    More than for inputs in that range, where some lie outside it.
    """
    within = GREY if norm == "linf" else GREY * math.sqrt(math.prod(subject.data.shape))
    middle = sum(subject.data.span) / 2
    return max(within, vector_norm(subject.x - middle, norm).max().item() / subject.width)


def _attacked(subject: Subject, plan: Plan) -> dict[str, Attacked]:
    victims = _victims(subject)
    return {
        name: Attacked(subject, victim, plan._replace(sources=_sources(name, victims)))
        for name, victim in victims.items()
    }


def _victims(subject: Subject) -> dict[str, Victim]:
    """The twin only where it is another model."""
    device = subject.x.device
    classifier = classifier_of(subject.config, subject.data).to(device)
    found = {ALONE: Victim.of(ALONE, classifier, path=MEANING[ALONE])}
    if subject.config.alpha > 0:
        found[TWIN] = Victim.of(TWIN, twin_of(subject.config, subject.steps, device), classifier, path=MEANING[TWIN])
    found[OWN] = Victim.of(OWN, subject.model, classifier, path=MEANING[OWN])
    return found


def _sources(name: str, victims: Mapping[str, Victim]) -> dict[str, Victim]:
    """The models whose adversarial examples are tried: what is found of the twin can be kept for all its siblings."""
    choices = {ALONE: [TWIN if TWIN in victims else OWN], TWIN: [ALONE], OWN: [TWIN, ALONE]}
    return {source: victims[source] for source in choices[name] if source in victims}


def _grey(most: float) -> str:
    return f"epsilon {most:g} is added: within it every input can become an even grey, so accuracy must fall to chance"


def _classes_missing(subject: Subject) -> list[str]:
    """A word of it, where few inputs are there, or those of a file are in the order of their labels."""
    there, known = len(subject.labels.unique()), len(subject.data.train.y.unique())  # type: ignore[union-attr]
    return [f"the inputs are of {there} of {known} classes alone"] if there < known else []
