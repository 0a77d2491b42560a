"""The numbers that describe a model, each by hand."""

import math

import numpy
import pytest
import torch
from torch import Generator, nn

import satae
from satae.data.dataset import Dataset, Split
from satae.training import metrics as module
from satae.training.metric_titles import LOW_ENERGY
from satae.training.metrics import (
    PERTURBATION,
    code_sensitivity,
    energy,
    energy_map,
    low_energy_area,
    measure,
    psnr,
)


def dataset(x: torch.Tensor, span=(-1.0, 1.0)) -> Dataset:
    return Dataset("test", Split(x), Split(x), Split(x), span=span)


def model_of(act, weight, bias=None, decoder=None, offset=None) -> satae.DenoisingAutoencoder:
    """One hidden layer with the weights given."""
    weight = torch.tensor(weight)
    model = satae.mlp((weight.shape[1],), act, widths=[weight.shape[0]])
    with torch.no_grad():
        model.encoder.layer1.affine.weight.copy_(weight)
        model.encoder.layer1.affine.bias.copy_(torch.tensor(bias or [0.0] * weight.shape[0]))
        model.decoder.layer1.weight.copy_(torch.tensor(decoder) if decoder else torch.zeros(weight.t().shape))
        model.decoder.layer1.bias.copy_(torch.tensor(offset or [0.0] * weight.shape[1]))
    return model


def measured(model, data, act=None, *, noise=lambda x: x, alpha=0.0, reduction="mean", split=None):
    objective = satae.Objective(satae.Complement(act or nn.ReLU()), reduction)
    return measure(model, data, split or data.train, objective, noise, alpha, data.statistics)


@pytest.fixture(params=[1000, 3])
def _any_batch(request, monkeypatch):
    """All samples in one forward pass, and three at a time with one left over."""
    monkeypatch.setattr(module, "MAX_BATCH", request.param)


X = torch.tensor([[1.0, 2.0], [-1.0, 0.5], [0.5, -1.0], [3.0, 3.0], [-2.0, -2.0], [0.1, 0.2], [2.0, -3.0]])


@pytest.mark.usefixtures("_any_batch")
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_losses_by_numpy(reduction):
    encoder, decoder, data = [[1.0, 2.0], [-1.0, 0.5], [0.3, 0.3]], [[1.0, 0, 0.2], [0, 1.0, 0.1]], dataset(X)
    model = model_of(nn.ReLU, encoder, decoder=decoder)
    model.standardize_by(*data.statistics)
    values = measured(model, data, noise=lambda x: x + 0.25, alpha=0.7, reduction=reduction)
    x = X.numpy().astype(numpy.float64)
    mean, std = x.mean(0), x.std(0)
    z = ((x + 0.25 - mean) / std) @ numpy.array(encoder).T
    y = numpy.maximum(z, 0) @ numpy.array(decoder).T
    errors = y - (x - mean) / std  # of the clean input
    units, elements = (z.size, x.size) if reduction == "mean" else (len(x), len(x))
    reconstruction, saturation = (errors**2).sum() / elements / 2, numpy.maximum(z, 0).sum() / units
    assert values["reconstruction"] == pytest.approx(reconstruction, rel=1e-5)
    assert values["saturation"] == pytest.approx(saturation, rel=1e-5)
    assert values["total"] == pytest.approx(reconstruction + 0.7 * saturation, rel=1e-5)
    assert values["fvu"] == pytest.approx((errors**2).mean(), rel=1e-5)  # z-scores have variance 1
    assert values["psnr"] == pytest.approx(10 * math.log10(2**2 / ((errors * std) ** 2).mean()), rel=1e-5)


@pytest.mark.usefixtures("_any_batch")
@pytest.mark.parametrize("standardised", [False, True])
def test_fvu_of_predicting_the_mean_is_1_and_that_of_a_perfect_model_0(standardised):
    data = dataset(10 * X + torch.tensor([5.0, -40.0]), span=(-100.0, 100.0))
    mean, std = data.statistics
    constant = model_of(nn.ReLU, [[1.0, 0.0]], offset=[0.0, 0.0] if standardised else mean.tolist())
    perfect = model_of(nn.ReLU, [[1.0, 0], [0, 1.0]], [1e3, 1e3], [[1.0, 0], [0, 1.0]], [-1e3, -1e3])
    if standardised:
        constant.standardize_by(mean, std)
    assert measured(constant, data)["fvu"] == pytest.approx(1, rel=1e-5)
    assert measured(constant, data)["collapsed"] == 1
    assert measured(perfect, data)["fvu"] == pytest.approx(0, abs=1e-6)
    assert measured(perfect, data)["collapsed"] == 0


def test_fvu_of_another_split_counts_from_the_mean_of_the_training_split():
    data = dataset(X)
    shifted = Split(X + 1.0)
    mean, std = data.statistics
    constant = model_of(nn.ReLU, [[1.0, 0.0]], offset=mean.tolist())
    assert measured(constant, data, split=shifted)["fvu"] == pytest.approx(1, rel=1e-5)
    zero = model_of(nn.ReLU, [[1.0, 0.0]])
    moved = ((X + 1).numpy() / std.numpy()) ** 2
    against = ((X + 1 - mean).numpy() / std.numpy()) ** 2
    assert measured(zero, data, split=shifted)["fvu"] == pytest.approx(moved.mean() / against.mean(), rel=1e-5)


def test_a_split_without_variance_has_no_fvu_and_counts_as_collapsed():
    x = torch.tensor([[0.0], [1.0]])
    data = dataset(x)
    values = measured(model_of(nn.ReLU, [[1.0]]), data, split=Split(torch.full((3, 1), 0.5)))
    assert math.isnan(values["fvu"])
    assert values["collapsed"] == 1


def test_psnr_without_a_range_is_nan():
    assert math.isnan(psnr(1.0, 0.0))


def test_psnr_of_a_perfect_reconstruction_is_infinite():
    perfect = model_of(nn.ReLU, [[1.0, 0], [0, 1.0]], [8.0, 8.0], [[1.0, 0], [0, 1.0]], [-8.0, -8.0])
    values = measured(perfect, dataset(X.round()))
    assert (values["psnr"], values["reconstruction"]) == (math.inf, 0)


@pytest.mark.parametrize(("span", "peak"), [((-1.0, 1.0), 2), ((0.0, 1.0), 1), ((0.0, 255.0), 255)])
def test_psnr_takes_the_range_that_the_data_promise_as_its_peak(span, peak):
    model = model_of(nn.ReLU, [[1.0, 0.0]], offset=[0.5, 0.5])
    values = measured(model, dataset(torch.tensor([[0.6, 0.4], [0.4, 0.6]]), span))
    assert values["psnr"] == pytest.approx(10 * math.log10(peak**2 / 0.01), rel=1e-5)


# Units: z of unit 0 is x0, of unit 1 x1, of unit 2 always -9, of unit 3 x0 - 0.3
FOUR = ([[1.0, 0], [0, 1.0], [0, 0], [1.0, 0]], [0.0, 0.0, -9.0, -0.3])


@pytest.mark.usefixtures("_any_batch")
def test_saturated_dead_and_active_units_by_hand():
    values = measured(model_of(nn.ReLU, *FOUR), dataset(X))
    flat = [2, 3, 7, 3]  # samples with z <= 0
    assert values["saturated_fraction"] == pytest.approx(sum(flat) / 28)
    assert values["saturated_fraction/layer1"] == pytest.approx(sum(flat) / 28)
    assert values["dead_fraction"] == values["dead_fraction/layer1"] == 1 / 4
    assert values["active_code_units"] == pytest.approx((28 - sum(flat)) / 7)


@pytest.mark.usefixtures("_any_batch")
def test_a_unit_that_moves_between_two_flat_intervals_is_saturated_and_not_dead():
    x = torch.tensor([[2.0], [-2.0], [2.0], [3.0]])
    values = measured(model_of(nn.Hardtanh, [[1.0], [0.0]], [0.0, 5.0], [[2.0, 0.0]]), dataset(x), nn.Hardtanh())
    assert values["saturated_fraction"] == 1
    assert values["dead_fraction"] == 0.5
    assert values["active_code_units"] == 0
    assert values["collapsed"] == 0


@pytest.mark.usefixtures("_any_batch")
def test_layers_are_counted_apart_and_weighed_by_their_units():
    model = satae.mlp((2,), nn.ReLU, widths=[4, 2])
    with torch.no_grad():
        for p in model.parameters():
            p.zero_()
        model.encoder.layer1.affine.weight.copy_(torch.tensor(FOUR[0]))
        model.encoder.layer1.affine.bias.copy_(torch.tensor(FOUR[1]))
        model.encoder.layer2.affine.bias.copy_(torch.tensor([1.0, -1.0]))
    values = measured(model, dataset(X))
    assert values["saturated_fraction/layer1"] == pytest.approx(15 / 28)
    assert values["saturated_fraction/layer2"] == pytest.approx(1 / 2)
    assert values["saturated_fraction"] == pytest.approx((15 + 7) / (28 + 14))
    assert (values["dead_fraction/layer1"], values["dead_fraction/layer2"]) == (1 / 4, 1 / 2)
    assert values["dead_fraction"] == pytest.approx(2 / 6)
    assert values["active_code_units"] == 1


@pytest.mark.parametrize("dead", [[], [0], [0, 1]])
@pytest.mark.parametrize("layer", [1, 2])
def test_collapsed_where_all_units_of_one_layer_are_dead(layer, dead):
    model, x = satae.mlp((2,), nn.ReLU, widths=[2, 2]), 1 + torch.rand(20, 2)
    with torch.no_grad():
        for part in (model.encoder.layer1.affine, model.encoder.layer2.affine, model.decoder.layer1.affine):
            part.weight.copy_(torch.eye(2))
            part.bias.zero_()
        model.decoder.layer2.weight.copy_(torch.eye(2))
        model.decoder.layer2.bias.zero_()
        getattr(model.encoder, f"layer{layer}").affine.bias[dead] = -9.0
    values = measured(model, dataset(x))
    assert values[f"dead_fraction/layer{layer}"] == len(dead) / 2
    if len(dead) == 2:
        assert values["collapsed"] == 1
    elif not dead:
        assert (values["collapsed"], values["fvu"]) == (0, 0)


def test_positions_of_a_convolution_are_units():
    model = satae.conv((1, 4, 4), nn.ReLU, channels=[2], kernel=3, stride=2, code=3)
    x = torch.rand(5, 1, 4, 4)
    z1, z2 = model.trace(x).zs.values()
    values = measured(model, dataset(x))
    assert z1.shape == (5, 2, 2, 2)
    assert values["dead_fraction/layer1"] == pytest.approx((z1 <= 0).all(dim=0).float().mean().item())
    assert values["saturated_fraction"] == pytest.approx(((z1 <= 0).sum() + (z2 <= 0).sum()).item() / (5 * (8 + 3)))


def test_measuring_is_in_evaluation_mode_without_gradients():
    model = satae.mlp((2,), nn.ReLU, widths=[3], batch_norm=True)
    model.train()
    running = model.encoder.layer1.norm.running_mean.clone()
    measured(model, dataset(X))
    assert torch.equal(model.encoder.layer1.norm.running_mean, running)
    assert all(p.grad is None for p in model.parameters())


def test_each_sample_is_corrupted_once():
    seen = []
    measured(model_of(nn.ReLU, *FOUR), dataset(X), noise=lambda x: seen.append(x.clone()) or x)
    assert torch.equal(torch.cat(seen), X)


# Energy


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


# Sensitivity of the code


def linear_code(scale):
    """The code is ``scale`` times the input, where it is positive."""
    model = satae.mlp((3,), nn.ReLU, widths=[3])
    layer = model.layers()[0][1].affine
    with torch.no_grad():
        layer.weight.copy_(scale * torch.eye(3))
        layer.bias.fill_(100.0 * scale)
    return model


def test_a_linear_code_moves_by_the_noise_over_the_variance():
    x = torch.rand(20000, 3, generator=Generator().manual_seed(1))
    found = code_sensitivity(linear_code(1.0), x, 2.0, Generator().manual_seed(2))
    assert math.isclose(found, (2.0 * PERTURBATION) ** 2 * 12, rel_tol=0.05)  # the variance of U(0, 1) is 1/12


def test_shrinking_the_code_does_not_lower_the_sensitivity():
    x = torch.rand(100, 3, generator=Generator().manual_seed(1))
    large, small = (code_sensitivity(linear_code(s), x, 1.0, Generator().manual_seed(2)) for s in (1.0, 0.01))
    assert math.isclose(large, small, rel_tol=1e-2)


def test_a_code_that_never_varies_has_no_sensitivity():
    x = torch.rand(10, 3)
    assert math.isnan(code_sensitivity(linear_code(0.0), x, 1.0, Generator().manual_seed(2)))
