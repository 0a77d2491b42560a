"""The products of fully connected layers, by torch's own choice of library or by oneDNN, which torch ships as well.

On AMD processors with AVX-512, torch hands products of float32 matrices to MKL, which uses only AVX2 there. oneDNN uses
AVX-512 and is about twice as fast. On other processors torch's choice stays.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor
from torch.nn import functional

TORCH: Final = "torch"
ONEDNN: Final = "onednn"
LIBRARIES: Final = (TORCH, ONEDNN)
PROCESSORS: Final = Path("/proc/cpuinfo")


def has_onednn() -> bool:
    """Whether this version of torch has the operator of oneDNN that is used here."""
    return torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")


def processor_has(*features: str) -> bool:
    """Whether torch finds one of these features in the processor; a version of torch that cannot tell finds none."""
    known = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return any(known.get(feature) for feature in features)


@functools.cache
def library_for_processor() -> str:
    """The library for this processor, by its vendor and its features; never by a timing, so that runs can be repeated.

    A version of torch without the operator, or one that cannot tell the features, keeps its own choice.
    """
    try:
        is_amd = "AuthenticAMD" in PROCESSORS.read_text(errors="replace")
    except OSError:
        is_amd = False
    return ONEDNN if is_amd and processor_has("avx512_f") and has_onednn() else TORCH


def onednn_linear(h: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """H W^T + b by oneDNN, without a gradient: (N, D) and (K, D) to (N, K), float32 on the CPU, strided or not."""
    if not h.numel():  # oneDNN refuses empty matrices
        return functional.linear(h, weight, bias)
    product: Tensor = torch.ops.mkldnn._linear_pointwise(h, weight, bias, "none", [], "")
    return product


class _OnednnLinear(torch.autograd.Function):
    """``onednn_linear`` with a gradient, which can be differentiated again."""

    @staticmethod
    def forward(ctx: Any, h: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(h, weight)
        return onednn_linear(h, weight, bias)

    @staticmethod
    def backward(ctx: Any, *outputs: Tensor) -> tuple[Tensor | None, ...]:
        (g,), (h, weight) = outputs, ctx.saved_tensors
        of_h, of_weight, of_bias = ctx.needs_input_grad
        return (
            _differentiable(g, weight.t(), None) if of_h else None,
            _differentiable(g.t(), h.t(), None) if of_weight else None,
            g.sum(0) if of_bias else None,
        )


_differentiable: Callable[[Tensor, Tensor, Tensor | None], Tensor] = _OnednnLinear.apply


def linear(h: Tensor, weight: Tensor, bias: Tensor | None, library: str) -> Tensor:
    """H W^T + b: (N, D) and (K, D) to (N, K), by one of ``LIBRARIES``.

    oneDNN is used for float32 numbers on the CPU; all else, and what autocast computes, is left to torch.
    """
    if (
        library == ONEDNN
        and (h.dtype, h.device.type) == (torch.float32, "cpu")
        and not torch.is_autocast_enabled("cpu")
    ):
        return _differentiable(h, weight, bias)
    return functional.linear(h, weight, bias)
