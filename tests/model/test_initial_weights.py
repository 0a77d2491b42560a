"""Layer-sequential unit variance: every z on the scale of its activation."""

import copy

import pytest
import torch
from every_activation import ACTIVATIONS
from torch import nn

import satae
from satae.model.architectures import unit_variance

MAKERS = {
    "mlp": lambda act, **options: satae.mlp((1, 8, 8), act, widths=[24, 6], **options),
    "conv": lambda act, **options: satae.conv((1, 8, 8), act, channels=[4, 5], code=6, **options),
}


def calibration() -> torch.Tensor:
    return 0.3 + 2 * torch.rand(64, 1, 8, 8)


def hidden_zs(model: satae.DenoisingAutoencoder, x: torch.Tensor) -> dict[str, torch.Tensor]:
    """What goes into each activation, in encoder and decoder."""
    seen = {}
    acts = {name: part for name, part in model.named_modules() if name.endswith(".act")}
    hooks = [
        act.register_forward_pre_hook(lambda _, inputs, name=name: seen.__setitem__(name, inputs[0].detach().clone()))
        for name, act in acts.items()
    ]
    model(x)
    for hook in hooks:
        hook.remove()
    assert len(seen) == len(acts)
    return seen


@pytest.mark.parametrize("act", ACTIVATIONS)
@pytest.mark.parametrize("name", MAKERS)
def test_every_z_has_mean_0_and_variance_1(name, act):
    model, x = MAKERS[name](ACTIVATIONS[act]), calibration()
    model.standardize_by(x.mean(0), x.std().reshape(1, 1, 1))
    unit_variance(model, x)
    zs = hidden_zs(model, x)
    assert len(zs) == (3 if name == "mlp" else 5)
    for z in zs.values():
        assert z.mean().item() == pytest.approx(0, abs=1e-4)
        assert z.var(correction=0).item() == pytest.approx(1, abs=1e-3)


def test_a_tied_decoder_is_left_alone_but_its_encoder_is_not():
    model, x = MAKERS["mlp"](nn.Softshrink, tied=True), calibration()
    biases = {key: value.clone() for key, value in model.decoder.state_dict().items()}
    unit_variance(model, x)
    torch.testing.assert_close(dict(model.decoder.state_dict()), biases, rtol=0, atol=0)
    for name, z in hidden_zs(model, x).items():
        if name.startswith("encoder"):
            assert z.var(correction=0).item() == pytest.approx(1, abs=1e-3)
            assert z.mean().item() == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize("name", MAKERS)
def test_normalized_layers_are_left_alone(name):
    model = MAKERS[name](nn.ReLU, batch_norm=True)
    before = {key: value.clone() for key, value in hidden(model).items()}
    unit_variance(model, calibration())
    torch.testing.assert_close(hidden(model), before, rtol=0, atol=0)


def hidden(model):
    """The parameters of all layers but the last."""
    last = f"decoder.layer{len(model.decoder)}."
    return {key: value for key, value in model.named_parameters() if not key.startswith(last)}


def test_the_directions_of_the_weights_stay():
    model = MAKERS["mlp"](nn.ReLU)
    before = model.encoder.layer1.affine.weight.detach().clone()
    unit_variance(model, calibration())
    ratio = model.encoder.layer1.affine.weight / before
    torch.testing.assert_close(ratio, ratio.mean().expand_as(ratio))
    assert ratio.mean() > 0


def test_a_layer_that_is_constant_stays_finite():
    model = MAKERS["mlp"](nn.ReLU)
    unit_variance(model, torch.zeros(8, 1, 8, 8))
    assert all(torch.isfinite(p).all() for p in model.parameters())


def test_scaling_the_weights_leaves_no_gradient():
    model = MAKERS["conv"](nn.Tanh)
    unit_variance(model, calibration())
    assert all(p.requires_grad and p.grad is None and p.is_leaf for p in model.parameters())


def test_shrink_starts_outside_its_dead_zone():
    x = calibration()
    model, objective = MAKERS["conv"](ACTIVATIONS["shrink"]), satae.Complement(ACTIVATIONS["shrink"]())

    def dead_code() -> float:
        return objective.is_flat(model.trace(x).zs["layer3"]).float().mean().item()

    assert dead_code() > 0.9
    unit_variance(model, x)
    assert 0.2 < dead_code() < 0.6


def test_a_layer_whose_pre_activation_does_not_vary_is_left_alone():
    model = satae.mlp((3,), nn.ReLU, widths=[1])
    before = model.layers()[0][1].affine.weight.clone()
    unit_variance(model, torch.ones(5, 3))
    assert torch.equal(model.layers()[0][1].affine.weight, before)


def test_a_convolutional_decoder_begins_quietly_behind_relu_and_no_other():
    x = calibration()
    for name, act, share in (("conv", nn.ReLU, 0.1), ("conv", nn.Sigmoid, 1.0), ("mlp", nn.ReLU, 1.0)):
        model = MAKERS[name](act)
        before = copy.deepcopy(model.decoder[-1])
        unit_variance(model, x)
        last = model.decoder[-1]
        weights = [getattr(part, "affine", part).weight for part in (before, last)]
        torch.testing.assert_close(weights[1], share * weights[0])
        torch.testing.assert_close(*(getattr(part, "affine", part).bias for part in (before, last)))


@pytest.mark.parametrize("seed", range(3))
def test_a_relu_code_behind_a_large_convolution_is_not_silenced(seed):
    torch.manual_seed(seed)
    x = torch.nn.functional.interpolate(torch.rand(256, 1, 7, 7), scale_factor=4).sub(0.5).div(0.29)
    model = satae.conv((1, 28, 28), nn.ReLU, channels=[16, 32], code=32)
    unit_variance(model, x)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    for _ in range(12):
        loss = (model(x) - x).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert (model.encode(x) > 0).float().mean() > 0.1
