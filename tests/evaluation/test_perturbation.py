"""How far a perturbation moves the code and the reconstruction: found from below, certified from above."""

import dataclasses
import math

import pytest
import torch
from evaluated import table, trained, typed
from program import read

import satae
from satae.evaluation.parts.perturbation import (
    CERTIFIED_SHARE,
    Perturbation,
    PerturbedOutput,
    _panels,
    measure_output,
)
from satae.robustness import largest_change
from satae.robustness.ibp import CertifiedBound
from satae.robustness.largest_change import LargestChange

SMALL = ("evaluation=perturbation", "perturbation.samples=20", "perturbation.steps=10", "perturbation.restarts=1")
pytestmark = pytest.mark.usefixtures("blank_pictures")


@pytest.fixture(scope="module", params=["arch=mlp", "arch=conv"])
def run(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    sizes = {"arch=mlp": ["arch.widths=[16,4]"], "arch=conv": ["arch.channels=[4]", "arch.code=4"]}[request.param]
    common = ("data.limit=64", "epochs=2", "batch_size=32", "threads=1")
    return trained(folder, request.param, *sizes, "alpha=0.1", "act=satlin", tiny=common)


def rows_of(run):
    found = read(run / "evaluation" / "perturbation.json")["tables"][0]
    return [dict(zip(found["columns"], row, strict=True)) for row in found["rows"]]


def test_a_found_change_never_exceeds_the_certified_one(run):
    outcome = typed(run, "run=.", *SMALL)
    assert (outcome.code, outcome.err) == (0, "")
    rows = rows_of(run)
    assert {(row["model"], row["output"], row["norm"]) for row in rows} == {
        (model, output, norm)
        for model in ("own", "twin")
        for output in ("code", "reconstruction")
        for norm in ("linf", "l2")
    }
    for row in rows:
        assert 0 < row["change"] <= row["largest change"]
        assert row["change"] <= row["certified"] * (1 + 1e-5)
        assert row["certified"] <= min(row["by norms"], row["by intervals"]) * (1 + 1e-6)
        assert row["change share"] > 0
    assert len(table(outcome.out, "model")) == len(rows)


def test_the_headline_names_norm_epsilon_and_unit(run):
    outcome = typed(run, "run=.", *SMALL, "perturbation.linf=[0.02,0.05]", "perturbation.l2=[]")
    found = read(run / "evaluation" / "perturbation.json")["headline"]
    assert {key: found[key] for key in ("norm", "epsilon", "unit")} == {
        "norm": "linf",
        "epsilon": 0.05,
        "unit": "range of the data",
    }
    assert "epsilon: a share of the range of the data" in outcome.out
    subject = in_the_middle(run)
    scaled = subject._replace(data=dataclasses.replace(subject.data, columns=object()))
    assert scaled.range_name == "range of each column"


def test_a_larger_ball_has_larger_changes(run):
    typed(run, "run=.", *SMALL, "perturbation.steps=30", "perturbation.linf=[0.01,0.1,0.5]", "perturbation.l2=[]")
    for model in ("own", "twin"):
        changes = [row["change"] for row in rows_of(run) if (row["model"], row["output"]) == (model, "reconstruction")]
        assert changes == sorted(changes)
        assert len(changes) == 3


def test_no_radius_is_refused(run):
    outcome = typed(run, "run=.", *SMALL, "perturbation.linf=[]", "perturbation.l2=[]")
    told = "satae-eval: evaluation=perturbation: no perturbation: no radius is given\n"
    assert (outcome.code, outcome.err) == (2, told)


class _Line(torch.nn.Module):
    """x -> 3 x_28, an element that varies; its largest change is known."""

    def forward(self, x):
        return 3 * x.flatten(1)[:, 28:29]


def test_a_linear_function_is_moved_as_far_as_it_can_be(run, monkeypatch):
    subject = in_the_middle(run)
    bound = CertifiedBound(torch.full((5,), 9.0), 9.0, torch.full((5,), 9.0))
    monkeypatch.setattr("satae.robustness.ibp.certified_bound", lambda f, x, ball: bound)
    chosen = Perturbation(linf=[], l2=[], samples=5, steps=10, restarts=1)
    for norm in ("linf", "l2"):
        row = measure_output(subject, _Line(), PerturbedOutput("own", "code", norm, 0.1), chosen)
        assert (row["change"], row["largest change"]) == pytest.approx((0.3, 0.3), rel=1e-4)
        assert row["slope"] == pytest.approx(3, rel=1e-3)
        element = subject.x.flatten(1)[:, 28]
        distance = (3 * (element - element.roll(1))).abs().mean().item()
        assert row["change"] / row["change share"] == pytest.approx(distance, rel=1e-5)


def test_the_figure_shows_the_certified_change_above_the_found_one(run):
    subject = in_the_middle(run)
    chosen = Perturbation(linf=[], l2=[], samples=5, steps=2, restarts=1)
    rows = [
        measure_output(subject, subject.model, PerturbedOutput("own", "reconstruction", "linf", radius), chosen)
        for radius in (0.05, 0.1)
    ]
    for row in rows:
        distance = row["change"] / row["change share"]
        assert row[CERTIFIED_SHARE] * distance == pytest.approx(row["certified"])
    (panel,) = _panels({("own", "linf", "reconstruction"): rows})
    found, certified = panel.curves
    assert (found.label, certified.label) == ("model: found", "model: certified")
    assert [*found.y] == [row["change share"] for row in rows]
    assert [*certified.y] == [row[CERTIFIED_SHARE] for row in rows]
    assert all(low < high for low, high in zip(found.y, certified.y, strict=True))


def in_the_middle(run):
    """Five inputs that lie half-way between the ends of the range, so that nothing is cut off."""
    from satae import evaluate
    from satae.evaluation.subject import Subject, TrainedRun

    subject = Subject.of(TrainedRun.read(run, False), evaluate.settings(["samples=5", "device=cpu"]))
    assert math.isclose(subject.range_width, 1)
    assert isinstance(subject.model, satae.DenoisingAutoencoder)
    return subject._replace(x=0.4 + 0.2 * subject.x)


def test_a_change_that_cannot_be_measured_is_said_and_leaves_the_mean_empty(run, monkeypatch):
    def partly_lost(f, x, ball, draws, *, steps, restarts):
        change = torch.ones(len(x)).index_fill(0, torch.tensor([0]), math.nan)
        return LargestChange(change, change, x)

    monkeypatch.setattr(largest_change, "largest_change", partly_lost)
    outcome = typed(run, "run=.", *SMALL, "perturbation.linf=[0.02]", "perturbation.l2=[]")
    assert outcome.code == 0
    reason = "could not be measured on 1 of 20 inputs: an output or its gradient is not a finite number"
    assert f"own, code, linf, epsilon 0.02: {reason}" in " ".join(outcome.out.split())
    assert {row["change"] for row in rows_of(run)} == {row["largest change"] for row in rows_of(run)} == {None}
