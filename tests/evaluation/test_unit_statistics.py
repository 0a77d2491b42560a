"""Statistics of units against what is known of the distributions."""

import pytest
import scipy.stats
import torch
from torch import nn

from satae.evaluation.parts import code_
from satae.model.complement import Complement


def test_bimodality_tells_two_values_from_one_hump():
    n = 20_000
    f_z = torch.stack([(torch.rand(n) < 0.5).float(), torch.rand(n), torch.randn(n), torch.full((n,), 0.3)], dim=1)
    found = code_.bimodality(f_z)
    assert len(found) == 3  # the last one does not vary
    assert found.tolist() == pytest.approx([1, 5 / 9, 1 / 3], abs=0.02)


def test_bimodality_has_the_sample_moments_of_scipy():
    f_z = torch.rand(9, 2, 3, dtype=torch.float64) ** 2
    x, n = f_z.flatten(1).numpy(), 9
    s, k = (moment(x, bias=False) for moment in (scipy.stats.skew, scipy.stats.kurtosis))
    expected = (s**2 + 1) / (k + 3 * (n - 1) ** 2 / ((n - 2) * (n - 3)))
    assert code_.bimodality(f_z).tolist() == pytest.approx(expected.tolist())
    assert len(code_.bimodality(f_z[:3])) == 0


def test_entropy_is_in_bits():
    on = torch.tensor([[True, False, True], [False, False, True], [True, False, True], [False, False, False]])
    assert code_.entropy(on).tolist() == pytest.approx([1, 0, 0.811278], abs=1e-6)


def test_kurtosis_is_that_of_scipy():
    weight = torch.randn(30, 40) ** 3
    assert code_.kurtosis(weight) == pytest.approx(scipy.stats.kurtosis(weight.double().numpy(), axis=None))
    assert code_.kurtosis(torch.ones(3)) != code_.kurtosis(torch.ones(3))  # nan


def test_units_are_on_above_the_middle_of_two_levels_or_outside_the_flat_set():
    z = torch.tensor([-3.0, -0.1, 0.1, 3.0])
    for act, on in [(nn.Sigmoid(), [0, 0, 1, 1]), (nn.ReLU(), [0, 0, 1, 1]), (nn.Softshrink(0.5), [1, 0, 0, 1])]:
        assert code_.is_on(Complement(act, "input"), z, act(z)).tolist() == on


def test_the_share_at_the_levels():
    act = nn.Hardtanh()
    z = torch.tensor([-5.0, -0.96, 0.0, 0.94, 1.0])
    assert code_.fraction_at_levels(Complement(act, "input"), act(z), 0.05) == pytest.approx(3 / 5)
