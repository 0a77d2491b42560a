"""How exactly the products of a training step are computed; weights, losses and measures are float32 in all cases.

But TF32 is a setting of torch for the whole process: on a GPU the measures of a run in ``medium`` are, too.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor, nn

from satae.model.complement import widen
from satae.model.layers import TiedDense

MATRIX_UNITS: Final = "amx_bf16"
HALF_PRODUCTS: Final = (MATRIX_UNITS, "avx512_bf16", "bf16")  # the last one on Arm
AFFINE: Final = (nn.Linear, TiedDense, nn.Conv2d, nn.ConvTranspose2d)


class Precision(NamedTuple):
    """What torch is told."""

    half: bool = False  # products of bfloat16 numbers, added up in float32 and rounded to bfloat16
    widened: bool = False  # and stored as float32, in which all else is computed
    tensor_float: bool = False  # products of float32 numbers cut to 19 bits, on an NVIDIA GPU

    def products(self, device: torch.device) -> AbstractContextManager[None]:
        """The context in which a forward pass is made; torch's backward pass follows it."""
        return torch.autocast(device.type, torch.bfloat16, enabled=self.half)


PRECISIONS: Final[dict[str, dict[str, Precision]]] = {  # by name, then by kind of device
    "fp32": dict.fromkeys(("cpu", "cuda", "mps"), Precision()),
    "medium": {
        "cpu": Precision(half=True, widened=True),
        "cuda": Precision(tensor_float=True),
        "mps": Precision(half=True, widened=True),
    },
    "bf16": dict.fromkeys(("cpu", "cuda", "mps"), Precision(half=True)),
}


def adopt(model: nn.Module, name: str, device: torch.device) -> Precision:
    """Put a model, and torch, into the state that a precision needs, for good.

    Args:
        model: changed in place; what it computes outside of :meth:`Precision.products` stays float32.
        name: one of ``PRECISIONS``.
        device: of the model.
    """
    precision = PRECISIONS[name][device.type]
    torch.backends.cuda.matmul.allow_tf32 = precision.tensor_float
    torch.backends.cudnn.allow_tf32 = precision.tensor_float
    if precision.half and _wants_channels_last(device):
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    for part in model.modules():
        if precision.widened and isinstance(part, AFFINE):
            part.register_forward_hook(_store)
    return precision


def _store(part: nn.Module, inputs: Any, z: Tensor) -> Tensor:
    return widen(z)


def is_slow(name: str, device: torch.device) -> bool:
    """Whether a precision is slower than float32, since the processor has no products of bfloat16 numbers."""
    return PRECISIONS[name][device.type].half and device.type == "cpu" and not processor_has(*HALF_PRODUCTS)


def processor_has(*features: str) -> bool:
    """Whether torch finds one of some features in this processor; a version of torch that cannot tell finds none."""
    known = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return any(known.get(feature) for feature in features)


def _wants_channels_last(device: torch.device) -> bool:
    """Whether convolutions are quicker with the channels innermost: without matrix units they are a tenth slower."""
    return device.type == "cuda" or (device.type == "cpu" and processor_has(MATRIX_UNITS))
