"""What an optimiser remembers of the steps before, taken out and put back."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.optim import Optimizer


def tensors_of(optimiser: Optimizer) -> dict[str, Tensor]:
    """What an optimiser remembers, by ``"<number of the parameter>/<name>"``."""
    remembered = optimiser.state_dict()["state"]
    return {f"{i}/{name}": x for i, values in remembered.items() for name, x in values.items() if x is not None}


def load_into(optimiser: Optimizer, tensors: Mapping[str, Tensor], *, begun: bool) -> None:
    """Put back what an optimiser remembered; its settings stay as they are.

    Everything is looked at first: a fused step writes into what it is given, whatever its size.

    Args:
        optimiser: a new one, over the same parameters.
        tensors: by ``"<number of the parameter>/<name>"``.
        begun: whether it had made a step; before, it remembers nothing.

    Raises:
        ValueError: they are not just what it would remember of these parameters.
    """
    weights = [weight for group in optimiser.param_groups for weight in group["params"]]
    remembered = _after_a_step(optimiser) if begun else {}
    expected = {f"{number}/{name}": (number, name) for number in range(len(weights)) for name in remembered}
    if more := tensors.keys() - expected.keys():
        raise ValueError(f"optimiser/{min(more)} belongs to no parameter")
    if missing := expected.keys() - tensors.keys():
        raise ValueError(f"optimiser/{min(missing)} is missing: it lacks what the optimiser remembers")
    state: dict[int, dict[str, Tensor]] = {}
    for key, (number, name) in expected.items():
        x, weight = tensors[key], weights[number]
        like = weight if remembered[name].dim() else remembered[name]
        if (x.shape, x.dtype) != (like.shape, like.dtype):
            raise ValueError(f"optimiser/{key} is {kind(x)}, not {kind(like)}")
        # laid out in memory as its parameter is
        state.setdefault(number, {})[name] = weight.detach().clone().copy_(x) if x.dim() else x
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})


def kind(x: Tensor) -> str:
    """Type and shape, in words."""
    return f"{str(x.dtype).removeprefix('torch.')} of shape {list(x.shape)}"


def _after_a_step(optimiser: Optimizer) -> dict[str, Tensor]:
    """What one of this kind remembers of a weight, here of a single number: shaped like it, or without a shape."""
    weight = nn.Parameter(torch.zeros(1))
    weight.grad = torch.zeros(1)
    alike = type(optimiser)([weight], **optimiser.defaults)
    alike.step()
    return {name: x for name, x in alike.state[weight].items() if x is not None}
