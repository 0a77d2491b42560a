"""Settings of torch that every run begins with."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Final

import torch
from torch.optim import Optimizer

DEFAULT_THREADS: Final = torch.get_num_threads()  # one a core, or OMP_NUM_THREADS


def prepare(threads: int | None) -> int:
    """Set the number of threads, and treat subnormal numbers as zero.

    Units that are saturated fill the averages of Adam with subnormal numbers, on which a CPU is slow: flushing them
    made steps 1.3 to 1.5 times as fast, with the same losses to six digits.

    Args:
        threads: of torch on the CPU; None for one a core, or OMP_NUM_THREADS where it is set.

    Returns:
        The number of threads in force.
    """
    leave_compiler_out()
    torch.set_flush_denormal(True)
    torch.set_num_threads(threads or DEFAULT_THREADS)
    return torch.get_num_threads()


def leave_compiler_out() -> None:
    """Keep optimisers from importing torch's compiler: a second and a half, for a run that compiles nothing.

    Their methods are marked as not to be compiled, and look up what marks them at the first call; here they find
    themselves. :func:`plain_step` does the same for the step.
    """
    for method in vars(Optimizer).values():
        if (plain := getattr(method, "__wrapped__", None)) is not None:
            setattr(plain, "__dynamo_disable", plain)


def plain_step(optimiser: Optimizer) -> Callable[[], None]:
    """The step of an optimiser without what is wrapped around it for compilers, profilers and hooks."""
    step = inspect.unwrap(type(optimiser).step)
    return torch.no_grad()(functools.partial(step, optimiser))
