"""What every step does beside the loss, without what torch wraps around it."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable

import torch
from torch.optim import Optimizer


def forget_gradients(optimiser: Optimizer) -> None:
    """What ``zero_grad`` does, without its profiler and its look for a compiler."""
    for group in optimiser.param_groups:
        for weights in group["params"]:
            weights.grad = None


def plain_step(optimiser: Optimizer) -> Callable[[], None]:
    """The step of an optimiser without what is wrapped around it for compilers, profilers and hooks."""
    step = inspect.unwrap(type(optimiser).step)
    return torch.no_grad()(functools.partial(step, optimiser))
