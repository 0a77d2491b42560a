"""Settings of torch that every run starts with, and the errors by which torch says that memory ran out."""

from __future__ import annotations

import ctypes
from typing import Final

import torch
from torch.optim import Optimizer

DEFAULT_THREADS: Final = torch.get_num_threads()  # one a core, or OMP_NUM_THREADS
M_TRIM_THRESHOLD: Final = -1  # options of mallopt(3)
M_MMAP_THRESHOLD: Final = -3
LARGEST_REUSED_BLOCK: Final = 2**25  # bytes: the largest value that every glibc accepts
MOST_FREED_MEMORY: Final = 2**30  # bytes that stay with the process


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
    torch.set_flush_denormal(True)
    torch.set_num_threads(threads or min(DEFAULT_THREADS, at_most or DEFAULT_THREADS))
    return torch.get_num_threads()


def use_deterministic_algorithms(device: torch.device) -> None:
    """Make a GPU add numbers in the same order each time, where torch knows how; a CPU always does."""
    if device.type == "cuda":
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def _keep_freed_memory() -> None:
    """Let glibc reuse freed memory instead of returning it to the system after each step.

    Each step of a convolutional network frees the memory that the next one takes. Without this setting the system
    clears these pages every time, which took up to a third of a step, depending on the machine.
    """
    if (mallopt := getattr(ctypes.CDLL(None), "mallopt", None)) is not None:
        mallopt(M_MMAP_THRESHOLD, LARGEST_REUSED_BLOCK)
        mallopt(M_TRIM_THRESHOLD, MOST_FREED_MEMORY)


def _skip_compiler_import() -> None:
    """Keep optimizers from importing torch's compiler: it costs 1.5 s, also in a run that compiles nothing.

    Their methods are marked as not to be compiled. At the first call each looks up, in the compiler, the function that
    marks it; here it finds itself. :func:`satae.training.optimizers.plain_step` does the same for the step.
    """
    for method in vars(Optimizer).values():
        if (plain := getattr(method, "__wrapped__", None)) is not None:
            setattr(plain, "__dynamo_disable", plain)


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error says that memory ran out, on the CPU or on a GPU."""
    # torch's CPU allocator has no error class of its own
    return isinstance(error, MemoryError | torch.cuda.OutOfMemoryError) or "can't allocate memory" in str(error)
