"""Models after all attacks, each with its verdict, and what is told of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final, NamedTuple

from satae.evaluation.attacking import Attacked
from satae.evaluation.findings import Cell, Table
from satae.evaluation.victims import ALONE, MEANING, OWN, TWIN
from satae.plots.charts import Curve, Panel, draw_picture
from satae.plots.style import COLORS, MARKERS, Picture
from satae.robustness.masking_checks import Check, Control, Evidence, Verdict, run_checks, verdict
from satae.robustness.proportion import Proportion

ACCURACY: Final = ("victim", "epsilon", "accuracy", "low", "high", "n", "verdict")
ATTACKS: Final = ("victim", "epsilon", "attack", "kind", "tried", "broken", "left", "n")
LABELS: Final = {ALONE: "the classifier alone", TWIN: "behind the twin, alpha=0", OWN: "behind the autoencoder"}
CHECKS: Final = ("victim", "check", "outcome", "what", "found")


class Judged(NamedTuple):
    """A model after all attacks."""

    attacked: Attacked
    checks: Sequence[Check]

    @classmethod
    def of(cls, attacked: Attacked, twin: Attacked, control: Control | None, everything: float) -> Judged:
        """Hold the checks against it.

        Args:
            attacked: the model, at every radius.
            twin: its unregularised twin, likewise; the model itself where that has no penalty.
            control: what came of the positive control; None where it was left out.
            everything: the radius at which every input can become an even grey.
        """
        outcomes = attacked.outcomes
        evidence = Evidence(
            outcomes,
            attacked.chance,
            attacked.no_gradient,
            path=f"exact, through {attacked.victim.path}",
            whole=True,
            on_logits=True,
            everything=everything,
            twin=twin.outcomes,
            control=control,
            reported={epsilon: outcomes.at(epsilon).accuracy.value for epsilon in outcomes.epsilons},
        )
        return cls(attacked, run_checks(evidence))

    @property
    def verdict(self) -> Verdict:
        """In a word."""
        return verdict(self.checks)

    @property
    def accuracies(self) -> dict[float, Proportion]:
        """By radius, against the worst of all attacks for each example; at radius 0 without an attack."""
        outcomes = self.attacked.outcomes
        return {epsilon: outcomes.at(epsilon).accuracy for epsilon in (0.0, *outcomes.epsilons)}


def tables(judged: Mapping[str, Judged], controls: Sequence[Table]) -> list[Table]:
    """The accuracies, the attacks one by one, the controls, and the checks.

    Args:
        judged: by the name of the model.
        controls: a table of the positive control, where it was made.
    """
    others = [row for name in judged if name != OWN for row in _checks(name, judged[name])]
    return [
        Table("defence", ACCURACY, [row for name, each in judged.items() for row in _accuracies(name, each)], ACCURACY),
        Table("attacks", ATTACKS, [row for name, each in judged.items() for row in _attacks(name, each)], ()),
        *controls,
        Table("checks", CHECKS, _checks(OWN, judged[OWN]), CHECKS[1:]),
        Table("checks of the others", CHECKS, others, ()),
    ]


def headline(judged: Mapping[str, Judged]) -> dict[str, Cell]:
    """What stands for the run: its accuracy where about half of its twin's clean accuracy is left, and the verdict."""
    own, twin = judged[OWN].accuracies, judged.get(TWIN, judged[OWN]).accuracies
    epsilon = min([*own][1:], key=lambda epsilon: abs(twin[epsilon].value - twin[0.0].value / 2))
    return {
        "epsilon": epsilon,
        "robust accuracy": own[epsilon].value,
        "verdict": judged[OWN].verdict,
        **({"of its twin": twin[epsilon].value, "its verdict": judged[TWIN].verdict} if TWIN in judged else {}),
    }


def points(judged: Judged) -> list[tuple[float, float]]:
    """The accuracy over the radius."""
    return [(epsilon, share.value) for epsilon, share in judged.accuracies.items()]


def picture(judged: Mapping[str, Judged], epsilons: Collection[float]) -> Picture:
    """The accuracies of all at some radii, with their intervals and their verdicts."""
    curves = []
    for (name, each), color, marker in zip(judged.items(), COLORS, MARKERS, strict=False):
        found = {epsilon: share for epsilon, share in each.accuracies.items() if epsilon in epsilons}
        values = [share.value for share in found.values()]
        down = [max(0.0, share.value - share.low) for share in found.values()]
        up = [max(0.0, share.high - share.value) for share in found.values()]
        label = f"{LABELS[name]}: {each.verdict}"
        curves.append(Curve([*found], values, label, color, marker=marker, marker_size=4, y_bars=(down, up)))
    n = len(judged[OWN].attacked.correct)
    title, y_label = f"worst case over all attacks, of {n} inputs", "accuracy, with 95 % intervals"
    x_label = "epsilon, as a share of the range"
    panel = Panel(curves, x_label, y_label, title, y_possible=(0.0, 1.0), shows_all_possible=True)
    return draw_picture([panel], 1)


def notes(judged: Mapping[str, Judged]) -> list[str]:
    """What the words in the tables mean, and the verdict with what it follows from."""
    own = judged[OWN]
    failed = [str(check.number) for check in own.checks if check.outcome == "failed"]
    unsure = [str(check.number) for check in own.checks if check.outcome == "open"]
    why = f", for check {', '.join(failed or unsure)}" if failed or unsure else ""
    return [
        *(f"{name}: {MEANING[name]}" for name in judged),
        "accuracy: against the worst attack for each example; epsilon: a share of the range of the data",
        "checks 3, 5, 6, 7 and 8 tell the worst share of the examples at any epsilon",
        *(f"verdict on {name}: {judged[name].verdict}" for name in judged if name != OWN),
        f"verdict: {own.verdict}{why}",
    ]


def _accuracies(name: str, judged: Judged) -> list[list[Cell]]:
    return [
        [name, epsilon, share.value, share.low, share.high, share.n, judged.verdict]
        for epsilon, share in judged.accuracies.items()
    ]


def _attacks(name: str, judged: Judged) -> list[list[Cell]]:
    """Each attack, in their order: on how many it was made, how many it broke, and who is left after it."""
    attacked, rows = judged.attacked, list[list[Cell]]()
    for epsilon in attacked.outcomes.epsilons:
        left = attacked.correct
        for result in attacked.outcomes.at(epsilon).results:
            broken, left = attacked.correct & ~result.robust, left & result.robust
            counts = attacked.tried(result), int(broken.sum()), left.float().mean().item(), len(left)
            rows.append([name, epsilon, result.attack.name, result.attack.kind, *counts])
    return rows


def _checks(name: str, judged: Judged) -> list[list[Cell]]:
    return [[name, check.number, check.outcome, check.title, check.figure] for check in judged.checks]
