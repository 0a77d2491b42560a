"""The optimizers, and their state as tensors for a checkpoint."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Final

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, Optimizer

from satae.config.option_types import HalfOpenShare, NonNegative, Positive
from satae.config.registry import OPTIMIZERS

OPTIMIZER_PART: Final = "optimiser"  # its part of a checkpoint; the spelling of existing files


@OPTIMIZERS.register("adam")
def adam(parameters: Iterable[nn.Parameter], *, lr: Positive, weight_decay: NonNegative) -> Optimizer:
    """Adam, fused into one pass over the weights (Kingma & Ba 2015, arXiv 1412.6980)."""
    return Adam(parameters, lr=lr, weight_decay=weight_decay, fused=True)


@OPTIMIZERS.register("sgd")
def sgd(
    parameters: Iterable[nn.Parameter], *, lr: Positive, weight_decay: NonNegative, momentum: HalfOpenShare
) -> Optimizer:
    """Stochastic gradient descent, fused into one pass over the weights."""
    return SGD(parameters, lr=lr, weight_decay=weight_decay, momentum=momentum, fused=True)


def plain_step(optimizer: Optimizer) -> Callable[[], None]:
    """The step of an optimizer without the wrappers for compilers, profilers and hooks."""
    step = inspect.unwrap(type(optimizer).step)
    return torch.no_grad()(functools.partial(step, optimizer))


def state_tensors(optimizer: Optimizer) -> dict[str, Tensor]:
    """The state of an optimizer, by ``"<number of the parameter>/<name>"``."""
    state = optimizer.state_dict()["state"]
    return {f"{i}/{name}": x for i, values in state.items() for name, x in values.items() if x is not None}


def load_state(optimizer: Optimizer, tensors: Mapping[str, Tensor], *, after_a_step: bool) -> None:
    """Put a state back into an optimizer; its settings do not change.

    Everything is checked first: a fused step writes into the tensors that it is given, whatever their size.

    Args:
        optimizer: a new one, over the same parameters.
        tensors: by ``"<number of the parameter>/<name>"``.
        after_a_step: whether it had taken a step; before the first one it has no state.

    Raises:
        ValueError: the tensors are not the complete state for these parameters.
    """
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    example = _example_state(optimizer) if after_a_step else {}
    expected = {f"{number}/{name}": (number, name) for number in range(len(weights)) for name in example}
    if more := tensors.keys() - expected.keys():
        raise ValueError(f"{OPTIMIZER_PART}/{min(more)} belongs to no parameter")
    if missing := expected.keys() - tensors.keys():
        raise ValueError(f"{OPTIMIZER_PART}/{min(missing)} is missing: the optimizer's state is incomplete")
    state: dict[int, dict[str, Tensor]] = {}
    for key, (number, name) in expected.items():
        x, weight = tensors[key], weights[number]
        like = weight if example[name].dim() else example[name]
        if (x.shape, x.dtype) != (like.shape, like.dtype):
            raise ValueError(f"{OPTIMIZER_PART}/{key} is {type_and_shape(x)}, not {type_and_shape(like)}")
        # with the memory layout of its parameter
        state.setdefault(number, {})[name] = weight.detach().clone().copy_(x) if x.dim() else x
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def type_and_shape(x: Tensor) -> str:
    """The type and the shape of a tensor, in words."""
    return f"{str(x.dtype).removeprefix('torch.')} of shape {list(x.shape)}"


def _example_state(optimizer: Optimizer) -> dict[str, Tensor]:
    """The state that an optimizer of this class keeps for a weight, here of one number: shaped like it, or a scalar."""
    weight = nn.Parameter(torch.zeros(1))
    weight.grad = torch.zeros(1)
    known = inspect.signature(type(optimizer)).parameters  # AdamW has defaults that it does not take
    example = type(optimizer)([weight], **{name: x for name, x in optimizer.defaults.items() if name in known})
    example.step()
    return {name: x for name, x in example.state[weight].items() if x is not None}
