"""Settings of torch that every run begins with, and whether memory was too small for one."""

from __future__ import annotations

import ctypes
from typing import Final

import torch
from torch.optim import Optimizer

DEFAULT_THREADS: Final = torch.get_num_threads()  # one a core, or OMP_NUM_THREADS
M_TRIM_THRESHOLD: Final = -1  # of mallopt(3)
M_MMAP_THRESHOLD: Final = -3
LARGEST: Final = 2**25  # bytes of a piece that is kept: the most that every glibc takes
KEPT: Final = 2**30  # bytes of freed memory


def prepare(threads: int | None, at_most: int | None = None) -> int:
    """Set the number of threads, treat subnormal numbers as zero, keep freed memory.

    Units that are saturated fill the averages of Adam with subnormal numbers, on which a CPU is slow: flushing them
    made steps 1.3 to 1.5 times as fast, with the same losses to six digits.

    Args:
        threads: of torch on the CPU; None for one a core, or OMP_NUM_THREADS where it is set.
        at_most: a limit to what None stands for.

    Returns:
        The number of threads in force.
    """
    leave_compiler_out()
    keep_memory()
    torch.set_flush_denormal(True)
    torch.set_num_threads(threads or min(DEFAULT_THREADS, at_most or DEFAULT_THREADS))
    return torch.get_num_threads()


def repeat_exactly(device: torch.device) -> None:
    """Have a GPU add up in the same order each time, where torch knows how; a CPU does."""
    if device.type == "cuda":
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def keep_memory() -> None:
    """Let glibc hand freed memory out again, instead of returning it to the system after each step.

    Each step of a convolutional network frees what the next one takes; without this the system clears these pages every
    time, which took up to a third of the step, by machine.
    """
    if (mallopt := getattr(ctypes.CDLL(None), "mallopt", None)) is not None:
        mallopt(M_MMAP_THRESHOLD, LARGEST)
        mallopt(M_TRIM_THRESHOLD, KEPT)


def leave_compiler_out() -> None:
    """Keep optimisers from importing torch's compiler: a second and a half, for a run that compiles nothing.

    Their methods are marked as not to be compiled, and look up what marks them at the first call; here they find
    themselves. :func:`satae.training.step.plain_step` does the same for the step.
    """
    for method in vars(Optimizer).values():
        if (plain := getattr(method, "__wrapped__", None)) is not None:
            setattr(plain, "__dynamo_disable", plain)


def is_out_of_memory(error: Exception) -> bool:
    """Whether what went wrong is that memory ran out, on the CPU or on a GPU."""
    kinds = (MemoryError, torch.cuda.OutOfMemoryError)
    return isinstance(error, kinds) or "can't allocate memory" in str(error)  # torch's allocator on the CPU has no kind
