"""The energy of an input, and its map over the plane."""

import pytest
import torch
from torch import nn

import satae
from satae.training.metrics import LOW_ENERGY, energy, energy_map, low_energy_area


def constant(*value: float) -> satae.DenoisingAutoencoder:
    """A model that reconstructs everything as one value."""
    model = satae.mlp((len(value),), nn.ReLU, widths=[1])
    with torch.no_grad():
        model.decoder.layer1.weight.zero_()
        model.decoder.layer1.bias.copy_(torch.tensor(value))
    return model


def test_energy_by_hand():
    x = torch.tensor([[1.0, 2.0], [0.5, -1.0], [0.0, 0.0]])
    assert energy(constant(0.5, -1.0), x).tolist() == pytest.approx([(0.25 + 9) / 2, 0, (0.25 + 1) / 2])


def test_energy_is_in_the_units_of_the_data():
    model = constant(0.0, 0.0)
    model.standardize_by(torch.tensor([3.0, 0.0]), torch.tensor([10.0, 10.0]))
    assert energy(model, torch.tensor([[5.0, 0.0]])).tolist() == [2.0]


def test_energy_sums_over_all_elements_of_an_image():
    model, x = satae.conv((2, 5, 5), nn.ReLU, channels=[3], code=4), torch.rand(3, 2, 5, 5)
    expected = [((model(x)[i] - x[i]) ** 2).sum().item() / 2 for i in range(3)]
    assert energy(model, x).tolist() == pytest.approx(expected, rel=1e-5)


def test_energy_is_measured_in_evaluation_mode_without_gradients():
    model = satae.mlp((4,), nn.ReLU, widths=[3], batch_norm=True)
    model.train()
    running = model.encoder.layer1.norm.running_mean.clone()
    assert not energy(model, 5 + torch.rand(6, 4)).requires_grad
    assert torch.equal(model.encoder.layer1.norm.running_mean, running)


def test_the_map_has_rows_by_y_and_columns_by_x_both_rising():
    energies = energy_map(constant(-1.0, 0.5), (-1.0, 1.0), side=5)
    ticks = [-1.0, -0.5, 0.0, 0.5, 1.0]
    expected = [[((x + 1) ** 2 + (y - 0.5) ** 2) / 2 for x in ticks] for y in ticks]
    torch.testing.assert_close(energies, torch.tensor(expected))


def test_the_map_covers_the_span_of_the_data():
    energies = energy_map(constant(0.0, 0.0), (2.0, 6.0))
    assert energies.shape[0] == energies.shape[1] > 50
    assert (energies[0, 0].item(), energies[-1, -1].item()) == pytest.approx((4.0, 36.0))


def test_area_is_the_share_below_the_threshold():
    assert LOW_ENERGY == 0.01
    energies = torch.tensor([[0.0, 0.0099], [0.0101, 5.0], [0.001, 0.02]])
    assert low_energy_area(energies) == pytest.approx(3 / 6)


def test_the_low_energy_area_of_a_point_is_the_area_of_its_disc():
    area = low_energy_area(energy_map(constant(0.2, -0.3), (-1.0, 1.0), side=401))
    assert area == pytest.approx(torch.pi * 2 * 0.01 / 4, rel=0.02)  # E < .01 within radius sqrt(.02), of a square of 4
