"""The positive control: a model whose gradients are hidden on purpose, whose true robustness is known."""

from __future__ import annotations

from functools import partial
from typing import Final, NamedTuple

from satae.evaluation.attacking import Attacked, Plan, Step
from satae.evaluation.findings import Cell, Table
from satae.evaluation.subject import Subject
from satae.evaluation.trained import classifier_of
from satae.evaluation.victims import ALONE, Victim
from satae.robustness.bpda import fade_gradients, steepen_activations
from satae.robustness.masking_checks import Control, Evidence, Verdict, run_checks, verdict

FACTORS: Final = (5.0, 20.0, 100.0)
UNCHANGED: Final = "unchanged"
SCALED: Final = "scaled"
HIDDEN: Final = {
    "faded": fade_gradients,
    SCALED: steepen_activations,
}  # the same values, another gradient; or another network altogether
COLUMNS: Final = ("control", "factor", "epsilon", "clean", "no slope", "pgd", "exact", "accuracy", "n", "verdict")


class Row(NamedTuple):
    """A control under attack."""

    kind: str
    factor: float
    attacked: Attacked


class Controls:
    """A sigmoid classifier as it is, and with its gradients made to vanish in two ways, attacked at one radius.

    ``faded`` keeps every value and takes for the gradient of f(z) that of f(s z): its robustness is that of the
    unchanged one, exactly. ``scaled`` gives f(s z): a network that decides nearly alike on clean inputs, and whose
    robustness nobody knows.
    """

    def __init__(self, subject: Subject, plan: Plan, most: float) -> None:
        """Get ready; the radius is that at which about half withstand a short attack.

        Args:
            subject: with labels, whose inputs are perturbed and on whose training data the classifier learns.
            plan: what it is attacked with.
            most: the largest radius, as a share of the range.
        """
        model = classifier_of(subject.config, subject.data, "saturable").to(subject.x.device)
        plain = Victim.of("control", model, path="exact")
        made = [(UNCHANGED, 1.0, plain)]
        for kind, change in HIDDEN.items():
            for s in FACTORS:
                changed = plain._replace(change=partial(change, factor=s), changed=f"{kind} by {s:g}")
                made.append((kind, s, changed))
        other = Victim.of(ALONE, classifier_of(subject.config, subject.data).to(subject.x.device), path="exact")
        plan = plan._replace(sources={ALONE: other}, libraries=())  # not faded itself
        self.rows = [Row(kind, s, Attacked(subject, victim, plan)) for kind, s, victim in made]
        self.epsilon = self.rows[0].attacked.halving(most)

    def steps(self) -> list[Step]:
        """All attacks on all of them."""
        return [step for row in self.rows for step in row.attacked.steps(self.epsilon)]

    def outcome(self) -> Control:
        """What check 10 looks at, after the attacks: the faded ones, whose true level is known."""
        faded = [row for row in self.rows if row.kind != SCALED]
        unchanged, *others = [(self.verdict(row), self.accuracy(row)) for row in faded]
        names = [f"{row.kind} by {row.factor:g}" for row in faded[1:]]
        return Control(unchanged, dict(zip(names, others, strict=True)))

    def table(self) -> Table:
        """The controls, a row each."""
        return Table("control", COLUMNS, [self._cells(row) for row in self.rows], COLUMNS)

    def verdict(self, row: Row) -> Verdict:
        """On one of them, by the checks that need nothing but the attacks on it."""
        attacked = row.attacked
        evidence = Evidence(attacked.outcomes, attacked.chance, attacked.no_gradient, "exact", True, True)
        return verdict(run_checks(evidence))

    def accuracy(self, row: Row) -> float:
        """Against the worst of all attacks for each example."""
        return row.attacked.outcomes.accuracy.value

    def _cells(self, row: Row) -> list[Cell]:
        attacked, outcomes = row.attacked, row.attacked.outcomes
        clean, none = (share.float().mean().item() for share in (attacked.correct, attacked.no_gradient))
        left = [found.accuracy.value for found in (outcomes.named(["pgd-ce"]), outcomes.of_kinds("exact"), outcomes)]
        return [row.kind, row.factor, self.epsilon, clean, none, *left, len(attacked.correct), self.verdict(row)]
