"""The figures of evaluations."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from satae.colours import COLOURS, INK
from satae.report import outcomes, pictures, words
from satae.report.drawing import DASHES, Drawing, kept, panels
from satae.report.evaluated import Part
from satae.report.evaluation_panels import (
    MOST_COLUMNS,
    MOST_PLACES,
    draw_line,
    draw_marks,
    grid,
    over_seeds,
    tell_all,
    tell_marks,
)
from satae.report.outcomes import (
    ALONE,
    AUROC,
    CHANGE,
    DEFENCE,
    HOLDS,
    MEASURES,
    NOISY,
    OWN,
    SEEN,
    TWIN,
    TWINS_CHANGE,
    UNSEEN,
)
from satae.report.scales import keep_to, scale
from satae.report.series import ALPHA, MOST_LINES, Line, Plan, Point
from satae.sweep.groups import Spread

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EPSILON, MIDDLE, CODE, AREA = "defence_epsilon", "defence_middle", "perturbation_code", "manifold_auroc"
NAMES: Final = (EPSILON, MIDDLE, CODE, *(f"denoising_{measure}" for measure in MEASURES), AREA)  # of files
MOST_PANELS: Final = 6  # of kinds
SHARE: Final = (0.0, 1.0)
MARKED: Final = (
    "Marks are verdicts: a dot, holds; a hollow diamond, inconclusive; a cross, masked: a check failed, the accuracy"
    " may be an illusion. Of several seeds, the worst."
)
UNITS: Final = {"psnr": "psnr, dB"}


def draw(part: Part, plan: Plan) -> Iterator[Drawing]:
    """Those of a part that can be drawn.

    Args:
        part: what was found.
        plan: of its configurations.
    """
    if not any(point.runs for line in plan.lines for point in line.points):
        return
    if part.name == DEFENCE:
        yield from _epsilon(part, plan)
    if part.name == "denoising":
        for measure in MEASURES:
            yield from _levels(part, plan, measure)
    if plan.x is not None:
        yield from {DEFENCE: _middle, "perturbation": _change, "manifold": _areas}.get(part.name, _none)(part, plan)


def _none(part: Part, plan: Plan) -> Iterator[Drawing]:
    yield from ()


def _epsilon(part: Part, plan: Plan) -> Iterator[Drawing]:
    """A panel for each configuration, with the three models."""
    points = [point for row in pictures.chosen(plan) for point in row]
    figure, all_axes = grid(len(points))
    radii = sorted({radius for found in part.outcomes.values() for curve in found.curves.values() for radius in curve})
    for place, (ax, point) in enumerate(zip(all_axes, points, strict=True)):
        found = part.of(point)
        for victim, colour, dash in zip((OWN, TWIN, ALONE), COLOURS, DASHES, strict=False):
            spreads = over_seeds(found, victim)
            if spreads:
                style = {"color": colour, "ls": dash, "label": victim}
                draw_line(ax, spreads, **style)
                draw_marks(ax, [(x, y.mean, outcomes.worst(found, victim)) for x, y in spreads], colour)
        ax.set_title(words.short(words.name(point.values), 44), fontsize=10)
        scale(ax, "", radii[:MOST_PLACES])
        ax.set_xlabel("epsilon")
        if place % MOST_COLUMNS == 0:
            ax.set_ylabel("accuracy")
        ax.tick_params(axis="x", labelsize=8)
        ax.set_ylim(-0.03, 1.03)
    tell_all(figure)
    left = sum(len(line.points) for line in plan.lines) - len(points)
    told = (
        "Accuracy of a classifier against the worst attack for each input, within epsilon of it, as a share of the"
        " range of the data: behind the autoencoder (own), behind its twin trained with alpha=0, and alone. Epsilon is"
        f" logarithmic where it spans much, and linear from 0. {MARKED}"
    )
    told += f" {left} further configurations are in the table." if left else ""
    yield _kept(figure, EPSILON, "Accuracy under attack against epsilon", told, plan, wide=True)


def _middle(part: Part, plan: Plan) -> Iterator[Drawing]:
    if part.epsilon is None:
        return
    named = f"accuracy at epsilon {part.epsilon:g}"

    def verdict(point: Point, victim: str) -> str:
        return outcomes.worst(part.of(point), victim)

    figure = _along(plan, {OWN: OWN, TWIN: TWIN}, named, SHARE, verdict)
    told = "Against the worst attack for each input; dashed: the twin trained with alpha=0, at 0 the model itself."
    told += f" {MARKED}"
    title = f"Accuracy at epsilon {part.epsilon:g} against {words.short(plan.x)}"
    yield _kept(figure, MIDDLE, title, told, plan)


def _change(part: Part, plan: Plan) -> Iterator[Drawing]:
    ball = next((found.balls[CHANGE] for found in part.outcomes.values() if CHANGE in found.balls), "")
    figure = _along(plan, {CHANGE: OWN, TWINS_CHANGE: TWIN}, "largest change of the code", (0.0, math.inf))
    told = (
        f"The largest change of the code that an attack finds ({ball}), in mean distances between the codes of two"
        " inputs; dashed: the twin trained with alpha=0. An attack may miss a larger one."
    )
    yield _kept(figure, CODE, f"Change of the code against {words.short(plan.x)}", told, plan)


def _along(
    plan: Plan,
    named: Mapping[str, str],
    y: str,
    possible: tuple[float, float],
    verdict: Callable[[Point, str], str] | None = None,
) -> Figure:
    """Measures along the number that varies, a colour for each line, a dash for each measure.

    Args:
        plan: what is drawn.
        named: the measures, that of the model itself first, and what the legend calls them.
        y: label of the vertical axis.
        possible: its values.
        verdict: of a point, where it has one.
    """
    figure, all_axes = panels(plan)
    own = next(iter(named))
    for ax, panel in zip(all_axes, plan.panels, strict=True):
        means = []
        for colour, line in zip(COLOURS, panel.lines, strict=False):
            for measure, dash in zip(named, DASHES, strict=False):
                known = [*_known(plan.x, line, measure, own)]
                spreads = [(point.x, point.spread(of)) for point, of in known]
                is_told = len(plan.lines) > 1 and measure == own
                first = {"label": words.short(line.label)} if is_told else {}
                draw_line(ax, spreads, color=colour, ls=dash, **first)
                told = [verdict(point, of) if verdict else HOLDS for point, of in known]
                draw_marks(ax, [(x, found.mean, how) for (x, found), how in zip(spreads, told, strict=True)], colour)
                means += [found.mean for _, found in spreads]
        if panel.title:
            ax.set_title(words.short(panel.title, 60), fontsize=10.5)
        ax.tick_params(labelbottom=True, labelleft=True)
        ax.set_ylabel(y)
        scale(ax, words.short(plan.x), [point.x for line in plan.lines for point in line.points])
        keep_to(ax, "y", possible, means)
        for name, dash in zip(named.values(), DASHES, strict=False):
            ax.plot([], [], color=INK, ls=dash, label=name)
        tell_marks(ax, verdict is not None)
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=3, handlelength=3)
    return figure


def _known(x: str | None, line: Line, measure: str, own: str) -> Iterator[tuple[Point, str]]:
    """The points of a line at which a measure is known, and its name there: at alpha=0 a model is its own twin."""
    for point in line.points:
        of = own if x == ALPHA and point.x == 0 else measure
        if point.spread(of).n:
            yield point, of


def _levels(part: Part, plan: Plan, measure: str) -> Iterator[Drawing]:
    """A panel for each kind of noise, with some configurations."""
    points = pictures.evenly([point for line in plan.lines for point in line.points if point.runs], MOST_LINES - 1)
    found = {index: part.of(point) for index, point in enumerate(points)}
    every = [outcome for some in found.values() for outcome in some]
    names = [f"{kind}/{measure}" for kind in dict.fromkeys(kind for each in every for kind in each.told)]
    names = [name for name in names if any(len(over_seeds(some, name)) > 1 for some in found.values())][:MOST_PANELS]
    if not names:
        return
    figure, all_axes = grid(len(names), 2)
    for ax, name in zip(all_axes, names, strict=True):
        kind = name.partition("/")[0]
        for (index, some), colour, dash in zip(found.items(), COLOURS, DASHES, strict=False):
            label = words.short(words.name(points[index].values), 30)
            draw_line(ax, over_seeds(some, name), color=colour, ls=dash, marker=".", label=label)
        noisy = [over_seeds(some, f"{kind}/{NOISY} {measure}") for some in found.values()]
        if _are_alike(noisy):
            ax.plot([x for x, _ in noisy[0]], [y.mean for _, y in noisy[0]], color=INK, ls=":", label="noisy input")
        seen = {each.told[kind] for each in every if kind in each.told}
        told = "seen in training" if seen == {SEEN} else "not seen" if seen == {UNSEEN} else "seen by some"
        ax.set_title(f"{words.short(kind, 30)}: {told}", fontsize=10.5)
        ax.set(xlabel="level of the noise", ylabel=UNITS.get(measure, measure))
    tell_all(figure, marks=False)
    left = sum(bool(point.runs) for line in plan.lines for point in line.points) - len(points)
    told = (
        f"Of reconstructions from noisy inputs, held against the clean ones; {'less' if measure == 'fvu' else 'more'}"
    )
    told += " is better. Dotted: the noisy input itself, what doing nothing gives."
    told += f" {left} further configurations are left out." if left else ""
    yield _kept(figure, f"denoising_{measure}", f"{measure} against the level of the noise", told, plan, wide=True)


def _areas(part: Part, plan: Plan) -> Iterator[Drawing]:
    """A panel for each of what is not data."""
    names = dict.fromkeys(name for found in part.outcomes.values() for name in found.numbers)
    names = dict.fromkeys([name for name in names if any(line.having(name) for line in plan.lines)][:MOST_PANELS])
    if not names:
        return
    lines = pictures.evenly(plan.lines, MOST_LINES)
    figure, all_axes = grid(len(names))
    for place, (ax, name) in enumerate(zip(all_axes, names, strict=True)):
        for colour, dash, line in zip(COLOURS, DASHES, lines, strict=False):
            spreads = [(point.x, point.spread(name)) for point in line.having(name)]
            draw_line(ax, spreads, color=colour, ls=dash, marker="o", ms=5, label=words.short(line.label, 30))
        ax.axhline(0.5, color=INK, lw=1, alpha=0.5)
        ax.set_title(words.short(f"against {name.removeprefix(AUROC).strip()}"), fontsize=10.5)
        scale(ax, "", [point.x for line in lines for point in line.points])
        ax.set_xlabel(words.short(plan.x))
        ax.set_ylim(-0.03, 1.03)
        if place % MOST_COLUMNS == 0:
            ax.set_ylabel(AUROC)
    if len(lines) > 1:
        tell_all(figure, marks=False)
    told = (
        "The probability that what is not data has a higher energy than the data: 1 tells them apart, at 0.5 (the thin"
        " line) it is chance, below it the model reconstructs what is no data better."
    )
    told += f" {len(plan.lines) - len(lines)} further lines are left out." if len(lines) < len(plan.lines) else ""
    yield _kept(figure, AREA, f"AUROC of the energy against {words.short(plan.x)}", told, plan, wide=len(names) > 1)


def _are_alike(curves: Sequence[Sequence[tuple[float, Spread]]]) -> bool:
    """Whether some curves are one, where they have the same places."""
    known = [{place: spread.mean for place, spread in curve} for curve in curves]
    first, *others = known
    return all(math.isclose(first[x], other[x], rel_tol=1e-3) for other in others for x in other if x in first)


def _kept(figure: Figure, name: str, title: str, told: str, plan: Plan, *, wide: bool = False) -> Drawing:
    seeds = max(len(point.runs) for line in plan.lines for point in line.points)
    told += " Bars: 95 % intervals of the mean over the seeds." if seeds > 1 else " One run each: no intervals."
    if plan.left_out and name in (MIDDLE, CODE):
        told += f" {plan.left_out.capitalize()}; they are in the tables."
    lines = ", ".join(words.short(line.label) for line in plan.lines[:MOST_LINES])
    return kept(figure, name, title, told, lines, wide=wide or len(plan.panels) > 1)
