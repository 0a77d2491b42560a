"""The products of fully connected layers are the same by both libraries, and the choice follows the processor."""

import pytest
import torch
from torch import nn

import satae
from satae.model import products
from satae.model.autoencoder import TiedDense, use_library
from satae.model.products import ONEDNN, TORCH, library_for_processor, linear

needs_onednn = pytest.mark.skipif(not products.has_onednn(), reason="this torch has no oneDNN")


def values_and_gradients(library, h, weight, bias):
    """A product, its gradients, and the gradients of a function of these gradients."""
    tensors = [x.detach().requires_grad_() for x in (h, weight, bias) if x is not None]
    z = linear(*tensors, *[None] * (3 - len(tensors)), library)
    first = torch.autograd.grad(z.sin().sum(), tensors, create_graph=True)
    second = torch.autograd.grad(sum(g.square().sum() for g in first), tensors)
    return [z, *first, *second]


@needs_onednn
@pytest.mark.parametrize("biased", [True, False])
@pytest.mark.parametrize("strided", [True, False])
@pytest.mark.parametrize("sizes", [(128, 78, 51), (1, 5, 3), (7, 1, 1), (0, 4, 2), (3, 200, 1)])
def test_both_libraries_give_the_same_values_and_gradients_to_rounding(sizes, strided, biased):
    n, d, k = sizes
    draws = torch.Generator().manual_seed(1)
    h, weight = torch.randn(d, n, generator=draws).t(), torch.randn(d, k, generator=draws).t() / d**0.5
    h, weight = (h, weight) if strided else (h.contiguous(), weight.contiguous())
    bias = torch.randn(k, generator=draws) if biased else None
    found = values_and_gradients(ONEDNN, h, weight, bias)
    for one, other in zip(found, values_and_gradients(TORCH, h, weight, bias), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


@needs_onednn
@pytest.mark.parametrize("tied", [True, False])
def test_a_model_gives_the_same_gradients_to_rounding_by_both_libraries(tied):
    torch.manual_seed(1)
    model = satae.mlp((1, 6, 6), nn.Tanh, widths=[20, 8], tied=tied)
    x, found = torch.rand(30, 1, 6, 6), []
    for library in (TORCH, ONEDNN):
        use_library(model, library)
        model.zero_grad()
        model(x).square().mean().backward()
        found.append([weights.grad.clone() for weights in model.parameters()])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)
    assert {part.library for part in model.modules() if isinstance(part, nn.Linear | TiedDense)} == {ONEDNN}


@needs_onednn
def test_numbers_that_onednn_does_not_take_are_left_to_torch():
    h, weight = torch.rand(3, 4), torch.rand(2, 4)
    assert linear(h.double(), weight.double(), None, ONEDNN).dtype == torch.float64
    with torch.autocast("cpu", torch.bfloat16):
        assert linear(h, weight, None, ONEDNN).dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("processor", "wide", "has_operator", "library"),
    [
        ("AuthenticAMD", True, True, ONEDNN),
        ("AuthenticAMD", False, True, TORCH),
        ("AuthenticAMD", True, False, TORCH),
        ("GenuineIntel", True, True, TORCH),
        (None, True, True, TORCH),  # a system without /proc
    ],
)
def test_the_library_follows_the_processor(processor, wide, has_operator, library, tmp_path, monkeypatch):
    if processor:
        (tmp_path / "cpuinfo").write_text(f"processor\t: 0\nvendor_id\t: {processor}\n")
    monkeypatch.setattr(products, "PROCESSORS", tmp_path / "cpuinfo")
    monkeypatch.setattr(products, "has_onednn", lambda: has_operator)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_f": wide}, raising=False)
    library_for_processor.cache_clear()
    try:
        assert library_for_processor() == library
    finally:
        library_for_processor.cache_clear()
