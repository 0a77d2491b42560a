"""Attacks on classifiers of the digits whose gradients are hidden on purpose: ``make control``."""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.report import table
from benchmarks.soak import PROGRAM
from satae import evaluate
from satae.evaluation import baselines
from satae.evaluation.attack_runner import AttackRunner, AttackSettings
from satae.evaluation.baselines import load_classifier
from satae.evaluation.part import ALONE
from satae.evaluation.parts.defence_measure import grey_radius
from satae.evaluation.pipelines import Pipeline
from satae.evaluation.result import Cell
from satae.evaluation.subject import Subject, TrainedRun
from satae.robustness.attack_suite import Budget
from satae.robustness.bpda import fade_gradients, steepen_activations
from satae.robustness.masking_checks import Evidence, Verdict, run_checks, verdict

CONTROL_COLUMNS: Final = (
    "control",
    "factor",
    "epsilon",
    "clean",
    "no slope",
    "pgd",
    "exact",
    "accuracy",
    "n",
    "gradients",
)
CONTROL_FACTORS: Final = (100.0, 300.0, 1000.0)
SCALED: Final = "scaled"
GRADIENT_HIDING: Final[Mapping[str, Callable[..., AbstractContextManager[None]]]] = {
    "faded": fade_gradients,
    SCALED: steepen_activations,
}


class ControlModel(NamedTuple):
    """A classifier of the positive control under attack."""

    kind: str
    factor: float
    runner: AttackRunner

    @property
    def verdict(self) -> Verdict:
        """The verdict of the checks that need nothing but the attacks on this model."""
        runner = self.runner
        evidence = Evidence(runner.outcomes, runner.chance, runner.no_gradient, planted=runner.planted)
        return verdict(evidence, run_checks(evidence), runner.outcomes.epsilons)

    def cells(self, epsilon: float) -> list[Cell]:
        """The row of this model in the table of controls."""
        runner, outcomes = self.runner, self.runner.outcomes
        clean, none = (found.float().mean().item() for found in (runner.correct, runner.no_gradient))
        suites = outcomes.with_names(["pgd-ce"]), outcomes.of_kinds("exact"), outcomes
        left = [suite.accuracy.value for suite in suites]
        return [self.kind, self.factor, epsilon, clean, none, *left, len(runner.correct), self.verdict.gradients]


class PositiveControls:
    """A sigmoid classifier as it is, and with its gradients made to vanish in two ways, attacked at one radius.

    ``faded`` keeps every value and takes the gradient of f(s z) for that of f(z): its robustness is exactly that of
    the unchanged one. ``scaled`` gives f(s z): a network that decides nearly alike on clean inputs, and whose
    robustness is unknown.
    """

    def __init__(self, subject: Subject, settings: AttackSettings, largest: float) -> None:
        """Train the classifiers, and choose the radius at which a short attack breaks about half of the inputs.

        Args:
            subject: subject with labels; its inputs are perturbed, the classifier learns from its training data.
            settings: attacks to run.
            largest: largest radius, as a fraction of the range.
        """
        device = subject.x.device
        model = load_classifier(subject.data, "saturable").to(device)
        plain = Pipeline.of("control", model)
        pipelines = [("unchanged", 1.0, plain)]
        for kind, change in GRADIENT_HIDING.items():
            for s in CONTROL_FACTORS:
                hidden = plain._replace(hide_gradients=partial(change, factor=s), hidden_how=f"{kind} by {s:g}")
                pipelines.append((kind, s, hidden))
        alone = Pipeline.of(ALONE, load_classifier(subject.data).to(device))
        settings = settings._replace(sources={ALONE: alone}, libraries=())  # its own gradients are not hidden
        self.models = [ControlModel(kind, s, AttackRunner(subject, found, settings)) for kind, s, found in pipelines]
        self.epsilon = self.models[0].runner.halving_radius(largest)

    def steps(self) -> list[Callable[[], None]]:
        """All attacks on all models."""
        steps = [step for model in self.models for step in model.runner.steps(self.epsilon)]
        return [*steps, *(partial(model.runner.run_active_test, self.epsilon) for model in self.models)]

    def rows(self) -> list[list[Cell]]:
        """One row for each model."""
        return [model.cells(self.epsilon) for model in self.models]


def main() -> None:
    """Train, attack, and tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3, help="classifiers; default %(default)s")
    seeds = parser.parse_args().seeds
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [PROGRAM, "alpha=0", "epochs=1", "hydra.run.dir=run"], cwd=folder, check=True, capture_output=True
        )
        chosen = evaluate.settings([])
        subject = Subject.of(TrainedRun.read(Path(folder) / "run", best=False), chosen)
        budget = Budget(
            chosen.parts["defence"].steps, chosen.parts["defence"].restarts, chosen.parts["defence"].queries
        )
        attacks = AttackSettings("linf", budget, tuple(chosen.parts["defence"].temperatures))
        for seed in range(seeds):
            baselines.RECIPE = baselines.RECIPE._replace(seed=seed)
            controls = PositiveControls(subject, attacks, grey_radius(subject, "linf"))
            for step in controls.steps():
                step()
            rows += [[str(seed), *map(shown, row)] for row in controls.rows()]
    print(table(["seed", *CONTROL_COLUMNS], rows))


def shown(value: object) -> str:
    """A cell."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
