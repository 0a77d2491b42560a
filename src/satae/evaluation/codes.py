"""What the encoder makes of inputs: how saturated, how binary, how steep, and what it keeps of the labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Final, NamedTuple

import torch
from torch import Tensor

from satae.config.evaluation import Code
from satae.evaluation import probes, units
from satae.evaluation.findings import Cell, Findings, Table, Track
from satae.evaluation.intervals import Estimate, mean, wilson
from satae.evaluation.probes import Labelled
from satae.evaluation.subject import Subject
from satae.model.flat_sets import evaluate
from satae.plots.charts import draw_histograms
from satae.plots.style import Picture
from satae.robustness.largest_change import jacobian_norm
from satae.training.metrics import count_flat, saturation_shares

COLUMNS: Final = ("of", "measure", "value", "low", "high", "n")
ENCODER, CODE, INPUT = "encoder", "code", "input"  # what a row is of, but for the layers by their names
CLEAN: Final = "saturated and dead: of clean inputs; those that training tells are of noisy ones"
SLOPE: Final = "slope: ‖J‖, the Frobenius norm of the derivative of the code by the input, in the data's units"
LINEAR, NEAREST = "linear probe", "nearest neighbours"


class Layer(NamedTuple):
    """What one encoder layer does with the inputs."""

    z: Tensor  # (n, units)
    f_z: Tensor  # likewise
    weight: Tensor


class Row(NamedTuple):
    """One figure; with an interval where it is an estimate, and not a fact about these inputs."""

    of: str
    measure: str
    value: float
    low: float | None
    high: float | None
    n: int  # inputs, or weights, behind it


def _fact(of: str, measure: str, value: float, n: int) -> Row:
    return Row(of, measure, value, None, None, n)


def _estimate(of: str, measure: str, found: Estimate) -> Row:
    return Row(of, measure, *found)


@torch.no_grad()
def code(subject: Subject, chosen: Code, track: Track) -> Findings:
    """Each encoder layer and the code, of clean inputs."""
    every, notes = layers(subject), list[str]()
    norms = subject.mapped(partial(jacobian_norm, subject.model.encode), subject.x[: chosen.jacobians])
    rows = [*_of_layers(subject, every, chosen.near), *_of_slopes(norms)]
    rows += [probe() for probe in track(_probes(subject, chosen, notes))]
    if len(subject.complement.levels) < 2:
        notes.insert(0, f"no share at the levels: {subject.config.act.name} has one alone; bimodality stands in for it")
    notes[:0] = [CLEAN, SLOPE]
    scalars = {f"{row.of}/{row.measure.replace(' ', '_')}": row.value for row in rows}
    return Findings(
        tables=[Table("code", COLUMNS, rows, COLUMNS)],
        headline=_headline(rows, [*every][-1]),
        notes=notes,
        scalars=scalars,
        histograms={**{f"pre_activations/{name}": layer.z for name, layer in every.items()}, "slope": norms},
        pictures=_pictures(subject, every, norms),
    )


def layers(subject: Subject) -> Mapping[str, Layer]:
    """What each encoder layer does with the inputs, by name."""

    def zs(x: Tensor) -> Tensor:
        return torch.cat([z.flatten(1) for z in subject.model.trace(x).zs.values()], dim=1)

    widths = [z.numel() for z in subject.model.trace(subject.x[:1]).zs.values()]
    parts = subject.mapped(zs, subject.x).split(widths, dim=1)
    return {
        name: Layer(z, evaluate(layer.act, z), layer.affine.weight)
        for z, (name, layer) in zip(parts, subject.model.layers(), strict=True)
    }


def _of_layers(subject: Subject, every: Mapping[str, Layer], near: float) -> Iterator[Row]:
    f_c, n = subject.complement, len(subject.x)
    counts = {name: count_flat(f_c, layer.z) for name, layer in every.items()}
    shares = saturation_shares(counts, n)
    for name, layer in every.items():
        saturated, always_on = shares[f"saturated_fraction/{name}"], (counts[name].sum(dim=0) == 0).double().mean()
        yield _fact(name, "saturated fraction", saturated, n)
        yield _fact(name, "dead fraction", shares[f"dead_fraction/{name}"], n)
        yield _fact(name, "always on fraction", always_on.item(), n)
        yield _fact(name, "active units", (1 - saturated) * layer.z.shape[1], n)
        if len(f_c.levels) > 1:
            yield _fact(name, "share at the levels", units.at_levels(f_c, layer.f_z, near), n)
        if len(found := units.bimodality(layer.f_z)):
            yield _fact(name, "bimodality", found.mean().item(), n)
        yield _fact(name, "entropy", units.entropy(units.is_on(f_c, layer.z, layer.f_z)).mean().item(), n)
        yield _fact(name, "weight kurtosis", units.kurtosis(layer.weight), layer.weight.numel())


def _of_slopes(norms: Tensor) -> list[Row]:
    flat = wilson(int((norms == 0).sum()), len(norms))
    return [_estimate(ENCODER, "slope", mean(norms)), _estimate(ENCODER, "share with slope 0", flat)]


def _probes(subject: Subject, chosen: Code, notes: list[str]) -> list[Callable[[], Row]]:
    """The same classifiers on the code and on the inputs themselves, each trained when it is called."""
    stored, data = subject.data.train, subject.data
    y, y_test = stored.y, subject.y
    if y is None or y_test is None:
        notes.append("no accuracies: the data have no labels")
        return []
    n = data.few(min(chosen.train, len(y)))
    y = y[:n]
    if len(y.unique()) < 2:
        notes.append(f"no accuracies: the {n} training inputs have one label")
        return []
    x = data.batch(stored.x[:n]).to(subject.x.device)
    encode = partial(subject.mapped, subject.model.encode)
    neighbours = min(chosen.neighbours, n)
    notes.append(f"{LINEAR} and {NEAREST} ({neighbours}): accuracy after {n} training inputs")

    def linear(of: str, train: Labelled, test: Labelled) -> Row:
        found, converged = probes.linear(train, test)
        if not converged:
            notes.append(f"the linear probe of the {of} had not converged after {probes.PASSES} passes")
        return _estimate(of, LINEAR, found)

    def nearest(of: str, train: Labelled, test: Labelled) -> Row:
        return _estimate(of, NEAREST, probes.nearest(train, test, neighbours))

    seen = {CODE: (encode(x), encode(subject.x)), INPUT: (x, subject.x)}
    return [
        partial(probe, of, Labelled(train, y), Labelled(test, y_test))
        for of, (train, test) in seen.items()
        for probe in (linear, nearest)
    ]


def _headline(rows: list[Row], last: str) -> dict[str, Cell]:
    found = {(row.of, row.measure): row.value for row in rows}
    wanted = {"saturated": (last, "saturated fraction"), "slope": (ENCODER, "slope"), "probe": (CODE, LINEAR)}
    return {name: found[key] for name, key in wanted.items() if key in found}


def _pictures(subject: Subject, every: Mapping[str, Layer], norms: Tensor) -> dict[str, Picture]:
    zs = {f"{name}, {layer.z.shape[1]} units": {"z": layer.z} for name, layer in every.items()}
    return {
        "pre_activations": draw_histograms(zs, "z (grey: the flat set)", subject.complement.intervals),
        "slope": draw_histograms(
            {f"encoder, {len(norms)} inputs": {"slope": norms}}, "‖J‖, slope of the code by the input"
        ),
    }
