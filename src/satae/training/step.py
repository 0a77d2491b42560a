"""The step of an optimiser."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable

import torch
from torch.optim import Optimizer


def plain_step(optimiser: Optimizer) -> Callable[[], None]:
    """The step of an optimiser without what is wrapped around it for compilers, profilers and hooks."""
    step = inspect.unwrap(type(optimiser).step)
    return torch.no_grad()(functools.partial(step, optimiser))
