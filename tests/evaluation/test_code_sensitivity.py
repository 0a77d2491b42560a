"""How far noise moves the code, in units that no scale of the code changes."""

import math
from types import SimpleNamespace

import pytest
import torch
from evaluated import trained
from torch import Generator, nn

import satae
from satae.config.schema import Evaluation
from satae.evaluation.parts.code_ import SLOPE_OVER_SPREAD, Code
from satae.evaluation.parts.code_sensitivity import (
    CLIPPED,
    CODE,
    INPUT,
    RECONSTRUCTION,
    SENSITIVITY_COLUMNS,
    UNCLIPPED,
    SensitivityRow,
    measure_sensitivity,
    sensitivity_rows,
    spread,
)
from satae.evaluation.subject import Subject, TrainedRun
from satae.robustness.largest_change import jacobian_norm
from satae.training.metrics import PERTURBATION, code_sensitivity


def subject_of(model, x, span=(0.0, 1.0)):
    data = SimpleNamespace(span=span, shape=x.shape[1:])
    return Subject(None, 0, model, None, data, None, x, None, 0, None)


def rows_of(model, x, **more):
    return {(row.of, row.noise): row for row in sensitivity_rows(subject_of(model, x, **more), iter)}


def draws(n=60, units=5):
    """Some codes (n, units) and where noise moves them."""
    generator = Generator().manual_seed(1)
    before = torch.randn(n, units, generator=generator, dtype=torch.float64) * torch.arange(1.0, units + 1)
    return before, before + 0.3 * torch.randn(n, units, generator=generator, dtype=torch.float64)


def linear(x):
    """A linear autoencoder of three inputs, whose code has two units."""
    torch.manual_seed(3)
    model = satae.mlp((3,), nn.ReLU, widths=[2])
    with torch.no_grad():
        model.layers()[0][1].affine.bias.fill_(100.0)  # no unit is ever flat
    return model.eval().requires_grad_(False)


def test_the_identity_is_as_sensitive_as_the_input():
    identity = nn.Identity()
    identity.encode = identity.forward
    rows = rows_of(identity, torch.rand(50, 4))
    for noise in (UNCLIPPED, CLIPPED):
        assert [rows[of, noise].ratio_to_input for of in (INPUT, CODE, RECONSTRUCTION)] == [1, 1, 1]
        assert rows[CODE, noise][2:] == rows[INPUT, noise][2:]


@pytest.mark.parametrize("factor", [1e-3, 7.0])
def test_no_measure_depends_on_the_scale_of_the_code(factor):
    before, after = draws()
    assert measure_sensitivity(factor * before, factor * after) == pytest.approx(measure_sensitivity(before, after))


def test_the_measure_of_each_unit_does_not_depend_on_the_scale_of_one_unit():
    before, after = draws()
    scale = torch.tensor([100, 1, 1, 1, 1])
    found, scaled = measure_sensitivity(before, after), measure_sensitivity(scale * before, scale * after)
    assert scaled.per_unit == pytest.approx(found.per_unit)
    assert scaled.overall != pytest.approx(found.overall, rel=0.1)


def test_the_measures_are_squared_changes_over_variances():
    before, after = draws()
    change = ((after - before) ** 2).numpy().mean(axis=0)
    variance = before.numpy().var(axis=0)
    found = measure_sensitivity(before, after)
    assert found.overall == pytest.approx(change.sum() / variance.sum())
    assert found.per_unit == pytest.approx((change / variance).mean())


def test_units_that_do_not_vary_are_left_out_and_counted():
    before, after = draws()
    constant = torch.full((len(before), 2), 0.3, dtype=torch.float64)
    found = measure_sensitivity(torch.cat([before, constant], 1), torch.cat([after, constant + 1], 1))
    assert found.constant_units == 2
    assert found.per_unit == pytest.approx(measure_sensitivity(before, after).per_unit)


@pytest.mark.parametrize("value", [0.0, 0.3, math.inf, math.nan])
def test_an_output_that_never_varies_or_is_not_finite_has_no_sensitivity(value):
    before = torch.full((9, 3), value)
    found = measure_sensitivity(before, before + torch.rand(9, 3))
    assert found.constant_units == 3
    assert all(map(math.isnan, (found.overall, found.per_unit, found.identified)))
    assert math.isnan(spread(before))


def test_every_code_is_identified_without_noise_and_by_chance_in_large_noise():
    before, _ = draws(n=400)
    assert measure_sensitivity(before, before) == (0, 0, 0, 1)
    far = 1e6 * torch.randn(before.shape, generator=Generator().manual_seed(5), dtype=torch.float64)
    assert measure_sensitivity(before, before + far).identified < 0.02


def test_inputs_with_the_same_code_share_its_identification():
    codes = torch.tensor([[0.0], [0.0], [0.0], [1.0]])
    assert measure_sensitivity(codes, codes + 0.1).identified == pytest.approx((3 / 3 + 1) / 4)


def test_clipping_changes_nothing_if_no_value_leaves_the_range_and_less_moves_if_some_do():
    x = torch.rand(100, 3, generator=Generator().manual_seed(1))
    inside = rows_of(linear(x), 0.4 + 0.2 * x)
    for of in (INPUT, CODE, RECONSTRUCTION):
        assert inside[of, CLIPPED][2:] == inside[of, UNCLIPPED][2:]
    at_the_ends = rows_of(linear(x), x.round())
    assert at_the_ends[INPUT, CLIPPED].sensitivity < 0.7 * at_the_ends[INPUT, UNCLIPPED].sensitivity


def test_an_interrupt_is_heard_between_two_outputs():
    x, heard = torch.rand(50, 3), []

    def track(steps):
        for step in steps:
            heard.append(step[0])
            yield step

    sensitivity_rows(subject_of(linear(x), x), track)
    assert heard == [INPUT, CODE, RECONSTRUCTION]


def test_training_reports_the_same_figure_without_clipping():
    x = torch.rand(200, 3, generator=Generator().manual_seed(1))
    model, generator = linear(x), subject_of(None, x).generator("sensitivity")
    expected = code_sensitivity(model, x, 2.0, generator)
    assert rows_of(model, x, span=(-1.0, 1.0))[CODE, UNCLIPPED].sensitivity == pytest.approx(expected, rel=1e-5)


def test_slope_over_spread_is_the_sensitivity_of_a_linear_code_to_any_noise():
    x = torch.rand(5000, 3, generator=Generator().manual_seed(1))
    model = linear(x)
    slope = jacobian_norm(model.encode, x[:1]).item() / spread(model.encode(x))
    found = rows_of(model, x)[CODE, UNCLIPPED].sensitivity
    assert found == pytest.approx((PERTURBATION * slope) ** 2, rel=0.05)


def test_a_constant_code_is_reported(tmp_path):
    run = TrainedRun.read(trained(tmp_path), best=False)
    chosen = Evaluation(
        parts={}, is_all=True, best=False, split="test", samples=50, batch_size=None, seed=0, device="cpu", threads=1
    )
    subject = Subject.of(run, chosen)
    subject.model.layers()[-1][1].affine.weight.zero_()
    found = Code(near=0.05, jacobians=5, train=50, neighbours=3).measure(subject, iter)
    rows = {(row["of"], row["noise"]): row for row in found.tables[1].dicts()}
    for noise in (UNCLIPPED, CLIPPED):
        row = rows[CODE, noise]
        assert row["constant units"] == 4
        assert all(math.isnan(row[name]) for name in ("sensitivity", "ratio to input", "per unit", "identified"))
        assert row["n"] == 50
        assert rows[INPUT, noise]["ratio to input"] == 1
    (slope,) = (
        row for row in found.tables[0].dicts() if row["measure"] == SLOPE_OVER_SPREAD and row["of"] == "encoder"
    )
    assert math.isnan(slope["value"])
    assert [note for note in found.notes if note.startswith("sensitivity of the")] == [
        f"sensitivity of the {of}: not defined, because no unit varies over these inputs, or a value is not finite"
        for of in (CODE, RECONSTRUCTION)
    ]


def test_a_row_has_a_value_for_each_column():
    assert [column.replace(" ", "_") for column in SENSITIVITY_COLUMNS] == [*SensitivityRow._fields]
