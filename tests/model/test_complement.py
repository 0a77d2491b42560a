"""f_c against first principles: Goroshin & LeCun (2013), and what the design says of each activation."""

import itertools
import math

import pytest
import torch
from brute_force import (
    GRID,
    KINKS,
    MORE,
    NON_MONOTONE,
    PIECEWISE,
    READINGS,
    STEP,
    away_from_kinks,
    brute_force,
    flat_points,
    logit,
    reverse_slope,
)
from every_activation import ACTIVATIONS
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import satae
from satae.model.activations import PROPERTIES, evaluate, slope
from satae.model.complement import distance

TAILS = {  # z_eps for eps = .01 and .05, to the nearest third decimal (mpmath)
    "sigmoid": (-4.585, -2.887),
    "tanh": (-2.993, -2.178),
    "softsign": (-9.0, -3.472),
    "softplus": (-4.595, -2.944),
    "elu": (-4.605, -2.996),
    "celu": (-4.605, -2.996),
    "selu": (-5.169, -3.560),
    "gelu": (-3.067, -2.349),
    "silu": (-6.261, -4.083),
    "mish": (-6.264, -4.112),
    "logsigmoid": (4.595, 2.944),
}
TWO_SIDED = ["sigmoid", "tanh", "softsign"]
EXACT = {
    "relu": [(-math.inf, 0)],
    "shrink": [(-0.5, 0.5)],
    "satlin": [(-math.inf, -1), (1, math.inf)],
    "relu6": [(-math.inf, 0), (6, math.inf)],
    "hardsigmoid": [(-math.inf, -3), (3, math.inf)],
    "hardswish": [(-math.inf, -3)],
}
LEVELS = {
    "relu": [0],
    "shrink": [0],
    "satlin": [-1, 1],
    "relu6": [0, 6],
    "hardsigmoid": [0, 1],
    "sigmoid": [0, 1],
    "tanh": [-1, 1],
    "softsign": [-1, 1],
    "softplus": [0],
    "elu": [-1],
    "celu": [-1],
    "selu": [-1.7580993],
    "logsigmoid": [0],
}
EVERY = [*ACTIVATIONS, *MORE]
MAKE = {**ACTIVATIONS, **MORE}


def sample(count: int = 400) -> torch.Tensor:
    drawn = torch.empty(count, dtype=torch.float64).uniform_(-11, 11, generator=torch.Generator().manual_seed(1))
    return torch.cat([drawn, torch.tensor([kink for kinks in KINKS.values() for kink in kinks], dtype=torch.float64)])


@pytest.fixture
def forget():
    """Unregister what a test registers."""
    known = dict(PROPERTIES)
    yield
    PROPERTIES.clear()
    PROPERTIES.update(known)


class Step(nn.Module):
    """min(max(z - 2, 0), 1): flat to the left of 2 and to the right of 3."""

    def forward(self, z):
        return (z - 2).clamp(0, 1)


# The table of activations


def test_every_activation_is_in_the_tables_of_these_tests():
    assert {*TAILS, *EXACT} == set(ACTIVATIONS)
    assert {*LEVELS, *NON_MONOTONE} == set(ACTIVATIONS)


@pytest.mark.parametrize("eps", [0.01, 0.05])
@pytest.mark.parametrize("name", TAILS)
def test_tails_begin_where_the_table_says(name, eps):
    border = TAILS[name][0 if eps == 0.01 else 1]
    intervals = satae.Complement(ACTIVATIONS[name](), "input", eps).intervals
    expected = [(border, math.inf)] if border > 0 else [(-math.inf, border)]
    if name in TWO_SIDED:
        expected.append((-border, math.inf))
    assert len(intervals) == len(expected)
    for found, wanted in zip(intervals, expected, strict=True):
        assert found == pytest.approx(wanted, abs=5.1e-4)


@pytest.mark.parametrize("eps", [1e-6, 0.01, 0.2])
def test_tails_begin_where_algebra_says(eps):
    root = math.sqrt(1 - 4 * eps)  # s (1 - s) = eps
    for act, border in [
        (nn.Sigmoid(), logit((1 - root) / 2)),
        (nn.Tanh(), -math.atanh(math.sqrt(1 - eps))),
        (nn.Softsign(), 1 - 1 / math.sqrt(eps)),
        (nn.Softplus(), logit(eps)),
        (nn.ELU(), math.log(eps)),
    ]:
        low, found = satae.Complement(act, "input", eps).intervals[0]
        assert low == -math.inf
        assert found == pytest.approx(border, rel=1e-6)


@pytest.mark.parametrize("name", EXACT)
def test_exact_flat_sets(name):
    assert satae.Complement(ACTIVATIONS[name](), "input").intervals == EXACT[name]


@pytest.mark.parametrize("name", LEVELS)
def test_levels(name):
    assert satae.Complement(ACTIVATIONS[name]()).levels == pytest.approx(LEVELS[name], abs=1e-6)


# Brute force


@pytest.mark.parametrize("eps", [0.01, 0.05])
@pytest.mark.parametrize(("name", "reading"), [*READINGS, *itertools.product(MORE, ["output", "input", "slope"])])
def test_complement_equals_brute_force(name, reading, eps):
    act, z = MAKE[name](), sample()
    _, exact = flat_points(act, eps)
    if reading == "input":
        z = GRID[::5]  # points of the grid: exact flat sets end on it, tails within a step
    tolerance = 1.01 * STEP if reading == "input" and not exact else 1e-8
    found = satae.complement(MAKE[name](), z, reading, eps)
    torch.testing.assert_close(found, brute_force(act, z, reading, eps), rtol=0, atol=tolerance)


@pytest.mark.parametrize("eps", [0.01, 0.05])
@pytest.mark.parametrize("name", EVERY)
def test_is_flat_equals_brute_force(name, eps):
    act = MAKE[name]()
    flat, _ = flat_points(act, eps)
    assert 0 < flat.sum() < len(GRID)
    apart = (reverse_slope(act, GRID).abs() - eps).abs() > 1e-9  # softsign has slope .01 at 9, to rounding
    assert torch.equal(satae.is_flat(act, GRID, eps)[apart], flat[apart])


@pytest.mark.parametrize("eps", [0.01, 0.05])
@pytest.mark.parametrize(("name", "reading"), READINGS)
def test_zero_inside_the_flat_set_and_only_there(name, reading, eps):
    act = ACTIVATIONS[name]()
    flat, exact = flat_points(act, eps)
    f_c = satae.complement(act, GRID, reading, eps)
    assert (f_c >= 0).all()
    if exact or reading == "input":
        assert f_c[flat].max() <= (0 if exact else 1e-12)
    if reading == "slope":
        assert (f_c[flat] <= eps).all()
    if reading == "output":
        assert f_c[flat].max() < f_c[~flat].min()
    # an isolated stationary point has slope 0 and is not flat; softsign has slope .01 at 9, to rounding
    doubtful = (reverse_slope(act, GRID) == 0) | ((reverse_slope(act, GRID).abs() - eps).abs() < 1e-9)
    assert (f_c[~flat & ~doubtful] > 0).all()


@pytest.mark.parametrize("name", ["relu", "shrink", "satlin", "relu6"])
def test_output_and_input_agree_for_unit_slopes(name):
    z = sample().float()
    assert torch.equal(satae.complement(ACTIVATIONS[name](), z), satae.complement(ACTIVATIONS[name](), z, "input"))


def test_output_is_a_sixth_of_input_for_hardsigmoid():
    z = sample()
    torch.testing.assert_close(
        6 * satae.complement(nn.Hardsigmoid(), z), satae.complement(nn.Hardsigmoid(), z, "input")
    )


@pytest.mark.parametrize("name", LEVELS)
def test_output_has_the_slope_of_the_activation(name):
    z = away_from_kinks(name, sample()).requires_grad_()
    (gradient,) = torch.autograd.grad(satae.complement(ACTIVATIONS[name](), z).sum(), z)
    torch.testing.assert_close(gradient.abs(), reverse_slope(ACTIVATIONS[name](), z.detach()).abs())


@given(
    intervals=st.lists(
        st.tuples(st.floats(-50, 50), st.floats(0, 20)).map(lambda pair: (pair[0], pair[0] + pair[1])), min_size=1
    ),
    z=st.floats(-100, 100),
)
def test_distance_is_that_to_the_nearest_interval(intervals, z):
    nearest = min(0.0 if lo <= z <= hi else min(abs(z - lo), abs(z - hi)) for lo, hi in intervals)
    assert distance(torch.tensor(z, dtype=torch.float64), intervals).item() == pytest.approx(nearest, abs=1e-12)


# Gradients


@pytest.mark.parametrize(("name", "reading"), READINGS)
def test_gradcheck(name, reading):
    f_c = satae.Complement(ACTIVATIONS[name](), reading)
    z = away_from_kinks(name, sample(60))
    for lo, hi in f_c.intervals:  # the reading "input" has a kink at the border
        z = z[((z - lo).abs() > 1e-3) & ((z - hi).abs() > 1e-3)]
    assert len(z) > 40
    z.requires_grad_()
    if reading == "slope" and name in PIECEWISE:
        assert not f_c(z).requires_grad  # its slope is constant
    else:
        assert torch.autograd.gradcheck(f_c, z)


@pytest.mark.parametrize(("name", "reading"), [case for case in READINGS if case[0] in KINKS and case[1] != "slope"])
def test_subgradient_is_zero_at_kinks(name, reading):
    kinks = [kink for kink in KINKS[name] if (name, kink) != ("hardswish", 3.0)]  # far from its flat set
    z = torch.tensor(kinks, requires_grad=True)
    satae.complement(ACTIVATIONS[name](), z, reading).sum().backward()
    assert torch.equal(z.grad, torch.zeros_like(z))


@pytest.mark.parametrize("name", TAILS)
def test_subgradient_is_zero_at_the_border_of_a_tail(name):
    f_c = satae.Complement(ACTIVATIONS[name](), "input")
    z = torch.tensor([end for pair in f_c.intervals for end in pair if math.isfinite(end)], dtype=torch.float64)
    z.requires_grad_()
    f_c(z).sum().backward()
    assert torch.equal(z.grad, torch.zeros_like(z))


@pytest.mark.parametrize("reading", ["output", "input"])
@pytest.mark.parametrize(
    ("name", "midway"),
    [("satlin", 0), ("relu6", 3), ("hardsigmoid", 0), ("sigmoid", 0), ("tanh", 0), ("softsign", 0)],
)
def test_subgradient_is_zero_midway_between_two_flat_intervals(name, midway, reading):
    z = torch.tensor(float(midway), requires_grad=True)
    satae.complement(ACTIVATIONS[name](), z, reading).backward()
    assert z.grad == 0


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_slope_equals_a_backward_pass_even_without_gradients(name):
    act, z = ACTIVATIONS[name](), sample()
    expected = reverse_slope(act, z)
    with torch.no_grad():
        torch.testing.assert_close(slope(act, z), expected, rtol=1e-7, atol=1e-12)


# Numbers


@pytest.mark.parametrize("name", ["relu", "shrink", "satlin", "sigmoid", "tanh", "elu", "logsigmoid"])
def test_the_output_derivative_is_the_derivative_by_f_z(name):
    act = ACTIVATIONS[name]()
    f_c, f_z = satae.Complement(act), evaluate(act, sample()).requires_grad_()
    (expected,) = torch.autograd.grad(f_c.from_output(f_z).sum(), f_z)
    between = (f_z.detach()[:, None] != torch.tensor(f_c.levels, dtype=f_z.dtype)).all(dim=1)  # at a level: any value
    assert torch.equal(f_c.output_derivative(f_z.detach())[between], expected[between])
    assert between.any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("name", "reading"), READINGS)
def test_f_z_that_is_known_changes_neither_the_value_nor_the_gradient(name, reading, dtype):
    act, found = MAKE[name](), []
    for known in (False, True):
        z = sample().to(dtype).requires_grad_()
        f_c = satae.Complement(act, reading)(z, evaluate(act, z) if known else None)
        found.append((f_c, *torch.autograd.grad(f_c.sum() + 0 * z.sum(), z)))
    for one, other in zip(*found, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize(("name", "reading"), READINGS)
def test_half_precision_is_computed_in_float32(name, reading, dtype):
    z = sample().to(dtype)
    f_c = satae.complement(ACTIVATIONS[name](), z, reading)
    assert f_c.dtype == torch.float32
    assert torch.equal(f_c, satae.complement(ACTIVATIONS[name](), z.float(), reading))
    assert torch.equal(satae.is_flat(ACTIVATIONS[name](), z), satae.is_flat(ACTIVATIONS[name](), z.float()))


@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3, 4, 5)])
@pytest.mark.parametrize(("name", "reading"), READINGS)
def test_shape_and_dtype_are_kept(name, reading, shape):
    f_c = satae.complement(ACTIVATIONS[name](), torch.zeros(shape, dtype=torch.float64), reading)
    assert (f_c.shape, f_c.dtype) == (shape, torch.float64)


@pytest.mark.parametrize("reading", ["output", "input", "slope"])
def test_an_inplace_activation_leaves_z_as_it_was(reading):
    z = sample()
    before = z.clone()
    f_c = satae.complement(nn.ReLU(inplace=True), z, reading)
    assert torch.equal(z, before)
    assert torch.equal(f_c, satae.complement(nn.ReLU(), z, reading))


def test_evaluating_fires_no_hooks():
    act, fired = nn.Tanh(), []
    act.register_forward_pre_hook(lambda *_: fired.append(1))
    torch.testing.assert_close(evaluate(act, torch.ones(1)), torch.tensor([math.tanh(1)]))
    assert not fired


# Refusals


@pytest.mark.parametrize("name", NON_MONOTONE)
def test_output_is_refused_where_the_activation_is_not_monotone(name):
    with pytest.raises(ValueError, match=r"reading output.*not monotone.*choose input or slope"):
        satae.Complement(ACTIVATIONS[name]())


@pytest.mark.parametrize("reading", ["output", "input", "slope"])
@pytest.mark.parametrize("act", [nn.LeakyReLU(), nn.PReLU(), nn.RReLU(), nn.Identity(), nn.Tanhshrink()])
def test_activations_that_are_nowhere_flat_are_refused(act, reading):
    with pytest.raises(ValueError, match=rf"{type(act).__name__} has no flat region.*ReLU"):
        satae.Complement(act, reading)


@pytest.mark.parametrize("eps", [0.0, 1.0, -0.05, 2.0, math.nan, math.inf])
def test_an_eps_out_of_range_is_refused(eps):
    with pytest.raises(ValueError, match="eps="):
        satae.Complement(nn.ReLU(), eps=eps)


def test_an_eps_above_every_slope_is_refused():
    with pytest.raises(ValueError, match=r"eps=0.3: Sigmoid.*largest slope is 0.25"):
        satae.Complement(nn.Sigmoid(), eps=0.3)


def test_an_unknown_reading_is_refused():
    with pytest.raises(ValueError, match="reading='both': choose one of output, input, slope"):
        satae.Complement(nn.ReLU(), "both")


@pytest.mark.usefixtures("forget")
def test_an_unknown_activation_is_refused_until_it_is_registered():
    z = torch.tensor([0.0, 2.25, 2.75, 5.0])
    with pytest.raises(ValueError, match=r"Step is not a known activation.*satae.register"):
        satae.complement(Step(), z)
    satae.register(Step, flat=lambda act, eps: [(-math.inf, 2.0), (3.0, math.inf)])
    for reading in ("output", "input"):
        torch.testing.assert_close(satae.complement(Step(), z, reading), torch.tensor([0.0, 0.25, 0.25, 0.0]))
    torch.testing.assert_close(satae.complement(Step(), z, "slope"), torch.tensor([0.0, 1.0, 1.0, 0.0]))


class Square(nn.Module):
    def forward(self, z):
        return z.exp().square() + (-z).exp()


class Isru(nn.Module):
    def forward(self, z):
        return z / (1 + z * z).sqrt()


@pytest.mark.usefixtures("forget")
def test_the_levels_of_a_registered_activation_are_its_limits():
    satae.register(Isru, flat=satae.tails("below", "above"))
    assert satae.Complement(Isru()).levels == [-1.0, 1.0]


@pytest.mark.usefixtures("forget")
def test_a_registered_piecewise_linear_activation_has_no_gradient_by_slope():
    satae.register(Step, flat=lambda act, eps: [(-math.inf, 2.0), (3.0, math.inf)], piecewise_linear=True)
    assert not satae.Complement(Step(), "slope").trains
    assert satae.Complement(Step(), "output").trains


@pytest.mark.usefixtures("forget")
def test_a_registered_tail_is_searched_for():
    class Swoosh(nn.Module):
        def forward(self, z):
            return z * torch.sigmoid(z)  # SiLU

    satae.register(Swoosh, flat=satae.tails("below"), monotone=False)
    with pytest.raises(ValueError, match="not monotone"):
        satae.Complement(Swoosh())
    ((low, high),) = satae.Complement(Swoosh(), "input").intervals
    assert (low, high) == (-math.inf, pytest.approx(-4.083, abs=5e-4))


@pytest.mark.usefixtures("forget")
def test_a_subclass_may_compute_anything_and_is_unknown():
    class Shifted(nn.ReLU):
        def forward(self, z):
            return super().forward(z - 1)

    with pytest.raises(ValueError, match="Shifted is not a known activation"):
        satae.Complement(Shifted())


@pytest.mark.parametrize("flat", [lambda act: [(0.0, 1.0)], lambda: [(0.0, 1.0)], None, "below"])
def test_register_takes_a_function_of_an_activation_and_eps(flat):
    with pytest.raises(TypeError, match=r"must be a function of \(activation, eps\)"):
        satae.register(Step, flat=flat)


@pytest.mark.parametrize("act", [nn.ReLU(), torch.relu, int])
def test_register_takes_a_class_of_modules(act):
    with pytest.raises(TypeError, match=r"subclass of torch.nn.Module"):
        satae.register(act, flat=satae.tails("below"))


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("z", [-math.inf, math.inf])
def test_an_infinite_z_has_a_distance(name, z):
    assert not satae.complement(ACTIVATIONS[name](), torch.tensor([z]), "input").isnan().any()


@pytest.mark.usefixtures("forget")
@pytest.mark.parametrize(
    "flat", [[], [(2.0, 0.0)], [(math.nan, 0.0)], (0.0, 1.0), None, [("a", "b")], [(2.0, 4.0), (0.0, 3.0)]]
)
def test_an_invalid_flat_set_is_refused(flat):
    satae.register(Step, flat=lambda act, eps: flat)
    with pytest.raises(ValueError, match="Step: its flat set is"):
        satae.Complement(Step())


@pytest.mark.usefixtures("forget")
def test_a_flat_set_with_an_infinite_level_is_refused():
    satae.register(Isru, flat=lambda act, eps: [(-math.inf, 0.0)])
    satae.register(Square, flat=lambda act, eps: [(-math.inf, 0.0)])
    assert satae.Complement(Isru()).levels == [-1.0]
    with pytest.raises(ValueError, match=r"Square: .*not finite"):
        satae.Complement(Square())


@pytest.mark.parametrize("act", [nn.Sigmoid(), nn.Tanh(), nn.Softsign()])
@pytest.mark.parametrize("eps", [0.05, 0.01, 1e-4, 1e-6, 1e-9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_distance_has_no_gradient_halfway_between_two_equal_tails(act, eps, dtype):
    z = torch.zeros(1, dtype=dtype, requires_grad=True)
    satae.complement(act, z, "input", eps).sum().backward()
    assert z.grad == 0
