"""The positive control: a model whose gradients are hidden on purpose, whose true robustness is known."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final, NamedTuple

from satae.evaluation.attacking import Arsenal, Siege, Step
from satae.evaluation.findings import Cell, Table
from satae.evaluation.subject import Subject
from satae.evaluation.trained import classifier_of
from satae.evaluation.victims import Victim
from satae.robustness.checks import checks, verdict
from satae.robustness.evidence import Control, Evidence, Verdict, robust_accuracy
from satae.robustness.proportions import Share
from satae.robustness.surrogate import faded, steeper

FACTORS: Final = (5.0, 20.0, 100.0)
UNCHANGED: Final = "unchanged"
KINDS: Final = {"faded": faded, "scaled": steeper}  # the same values, another gradient; or another network altogether
COLUMNS: Final = ("control", "factor", "epsilon", "clean", "no slope", "pgd", "plain", "accuracy", "n", "verdict")


class Row(NamedTuple):
    """A control under attack."""

    kind: str
    factor: float
    siege: Siege


class Controls:
    """A sigmoid classifier as it is, and with its gradients made to vanish in two ways, attacked at one radius.

    ``faded`` keeps every value and takes for the gradient of f(z) that of f(s z): its robustness is that of the
    unchanged one, exactly. ``scaled`` gives f(s z): a network that decides nearly alike on clean inputs, and whose
    robustness nobody knows.
    """

    def __init__(self, subject: Subject, arsenal: Arsenal, radii: Sequence[float]) -> None:
        """Get ready; the radius is that at which about half withstand a short attack.

        Args:
            subject: with labels, whose inputs are perturbed and on whose training data the classifier learns.
            arsenal: what it is attacked with.
            radii: to choose from.
        """
        model = classifier_of(subject.config, subject.data, "saturable").to(subject.x.device)
        plain = Victim.of("control", model, path="exact")
        made = [(UNCHANGED, 1.0, plain)]
        for kind, change in KINDS.items():
            for s in FACTORS:
                changed = plain._replace(change=partial(change, factor=s), changed=f"{kind} by {s:g}")
                made.append((kind, s, changed))
        other = Victim.of("alone", classifier_of(subject.config, subject.data).to(subject.x.device), path="exact")
        arsenal = arsenal._replace(sources={"alone": other}, libraries=())  # not faded itself
        self.rows = [Row(kind, s, Siege(subject, victim, arsenal)) for kind, s, victim in made]
        self.epsilon = self.rows[0].siege.halving(radii)

    def steps(self) -> list[Step]:
        """All attacks on all of them."""
        return [step for row in self.rows for step in row.siege.steps(self.epsilon)]

    def outcome(self) -> Control:
        """What check 10 looks at, after the attacks: the faded ones, whose true level is known."""
        faded = [row for row in self.rows if row.kind != "scaled"]
        unchanged, *others = [(self.verdict(row), self.accuracy(row).value) for row in faded]
        return Control(unchanged, others)

    def table(self) -> Table:
        """The controls, a row each."""
        return Table("control", COLUMNS, [self._cells(row) for row in self.rows], COLUMNS)

    def verdict(self, row: Row) -> Verdict:
        """On one of them, by the checks that need nothing but the attacks on it."""
        siege = row.siege
        evidence = Evidence(siege.results, siege.correct, siege.chance, siege.no_gradient, "exact", True, True)
        return verdict(checks(evidence))

    def accuracy(self, row: Row) -> Share:
        """Against the worst of all attacks for each example."""
        return robust_accuracy(row.siege.results, row.siege.correct, self.epsilon)

    def _cells(self, row: Row) -> list[Cell]:
        siege, n = row.siege, len(row.siege.correct)
        left = [1 - siege.broken(self.epsilon, *names).float().mean().item() for names in (["pgd-ce"], siege.plain)]
        clean, none = siege.correct.float().mean().item(), siege.no_gradient.float().mean().item()
        found = [clean, none, *left, self.accuracy(row).value]
        return [row.kind, row.factor, self.epsilon, *found, n, self.verdict(row)]
