"""The precision of the products of a training step; weights, losses and metrics are float32 in all cases.

One exception: TF32 is a setting of torch for the whole process, so on a GPU the metrics of a run in ``medium`` use it.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor, nn

from satae.model.autoencoder import TiedDense
from satae.model.complement import widen

MATRIX_UNITS: Final = "amx_bf16"
HALF_PRODUCTS: Final = (MATRIX_UNITS, "avx512_bf16", "bf16")  # the last one on Arm
AFFINE: Final = (nn.Linear, TiedDense, nn.Conv2d, nn.ConvTranspose2d)


class Precision(NamedTuple):
    """How torch computes products."""

    half: bool = False  # products of bfloat16 numbers, added up in float32 and rounded to bfloat16
    widened: bool = False  # the results are stored as float32, in which everything else is computed
    tensor_float: bool = False  # products of float32 numbers cut to 19 bits, on an NVIDIA GPU

    def products(self, device: torch.device) -> AbstractContextManager[None]:
        """The context for a forward pass; torch's backward pass follows its choice."""
        return torch.autocast(device.type, torch.bfloat16, enabled=self.half)


PRECISIONS: Final[dict[str, dict[str, Precision]]] = {  # by name, then by type of device
    "fp32": dict.fromkeys(("cpu", "cuda", "mps"), Precision()),
    "medium": {
        "cpu": Precision(half=True, widened=True),
        "cuda": Precision(tensor_float=True),
        "mps": Precision(half=True, widened=True),
    },
    "bf16": dict.fromkeys(("cpu", "cuda", "mps"), Precision(half=True)),
}


def set_precision(model: nn.Module, name: str, device: torch.device) -> Precision:
    """Prepare a model, and torch, for a precision; this cannot be undone.

    Args:
        model: changed in place; what it computes outside of :meth:`Precision.products` stays float32.
        name: one of ``PRECISIONS``.
        device: the device of the model.
    """
    precision = PRECISIONS[name][device.type]
    torch.backends.cuda.matmul.allow_tf32 = precision.tensor_float
    torch.backends.cudnn.allow_tf32 = precision.tensor_float
    if precision.half and (device.type == "cuda" or (device.type == "cpu" and processor_has(MATRIX_UNITS))):
        # convolutions are faster with the channels innermost; on a CPU without matrix units they are a tenth slower
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    for part in model.modules():
        if precision.widened and isinstance(part, AFFINE):
            part.register_forward_hook(_widen_output)
    return precision


def _widen_output(part: nn.Module, inputs: Any, z: Tensor) -> Tensor:
    return widen(z)


def is_slow(name: str, device: torch.device) -> bool:
    """Whether a precision is slower than float32 here, because the processor has no products of bfloat16 numbers."""
    return PRECISIONS[name][device.type].half and device.type == "cpu" and not processor_has(*HALF_PRODUCTS)


def processor_has(*features: str) -> bool:
    """Whether torch finds one of these features in the processor; a version of torch that cannot tell finds none."""
    known = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return any(known.get(feature) for feature in features)
