"""The attacks of ``satae-eval evaluation=defence`` beside AutoAttack and foolbox: ``make bench-eval``.

All attack one model, a classifier behind a fully connected autoencoder, on the same images, by turns. What an attack
costs is given as a multiple of the bare model: its seconds over the seconds that the same number of forward passes, and
of forward and backward passes by ``torch.autograd.grad``, take on all images at once. So attacks that make different
numbers of passes can be compared. A ratio is taken within a turn.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

import torch
from torch import Tensor, nn

from benchmarks import machine
from benchmarks.measurement import Measurement, Quantity
from benchmarks.report import cell, table
from benchmarks.soak import PROGRAM
from satae import evaluate
from satae.evaluation.attack_runner import AttackRunner, AttackSettings
from satae.evaluation.classifiers import load_classifier
from satae.evaluation.pipelines import Pipeline
from satae.evaluation.subject import Subject, TrainedRun
from satae.robustness import external_attacks
from satae.robustness.attack_suite import FOOLBOX_STEPS, Budget, attack_suite
from satae.robustness.norm_ball import NormBall, RandomStreams
from satae.training import torch_settings

FASHION: Final = Path("/usr/share/datasets/fashion-mnist")
RADII: Final = (0.02, 0.05, 0.1)
NOTHING_BREAKS: Final = 1e-4  # radius at which every image stays under attack, so that each pass has all of them
BARE_PASSES: Final = 20
SUITE: Final = "satae"
PEERS: Final = {  # attack of a library -> our attack with the same number of passes
    "foolbox LinfPGD": "pgd-ce",
    "autoattack apgd-ce": "apgd-ce",
    "autoattack square": "square",
}
Run = Callable[[nn.Module, Tensor, Tensor], object]


class Plan(NamedTuple):
    """How much is measured."""

    images: int
    radii: Sequence[float]
    budget: Budget
    turns: int
    words: Sequence[str]  # for satae-train


class CountedModel(nn.Module):
    """A model that counts the examples that pass through it."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model, self.forward_only, self.with_gradient = model, 0, 0

    def forward(self, x: Tensor) -> Tensor:
        """The logits."""
        if torch.is_grad_enabled() and x.requires_grad:
            self.with_gradient += len(x)
        else:
            self.forward_only += len(x)
        return self.model(x)  # type: ignore[no-any-return]


class Bare(NamedTuple):
    """Seconds of the bare model for one example."""

    forward: float
    both: float  # forward and backward


def bare(model: nn.Module, x: Tensor, y: Tensor) -> Bare:
    """Time the model without an attack."""

    def both() -> None:
        points = x.detach().requires_grad_()
        torch.autograd.grad(model(points).gather(1, y[:, None]).sum(), points)

    def forward() -> None:
        with torch.no_grad():
            model(x)

    return Bare(*(median(seconds(once) for _ in range(BARE_PASSES)) / len(x) for once in (forward, both)))


def seconds(function: Callable[[], object]) -> float:
    """The time that a call takes."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def measure(tool: str, workload: str, turn: int, model: nn.Module, run: Run, x: Tensor, y: Tensor) -> Measurement:
    """One attack, or several, with the bare model timed before and after."""
    counted = CountedModel(model)
    first = bare(model, x, y)
    with machine.watched() as watch:
        outcome = run(counted, x, y)
    last = bare(model, x, y)
    cost = sum(
        count * (a + b) / 2
        for count, a, b in zip((counted.forward_only, counted.with_gradient), first, last, strict=True)
    )
    figures = {
        "wall_s": watch.wall_s,
        "multiple": watch.wall_s / cost,
        "forward": counted.forward_only / len(x),
        "both": counted.with_gradient / len(x),
        **(outcome if isinstance(outcome, dict) else {}),
    }
    return Measurement(workload, tool, turn, watch.quiet, figures)


def attack_passes(plan: Plan, ball: NormBall) -> dict[str, Run]:
    """Each attack by itself, at a radius where it breaks nothing."""
    names = [attack.name for attack in attack_suite(nn.Identity(), 10, plan.budget, temperatures=(10.0,))]

    def ours(name: str) -> Run:
        def run(model: nn.Module, x: Tensor, y: Tensor) -> object:
            suite = {attack.name: attack for attack in attack_suite(model, 10, plan.budget, temperatures=(10.0,))}
            return suite[name].run(x, y, ball, RandomStreams.for_examples(0, torch.arange(len(x))))

        return run

    return {name: ours(name) for name in names} | peer_attacks(plan.budget, ball)


def peer_attacks(budget: Budget, ball: NormBall) -> dict[str, Run]:
    """Attacks of the libraries with the steps, restarts and queries of ours."""
    foolbox, autoattack = (
        external_attacks.import_library(external_attacks.MODULES[name]) for name in ("foolbox", "autoattack")
    )

    def foolbox_pgd(model: nn.Module, x: Tensor, y: Tensor) -> None:
        attack = foolbox.attacks.LinfPGD(steps=budget.steps)
        for _ in range(budget.restarts):
            attack(foolbox.PyTorchModel(model.eval(), bounds=(0, 1)), x, y, epsilons=ball.epsilon)

    def apgd(model: nn.Module, x: Tensor, y: Tensor) -> None:
        whole = autoattack.AutoAttack(model, norm="Linf", eps=ball.epsilon, seed=0).apgd
        whole.n_iter, whole.n_restarts, whole.loss = budget.steps, budget.restarts, "ce"
        whole.perturb(x, y)

    def square(model: nn.Module, x: Tensor, y: Tensor) -> None:
        whole = autoattack.AutoAttack(model, norm="Linf", eps=ball.epsilon, seed=0).square
        whole.n_queries = budget.queries
        whole.perturb(x, y)

    return dict(zip(PEERS, (foolbox_pgd, apgd, square), strict=True))


def left_at(radius: float) -> str:
    """The name of the accuracy that is left at a radius."""
    return f"left at {radius:g}"


def suites(plan: Plan, subject: Subject, pipeline: Pipeline) -> dict[str, Run]:
    """Everything that is run at all radii: our suite, AutoAttack, and foolbox's smallest perturbations.

    Each returns the accuracy that it leaves at each radius.
    """
    balls = {radius: subject.norm_ball("linf", radius) for radius in plan.radii}

    def satae(model: nn.Module, x: Tensor, y: Tensor) -> dict[str, float]:
        with new_cache():
            settings = AttackSettings("linf", plan.budget, (3.0, 10.0, 30.0, 100.0, 300.0))
            runner = AttackRunner(subject, pipeline._replace(model=model), settings)
            for radius in plan.radii:
                for step in runner.steps(radius):
                    step()
        return {left_at(radius): runner.outcomes.at(radius).accuracy.value for radius in plan.radii}

    def autoattack(model: nn.Module, x: Tensor, y: Tensor) -> dict[str, float]:
        fooled = {radius: external_attacks.autoattack(model, x, y, ball, classes=10) for radius, ball in balls.items()}
        return {left_at(radius): 1 - found.fooled.float().mean().item() for radius, found in fooled.items()}

    def foolbox(model: nn.Module, x: Tensor, y: Tensor) -> dict[str, float]:
        ball = next(iter(balls.values()))
        found = external_attacks.minimum_norm(model, x, y, ball, steps=FOOLBOX_STEPS * plan.budget.steps)
        return {
            left_at(radius): (found.distance > ball.epsilon).float().mean().item() for radius, ball in balls.items()
        }

    return {SUITE: satae, "autoattack": autoattack, "foolbox": foolbox}


@contextlib.contextmanager
def new_cache() -> Iterator[None]:
    """Within the context, nothing is known of earlier attacks."""
    before = os.environ["SATAE_DATA_DIR"]
    with tempfile.TemporaryDirectory() as folder:
        os.environ["SATAE_DATA_DIR"] = folder
        try:
            yield
        finally:
            os.environ["SATAE_DATA_DIR"] = before


def prepare(plan: Plan, folder: Path) -> tuple[Subject, Pipeline]:
    """Train an autoencoder and a classifier; the images that the classifier gets right behind it."""
    words = [PROGRAM, *plan.words, "logger=none", f"hydra.run.dir={folder / 'run'}"]
    subprocess.run(words, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    subject = Subject.of(TrainedRun.read(folder / "run", best=False), evaluate.settings(["samples=2000", "device=cpu"]))
    pipeline = Pipeline.of(subject.model, load_classifier(subject.data, subject.config.seed))
    with torch.no_grad():
        right = (pipeline.model(subject.x).argmax(dim=1) == subject.labels).nonzero()[: plan.images, 0]
    return subject._replace(x=subject.x[right], y=subject.labels[right]), pipeline


def report(found: list[Measurement], plan: Plan, images: int) -> str:
    """The tables."""
    tools = {
        workload: [*dict.fromkeys(m.tool for m in found if m.workload == workload)] for workload in ("pass", "suite")
    }
    left = [left_at(radius) for radius in plan.radii]
    form = {"multiple": "{:.2f}", "wall_s": "{:.1f}", "forward": "{:,.0f}", "both": "{:,.0f}"}
    form |= dict.fromkeys(left, "{:.3f}")

    def rows(workload: str, figures: Sequence[str]) -> list[list[str]]:
        return [
            [tool, *(cell(Quantity(workload, tool, figure), found, form[figure]) for figure in figures)]
            for tool in tools[workload]
        ]

    def ratio(workload: str, one: str, other: str) -> list[str]:
        values = [
            other_m.figures["multiple"] / one_m.figures["multiple"]
            for one_m, other_m in zip(
                *(Quantity(workload, tool, "multiple").among(found) for tool in (one, other)), strict=True
            )
        ]
        return [f"{other} / {one}", f"{median(values):.2f} ({min(values):.2f} to {max(values):.2f})"]

    ratios = [ratio("pass", ours, peer) for peer, ours in PEERS.items()]
    ratios += [ratio("suite", SUITE, peer) for peer in tools["suite"] if peer != SUITE]
    disturbed = sum(m.quiet.disturbed for m in found)
    facts_here = {**machine.facts(), "threads": torch.get_num_threads()}
    facts = "; ".join(f"{name} {value}" for name, value in facts_here.items())
    return "\n\n".join(
        [
            f"{facts}. {plan.turns} turns, {images} images, {' '.join(plan.words)}; busy {disturbed} of {len(found)}.",
            "## One pass, as a multiple of the bare model's\n",
            table(
                ["attack", "multiple", "forward passes", "with gradient"], rows("pass", ("multiple", "forward", "both"))
            ),
            f"## All attacks, radii {', '.join(map(str, plan.radii))}\n",
            table(
                ["suite", "multiple", "seconds", "forward passes", "with gradient", *left],
                rows("suite", ("multiple", "wall_s", "forward", "both", *left)),
            ),
            "## Cost of the same number of passes\n",
            table(["", "median (min to max)"], ratios),
        ]
    )


def main() -> None:
    """Measure by turns, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, help="default 5")
    parser.add_argument("--victim", nargs="+", default=["alpha=0.1"], help="more words for satae-train; alpha=0.1")
    parser.add_argument("--quick", action="store_true", help="a smoke test of less than two minutes")
    chosen = parser.parse_args()
    data = ("data=fashion_mnist", "data.limit=10000", "epochs=5") if FASHION.is_dir() else ("data=digits", "epochs=20")
    if chosen.quick:
        plan = Plan(20, RADII[-1:], Budget(5, 1, 50), chosen.turns or 1, ("data=digits", "epochs=2", *chosen.victim))
    else:
        plan = Plan(500, RADII, Budget(50, 2, 1000), chosen.turns or 5, (*data, *chosen.victim))
    torch_settings.configure_torch(1 if chosen.quick else None)
    found = list[Measurement]()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["SATAE_DATA_DIR"] = folder
        subject, pipeline = prepare(plan, Path(folder))
        x, y = subject.x, subject.labels
        passes = attack_passes(plan, subject.norm_ball("linf", NOTHING_BREAKS))
        for turn in range(plan.turns):
            tasks = [("pass", *task) for task in passes.items()]
            tasks += [("suite", *task) for task in suites(plan, subject, pipeline).items()]
            for workload, tool, run in tasks if turn % 2 == 0 else tasks[::-1]:
                found.append(measure(tool, workload, turn, pipeline.model, run, x, y))
                figures = found[-1].figures
                print(
                    f"{turn + 1}  {workload:6}{tool:24}{figures['wall_s']:8.2f} s  x {figures['multiple']:.2f}",
                    flush=True,
                )
    print(report(found, plan, len(x)))


if __name__ == "__main__":
    main()
