"""Putting back what an optimiser remembers of the steps before."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor
from torch.optim import Optimizer


def load_into(optimiser: Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Put back what an optimiser remembered; its settings stay as they are.

    Args:
        optimiser: a new one, over the same parameters.
        tensors: by ``"<number of the parameter>/<name>"``.

    Raises:
        ValueError: they are those of other parameters.
    """
    weights = [weight for group in optimiser.param_groups for weight in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for key, x in tensors.items():
        number, _, name = key.partition("/")
        weight = weights[int(number)] if number.isdecimal() and int(number) < len(weights) else None
        if weight is None or (x.dim() and x.shape != weight.shape):
            raise ValueError(f"optimiser/{key} belongs to no parameter")
        # laid out in memory as its parameter is
        state.setdefault(int(number), {})[name] = weight.detach().clone().copy_(x) if x.dim() else x
    if len({frozenset(values) for values in state.values()}) > 1:
        raise ValueError("the optimiser remembers other things of one parameter than of another")
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
