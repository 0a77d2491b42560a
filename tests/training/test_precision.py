"""What each precision does to a training step, and what it leaves as it is."""

import copy
from typing import get_args, get_type_hints

import pytest
import torch
from torch import nn
from torch.nn import functional

import satae
from satae.config import Config
from satae.training import torch_settings
from satae.training.gradients import batch_losses
from satae.training.torch_settings import PRECISIONS, Precision, set_precision

CPU = torch.device("cpu")
NAMES = get_args(get_type_hints(Config)["precision"])
MODELS = {
    "mlp": lambda: satae.mlp((1, 8, 8), nn.Tanh, widths=[16, 4]),
    "tied": lambda: satae.mlp((1, 8, 8), nn.Tanh, widths=[16, 4], tied=True),
    "conv": lambda: satae.conv((1, 8, 8), nn.Tanh, channels=[4], code=5, batch_norm=True),
}


@pytest.fixture(autouse=True)
def _flags():
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    yield
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


def losses_and_gradients(model, name, alpha=0.3):
    x = torch.rand(9, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    objective = satae.Objective(satae.Complement(nn.Tanh()))
    losses = batch_losses(objective, set_precision(model, name, CPU), CPU)(model, x, x + 0.1, alpha)
    return losses, torch.autograd.grad(losses.total, list(model.parameters()))


def test_each_precision_is_defined_for_each_type_of_device():
    assert [*PRECISIONS] == [*NAMES]
    devices = {*get_args(get_type_hints(Config)["device"])} - {"auto"}
    assert all({*kinds} == devices for kinds in PRECISIONS.values())


@pytest.mark.parametrize("kind", MODELS)
def test_fp32_is_the_objective_bit_for_bit(kind):
    model = MODELS[kind]()
    x = torch.rand(9, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    plain = satae.Objective(satae.Complement(nn.Tanh()))(copy.deepcopy(model), x, x + 0.1, 0.3)
    assert all(map(torch.equal, losses_and_gradients(model, "fp32")[0], plain))


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("name", ["medium", "bf16"])
def test_losses_and_gradients_are_float32_and_near_those_of_fp32(name, kind):
    model = MODELS[kind]()
    exact, exact_gradients = losses_and_gradients(copy.deepcopy(model), "fp32")
    found, gradients = losses_and_gradients(model, name)
    assert {value.dtype for value in (*found, *gradients)} == {torch.float32}
    torch.testing.assert_close(found, exact, rtol=0.02, atol=0)
    assert not torch.equal(found.total, exact.total)
    for ours, theirs in zip(gradients, exact_gradients, strict=True):
        assert (ours - theirs).norm() <= 0.05 * theirs.norm() + 1e-3  # that of a bias before a normalization is 0


def products(model, name, x):
    with set_precision(model, name, CPU).products(CPU):
        return model.trace(x).zs["layer1"]


def test_medium_multiplies_bfloat16_numbers_and_stores_float32():
    model, x = satae.mlp((6,), nn.Tanh, widths=[4]), torch.rand(5, 6)
    affine = model.encoder.layer1.affine
    halves = [value.detach().bfloat16() for value in (x, affine.weight, affine.bias)]
    z = products(model, "medium", x)
    assert torch.equal(z, functional.linear(*halves).float())
    assert z.dtype == torch.float32


@pytest.mark.parametrize("kind", MODELS)
def test_medium_stores_the_result_of_every_product_as_float32(kind):
    model, stored = MODELS[kind](), []
    chosen = set_precision(model, "medium", CPU)
    maps = [
        part
        for part in model.modules()
        if hasattr(part, "bias") and not isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d)
    ]
    for part in maps:
        part.register_forward_hook(lambda part, inputs, z: stored.append(z.dtype))
    with chosen.products(CPU):
        model.trace(torch.rand(9, 1, 8, 8))
    assert stored == [torch.float32] * len(maps)
    assert len(maps) == len(model.encoder) + len(model.decoder)


def test_bf16_stores_bfloat16():
    assert products(satae.mlp((6,), nn.Tanh, widths=[4]), "bf16", torch.rand(5, 6)).dtype == torch.bfloat16


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("name", NAMES)
def test_measuring_stays_float32(name, kind):
    model, x = MODELS[kind]().eval(), torch.rand(9, 1, 8, 8)
    before = model(x)
    set_precision(model, name, CPU)
    torch.testing.assert_close(model(x), before, rtol=1e-6, atol=1e-6)


def test_tensor_float_is_for_medium_on_an_nvidia_gpu_alone():
    for name, device, expected in [("medium", "cuda", True), ("fp32", "cuda", False), ("bf16", "cpu", False)]:
        model = satae.mlp((6,), nn.Tanh, widths=[4])
        set_precision(model, name, torch.device(device))
        assert torch.backends.cuda.matmul.allow_tf32 is expected
        assert torch.backends.cudnn.allow_tf32 is expected
    assert PRECISIONS["medium"]["cuda"] == Precision(tensor_float=True)  # its weights and results are float32


@pytest.mark.parametrize("supported", [True, False])
def test_a_processor_without_bfloat16_products_is_slow_with_them(supported, monkeypatch):
    monkeypatch.setattr(torch_settings, "processor_has", lambda *features: supported)
    assert [torch_settings.is_slow(name, CPU) for name in NAMES] == [False, not supported, not supported]
    assert not torch_settings.is_slow("bf16", torch.device("cuda"))


@pytest.mark.parametrize("there", [True, False])
def test_channels_are_innermost_where_there_are_matrix_units(there, monkeypatch):
    monkeypatch.setattr(torch_settings, "processor_has", lambda *features: there)
    for name, expected in [("fp32", False), ("bf16", there)]:
        model = satae.conv((1, 8, 8), nn.ReLU, channels=[4, 6], code=5)
        set_precision(model, name, CPU)
        weight = model.encoder.layer2.affine.weight
        assert weight.is_contiguous(memory_format=torch.channels_last) is expected
        assert model.encoder.layer3.affine.weight.is_contiguous()
