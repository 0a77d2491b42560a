"""The positive control of ``satae-eval`` on the digits, for three classifiers: ``make control``."""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from pathlib import Path

from benchmarks.report import table
from benchmarks.soak import PROGRAM
from satae import evaluate
from satae.evaluation import baselines
from satae.evaluation.attack_runner import AttackSettings
from satae.evaluation.parts.defence_measure import CONTROL_COLUMNS, PositiveControls, grey_radius
from satae.evaluation.subject import Subject, TrainedRun
from satae.robustness.attack_suite import Budget


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
            rows += [[str(seed), *map(shown, row)] for row in controls.table().rows]
    print(table(["seed", *CONTROL_COLUMNS], rows))


def shown(value: object) -> str:
    """A cell."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
