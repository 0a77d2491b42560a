"""Settings of torch: threads, freed memory, determinism and precision; and its errors when memory runs out."""

from __future__ import annotations

import ctypes
import inspect
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Final, NamedTuple

import numpy as np
import torch
from torch import nn
from torch.optim import Optimizer

from satae.model.autoencoder import Affine
from satae.model.complement import widen
from satae.model.products import processor_has

DEFAULT_THREADS: Final = torch.get_num_threads()  # one a core, or OMP_NUM_THREADS
M_TRIM_THRESHOLD: Final = -1  # options of mallopt(3)
M_MMAP_THRESHOLD: Final = -3
MAX_REUSED_BLOCK: Final = 2**25  # bytes: the largest value that every glibc accepts
MAX_FREED_MEMORY: Final = 2**30  # bytes that stay with the process
MATRIX_UNITS: Final = "amx_bf16"
HALF_PRODUCTS: Final = (MATRIX_UNITS, "avx512_bf16", "bf16")  # the last one on Arm


def configure_torch(threads: int | None, at_most: int | None = None) -> int:
    """Set the number of threads, treat subnormal numbers as zero, and keep freed memory.

    Saturated units fill the averages of Adam with subnormal numbers, on which a CPU is slow: flushing them to zero made
    steps 1.3 to 1.5 times as fast, with the same losses to six digits.

    Args:
        threads: threads of torch on the CPU; None for one a core, or for OMP_NUM_THREADS if it is set.
        at_most: the most threads that None may stand for.

    Returns:
        The number of threads in force.
    """
    _skip_compiler_import()
    _keep_freed_memory()
    for kind in (np.float32, np.float64):
        np.finfo(kind)  # numpy before 2.4 measures a type at its first use, and warns if subnormal numbers are zero
    torch.set_flush_denormal(True)
    torch.set_num_threads(threads or min(DEFAULT_THREADS, at_most or DEFAULT_THREADS))
    return torch.get_num_threads()


def use_deterministic_algorithms(device: torch.device) -> None:
    """Make a GPU add numbers in the same order each time, where torch knows how; a CPU always does."""
    if device.type == "cuda":
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


@contextmanager
def restored_settings() -> Iterator[None]:
    """Give a program of the user's own its settings of torch back at the end of the context."""
    threads, products, convolutions = torch.get_num_threads(), torch.backends.cuda.matmul, torch.backends.cudnn
    flushes = (torch.tensor([1e-40]) * 1).item() == 0
    reduced = products.allow_tf32, convolutions.allow_tf32
    repeats = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    fills = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.set_flush_denormal(flushes)
        products.allow_tf32, convolutions.allow_tf32 = reduced
        torch.use_deterministic_algorithms(repeats[0], warn_only=repeats[1])
        torch.utils.deterministic.fill_uninitialized_memory = fills  # type: ignore[attr-defined]


def _keep_freed_memory() -> None:
    """Let glibc reuse freed memory instead of returning it to the system after each step.

    Each step of a convolutional network frees the memory that the next one takes. Without this setting the system
    clears these pages every time, which took up to a third of a step, depending on the machine.
    """
    if (mallopt := getattr(ctypes.CDLL(None), "mallopt", None)) is not None:
        mallopt(M_MMAP_THRESHOLD, MAX_REUSED_BLOCK)
        mallopt(M_TRIM_THRESHOLD, MAX_FREED_MEMORY)


def _skip_compiler_import() -> None:
    """Keep optimizers from importing torch's compiler: it costs 1.5 s, also in a run that compiles nothing.

    Torch wraps their methods so that they are never compiled, and the first call of a wrapper imports the compiler.
    Here the methods lose their wrappers, which is safe since satae compiles no optimizer.
    :func:`satae.training.optimizers.plain_step` does the same for the step.
    """
    for name, method in [*vars(Optimizer).items()]:
        if inspect.isfunction(method) and hasattr(method, "__wrapped__") and not name.startswith("_"):
            setattr(Optimizer, name, method.__wrapped__)


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error says that memory ran out, on the CPU or on a GPU."""
    # torch's CPU allocator has no error class of its own
    return isinstance(error, MemoryError | torch.cuda.OutOfMemoryError) or "can't allocate memory" in str(error)


class Precision(NamedTuple):
    """How torch computes products in a training step; weights, losses and metrics are float32 in all cases.

    One exception: TF32 is a setting for the whole process, so on a GPU the metrics of a run in ``medium`` use it.
    """

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
        if precision.widened and isinstance(part, Affine):
            part.register_forward_hook(lambda part, inputs, z: widen(z))
    return precision


def is_slow(name: str, device: torch.device) -> bool:
    """Whether a precision is slower than float32 here, because the processor has no products of bfloat16 numbers."""
    return PRECISIONS[name][device.type].half and device.type == "cpu" and not processor_has(*HALF_PRODUCTS)
