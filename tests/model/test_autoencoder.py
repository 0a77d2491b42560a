"""Encoders and decoders: shapes, tied weights, normalization, and the ways to read one forward pass."""

import copy
import functools
import math

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

import satae
from satae.model.architectures import option_that_reads_all, unread_fraction

MAKERS = {
    "mlp": lambda **options: satae.mlp((1, 8, 8), nn.Tanh, widths=[12, 5], **options),
    "tied": lambda **options: satae.mlp((1, 8, 8), nn.Tanh, widths=[12, 5], tied=True, **options),
    "conv": lambda **options: satae.conv((1, 8, 8), nn.Tanh, channels=[3, 4], code=5, **options),
}
CASES = [(name, batch_norm) for name in MAKERS for batch_norm in (False, True)]


def images(count: int = 6) -> torch.Tensor:
    return torch.rand(count, 1, 8, 8)


def numbers(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


# Shapes


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("widths", [[4], [7, 3], [2, 9, 3]])
@pytest.mark.parametrize("shape", [(1,), (6,), (1, 8, 8), (3, 9, 7)])
def test_mlp_shapes(shape, widths, tied):
    model = satae.mlp(shape, nn.ReLU, widths=widths, tied=tied)
    x = torch.rand(5, *shape)
    trace = model.trace(x)
    assert model(x).shape == model.unstandardize(trace.reconstruction).shape == x.shape
    assert model.encode(x).shape == trace.code.shape == (5, widths[-1])
    assert [tuple(z.shape) for z in trace.zs.values()] == [(5, width) for width in widths]
    assert [name for name, _ in model.layers()] == list(trace.zs) == [f"layer{i + 1}" for i in range(len(widths))]


@given(
    shape=st.tuples(st.integers(1, 3), st.integers(1, 17), st.integers(1, 17)),
    channels=st.lists(st.integers(1, 3), min_size=1, max_size=3),
    kernel=st.integers(1, 5),
    stride=st.integers(1, 4),
    batch_norm=st.booleans(),
)
def test_conv_gives_back_the_shape_of_its_input_or_says_why_not(shape, channels, kernel, stride, batch_norm):
    sides, fits = [shape[1:]], True
    for _ in channels:
        fits = fits and kernel <= min(sides[-1])
        sides.append(tuple((side + 2 * ((kernel - 1) // 2) - kernel) // stride + 1 for side in sides[-1]))
    options = {"channels": channels, "kernel": kernel, "stride": stride, "code": 4, "batch_norm": batch_norm}
    if not fits:
        with pytest.raises(ValueError, match=rf"kernel={kernel} is larger than the .* use "):
            satae.conv(shape, nn.ReLU, **options)
        return
    model, x = satae.conv(shape, nn.ReLU, **options), torch.rand(2, *shape)
    trace = model.trace(x)
    assert model.unstandardize(trace.reconstruction).shape == x.shape
    assert trace.code.shape == (2, 4)
    expected = [(2, depth, *side) for depth, side in zip(channels, sides[1:], strict=True)]
    assert [tuple(z.shape) for z in trace.zs.values()] == [*expected, (2, 4)]


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 9, 7)])
@pytest.mark.parametrize(("kernel", "stride"), [(3, 2), (2, 2), (4, 3), (3, 1)])
def test_the_remedy_of_a_kernel_that_is_too_large_works(shape, kernel, stride):
    channels = [2] * 12
    try:
        satae.conv(shape, nn.ReLU, channels=channels, kernel=kernel, stride=stride, code=3)
    except ValueError as error:
        most = int(str(error).split("use at most ")[1].split()[0])
        satae.conv(shape, nn.ReLU, channels=channels[:most], kernel=kernel, stride=stride, code=3)
        with pytest.raises(ValueError, match="kernel="):
            satae.conv(shape, nn.ReLU, channels=channels[: most + 1], kernel=kernel, stride=stride, code=3)
    else:
        assert stride == 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: satae.mlp((4,), nn.ReLU, widths=[]), r"widths=\[\]: .*\[64\]"),
        (lambda: satae.conv((2,), nn.ReLU), r"needs images.*\(2,\); choose mlp"),
        (lambda: satae.conv((8, 8), nn.ReLU), "choose mlp"),
        (lambda: satae.conv((1, 8, 8), nn.ReLU, channels=[]), r"channels=\[\]: .*\[32\]"),
        (lambda: satae.conv((1, 8, 8), nn.ReLU, kernel=9), r"9 is larger than the 8x8.*kernel=8 or less"),
        (lambda: MAKERS["tied"]().normalize_decoder(), "a tied decoder.*tied=False"),
    ],
)
def test_refusals_name_the_remedy(make, message):
    with pytest.raises(ValueError, match=message):
        make()


# One forward pass


@pytest.mark.parametrize(("name", "batch_norm"), CASES)
def test_trace_encode_decode_and_forward_agree(name, batch_norm):
    model, x = MAKERS[name](batch_norm=batch_norm), images()
    model(x)  # moves the running statistics
    model.eval()
    trace = model.trace(x)
    assert torch.equal(model.unstandardize(trace.reconstruction), model(x))
    assert torch.equal(trace.code, model.encode(x))
    assert torch.equal(model.unstandardize(trace.reconstruction), model.decode(trace.code))
    assert torch.equal(trace.code, torch.tanh(list(trace.zs.values())[-1]))


def test_mlp_by_hand():
    model, x = satae.mlp((6,), nn.Tanh, widths=[4, 3]), torch.randn(5, 6)
    model.standardize_by(torch.full((6,), 0.25), torch.full((6,), 2.0))
    parameters = dict(model.named_parameters())

    def affine(name, h):
        return functional.linear(h, parameters[f"{name}.weight"], parameters[f"{name}.bias"])

    z1 = affine("encoder.layer1.affine", (x - 0.25) / 2)
    z2 = affine("encoder.layer2.affine", torch.tanh(z1))
    h = torch.tanh(affine("decoder.layer1.affine", torch.tanh(z2)))
    trace = model.trace(x)
    torch.testing.assert_close(trace.zs, {"layer1": z1, "layer2": z2})
    torch.testing.assert_close(
        model.unstandardize(trace.reconstruction), affine("decoder.layer2", h) * 2 + 0.25
    )  # the output is linear


def test_conv_by_hand():
    model, x = satae.conv((2, 6, 6), nn.ReLU, channels=[3], kernel=3, stride=2, code=4), torch.randn(5, 2, 6, 6)
    p = dict(model.named_parameters())
    z1 = functional.conv2d(x, p["encoder.layer1.affine.weight"], p["encoder.layer1.affine.bias"], 2, 1)
    flat = z1.relu().reshape(5, -1)
    z2 = functional.linear(flat, p["encoder.layer2.affine.weight"], p["encoder.layer2.affine.bias"])
    h = functional.linear(z2.relu(), p["decoder.layer1.affine.weight"], p["decoder.layer1.affine.bias"]).relu()
    y = functional.conv_transpose2d(
        h.reshape(5, 3, 3, 3), p["decoder.layer2.weight"], p["decoder.layer2.bias"], 2, 1, output_padding=1
    )
    trace = model.trace(x)
    torch.testing.assert_close(trace.zs, {"layer1": z1, "layer2": z2})
    torch.testing.assert_close(model.unstandardize(trace.reconstruction), y)


@pytest.mark.parametrize("name", MAKERS)
def test_standardisation_makes_the_units_of_the_data_irrelevant(name):
    model, x = MAKERS[name](), images()
    scaled = copy.deepcopy(model)
    scaled.standardize_by(torch.full((1, 8, 8), -3.0), torch.full((1, 1, 1), 50.0))
    ours, theirs = model.trace(x), scaled.trace(50 * x - 3)
    torch.testing.assert_close(
        scaled.unstandardize(theirs.reconstruction),
        50 * model.unstandardize(ours.reconstruction) - 3,
        rtol=1e-4,
        atol=1e-3,
    )
    torch.testing.assert_close(theirs.zs, ours.zs, rtol=1e-4, atol=1e-5)


def test_standardisation_is_saved_with_the_weights():
    model = MAKERS["mlp"]()
    model.standardize_by(torch.rand(1, 8, 8), torch.rand(1, 1, 1))
    assert {"mean", "std"} <= set(model.state_dict())
    assert not {"mean", "std"} & {name for name, _ in model.named_parameters()}


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize(("name", "batch_norm"), CASES)
def test_the_regularizer_attached_to_the_encoder_agrees_with_the_objective(name, batch_norm, reduction):
    model, x = MAKERS[name](batch_norm=batch_norm), images()
    losses = satae.Objective(satae.Complement(nn.Tanh()), reduction)(model, x, x, alpha=0.1)
    with satae.saturating(model.encoder, reduction=reduction) as saturation:
        model(x)
        assert list(saturation.by_layer()) == [f"{layer}.act" for layer in model.trace(x).zs]
        torch.testing.assert_close(saturation.total(), losses.saturation)
    assert losses.saturation > 0


@pytest.mark.parametrize(("name", "batch_norm"), CASES)
def test_every_weight_learns(name, batch_norm):
    model, x = MAKERS[name](batch_norm=batch_norm), images()
    model(x).square().mean().backward()
    without = {key for key, p in model.named_parameters() if p.grad is None or not p.grad.abs().max() > 0}
    shifted_away = {key for key in without if batch_norm and key.endswith("affine.bias")}
    assert without == shifted_away


def test_batch_norm_normalizes_each_hidden_layer_and_not_the_output():
    def norms(model):
        return sum(isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d) for part in model.modules())

    assert norms(MAKERS["mlp"](batch_norm=True)) == 3
    assert norms(MAKERS["conv"](batch_norm=True)) == 5
    assert norms(MAKERS["conv"]()) == 0
    for name in ("mlp", "conv"):
        for z in MAKERS[name](batch_norm=True).trace(images(64)).zs.values():
            across = z.transpose(0, 1).flatten(1)
            torch.testing.assert_close(across.mean(dim=1), torch.zeros(len(across)), rtol=0, atol=1e-5)
            torch.testing.assert_close(across.var(dim=1, correction=0), torch.ones(len(across)), rtol=0, atol=0.05)


# Tied weights


@pytest.mark.parametrize("widths", [[4], [7, 3]])
def test_tied_weights_are_counted_once(widths):
    sizes = [6, *widths]
    weights = sum(sizes[i] * sizes[i + 1] for i in range(len(widths)))
    assert numbers(satae.mlp((6,), nn.ReLU, widths=widths, tied=True)) == weights + sum(sizes) - 6 + sum(sizes[:-1])
    assert numbers(satae.mlp((6,), nn.ReLU, widths=widths)) == 2 * weights + sum(sizes) - 6 + sum(sizes[:-1])


def is_tied(model: satae.DenoisingAutoencoder) -> bool:
    """Whether a new encoder weight is the decoder's too."""
    weight, code = model.encoder.layer1.affine.weight, torch.randn(3, 4)
    with torch.no_grad():
        weight.copy_(torch.randn(4, 6))
        model.decoder.layer1.bias.copy_(torch.arange(6.0))
    return torch.allclose(model.decode(code), code @ weight + torch.arange(6.0), atol=1e-5)


def test_tied_weights_are_really_shared():
    assert is_tied(satae.mlp((6,), nn.ReLU, widths=[4], tied=True))
    assert not is_tied(satae.mlp((6,), nn.ReLU, widths=[4]))


@pytest.mark.parametrize("change", [copy.deepcopy, lambda m: m.to("cpu", torch.float32), lambda m: m.double().float()])
def test_tied_weights_stay_shared(change):
    model = satae.mlp((6,), nn.ReLU, widths=[4], tied=True)
    changed = change(model)
    assert is_tied(changed)
    changed.load_state_dict(model.state_dict())
    assert is_tied(changed)


def test_a_copy_of_a_tied_model_is_independent():
    model = satae.mlp((6,), nn.ReLU, widths=[4], tied=True)
    duplicate, code = copy.deepcopy(model), torch.randn(3, 4)
    before = duplicate.decode(code)
    with torch.no_grad():
        model.encoder.layer1.affine.weight.zero_()
    assert torch.equal(duplicate.decode(code), before)


def test_the_gradient_of_a_tied_weight_has_both_parts():
    model, x = satae.mlp((6,), nn.Tanh, widths=[4], tied=True).double(), torch.randn(5, 6, dtype=torch.float64)
    weight, upstream = model.encoder.layer1.affine.weight, torch.randn(5, 6, dtype=torch.float64)
    code = torch.tanh(x @ weight.t() + model.encoder.layer1.affine.bias).detach()
    (model(x) * upstream).sum().backward()
    as_decoder = code.t() @ upstream
    as_encoder = ((upstream @ weight.t()) * (1 - code.square())).t() @ x
    torch.testing.assert_close(weight.grad, as_decoder + as_encoder)


# Unit-norm decoder


def unit_lengths(model: satae.DenoisingAutoencoder) -> list[torch.Tensor]:
    """For each map of the decoder, what length the weights that leave each of its inputs have."""
    linear = [m.weight.norm(dim=0) for m in model.decoder.modules() if isinstance(m, nn.Linear)]
    return linear + [
        m.weight.square().sum(dim=(1, 2, 3)).sqrt()
        for m in model.decoder.modules()
        if isinstance(m, nn.ConvTranspose2d)
    ]


@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize(("name", "maps"), [("mlp", 2), ("conv", 3)])
def test_normalize_decoder_gives_unit_columns(name, maps, batch_norm):
    model = MAKERS[name](batch_norm=batch_norm)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    model.normalize_decoder()
    lengths = unit_lengths(model)
    assert len(lengths) == maps
    for length in lengths:
        torch.testing.assert_close(length, torch.ones_like(length))
    changed = {key for key, value in model.state_dict().items() if not torch.equal(value, before[key])}
    assert len(changed) == maps
    assert all(key.startswith("decoder") and key.endswith("weight") for key in changed)


def test_a_code_unit_moves_the_output_by_one_and_in_the_same_direction():
    model = satae.mlp((6,), nn.ReLU, widths=[4])
    before = model.decode(torch.eye(4)) - model.decode(torch.zeros(1, 4))
    model.normalize_decoder()
    after = model.decode(torch.eye(4)) - model.decode(torch.zeros(1, 4))
    torch.testing.assert_close(after, before / before.norm(dim=1, keepdim=True))


def test_normalizing_twice_changes_nothing():
    model = MAKERS["conv"]()
    model.normalize_decoder()
    once = copy.deepcopy(model.state_dict())
    model.normalize_decoder()
    torch.testing.assert_close(model.state_dict(), once)


def test_normalizing_a_unit_without_weights_leaves_it_at_zero():
    model = satae.mlp((6,), nn.ReLU, widths=[4])
    with torch.no_grad():
        model.decoder.layer1.weight[:, 2] = 0
    model.normalize_decoder()
    assert torch.equal(model.decoder.layer1.weight.norm(dim=0).round(decimals=5), torch.tensor([1.0, 1.0, 0.0, 1.0]))


def test_normalizing_works_in_any_memory_format():
    model = MAKERS["conv"]().to(memory_format=torch.channels_last)
    model.normalize_decoder()
    for length in unit_lengths(model):
        torch.testing.assert_close(length, torch.ones_like(length))


# Weight norm


def test_weight_norm_is_the_root_mean_square_length_of_a_unit():
    for model in (MAKERS["mlp"](), MAKERS["conv"]()):
        for _, layer in model.layers():
            units = layer.affine.weight.detach().numpy().reshape(len(layer.affine.weight), -1)
            expected = math.sqrt(sum(float((unit**2).sum()) for unit in units) / len(units))
            assert layer.weight_norm().item() == pytest.approx(expected, rel=1e-5)


@given(factor=st.floats(0.1, 10))
def test_rescaling_the_layers_of_a_relu_network_keeps_the_reconstruction_and_divides_the_penalty(factor):
    torch.manual_seed(0)
    model, x = satae.mlp((6,), nn.ReLU, widths=[4]), torch.randn(5, 6)
    objective = satae.Objective(satae.Complement(nn.ReLU()))
    before = objective(model, x, x, alpha=1.0)
    assume(before.saturation > 0)
    with torch.no_grad():
        model.encoder.layer1.affine.weight.div_(factor)
        model.encoder.layer1.affine.bias.div_(factor)
        model.decoder.layer1.weight.mul_(factor)
    after = objective(model, x, x, alpha=1.0)
    torch.testing.assert_close(after.reconstruction, before.reconstruction, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(after.saturation, before.saturation / factor, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("act", [nn.ELU, nn.SiLU, nn.SELU])
def test_an_inplace_activation_leaves_the_pre_activations_as_they_were(act):
    models = [satae.mlp((6,), functools.partial(act, inplace=inplace), widths=[5, 3]) for inplace in (False, True)]
    models[1].load_state_dict(models[0].state_dict())
    x = torch.randn(4, 6)
    plain, inplace = (model.trace(x) for model in models)
    for name, z in plain.zs.items():
        assert torch.equal(inplace.zs[name], z)
    assert torch.equal(inplace.reconstruction, plain.reconstruction)


@pytest.mark.parametrize("side", [(28, 28), (9, 14), (32, 20)])
@pytest.mark.parametrize("channels", [[2], [2, 3], [2, 2, 2]])
def test_the_fraction_of_unread_pixels_is_that_of_the_gradient(side, channels):
    found = set()
    for kernel in range(1, 8):
        for stride in range(1, 5):
            try:
                unread = unread_fraction((1, *side), channels, kernel, stride)
            except ValueError:
                continue
            x = torch.zeros(1, 1, *side, dtype=torch.float64, requires_grad=True)
            y = x
            for _ in channels:
                y = nn.functional.conv2d(y, torch.ones(1, 1, kernel, kernel).double(), None, stride, (kernel - 1) // 2)
            (gradient,) = torch.autograd.grad(y.sum(), x)
            assert unread == pytest.approx((gradient == 0).double().mean().item())
            found.add(unread > 0)
            if unread:
                name, _, value = option_that_reads_all((1, *side), channels, kernel, stride).partition("=")
                changed = {"kernel": kernel, "stride": stride} | {name: int(value)}
                assert unread_fraction((1, *side), channels, **changed) == 0
    assert found == {True, False}
