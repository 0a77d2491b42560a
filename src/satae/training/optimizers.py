"""The optimizers, the schedule of their learning rate, and their state as tensors for a checkpoint."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Literal

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Muon, Optimizer

from satae.config.option_types import HalfOpenShare, NonNegative, OpenShare, Positive
from satae.config.registry import OPTIMIZERS, Choice

OPTIMIZER_PART: Final = "optimiser"  # its part of a checkpoint; the spelling of existing files

MakeOptimizer = Callable[..., Optimizer]


def optimizer(name: str) -> Callable[[MakeOptimizer], MakeOptimizer]:
    """Register an optimizer with its own options and those of all, which the training loop obeys, not the optimizer."""

    def register(make: MakeOptimizer) -> MakeOptimizer:
        def build(
            parameters: Iterable[nn.Parameter],
            *,
            schedule: Literal["constant", "cosine", "linear", "step"] = "constant",
            warmup: HalfOpenShare = 0.0,
            step_at: list[OpenShare] = [0.5, 0.75],  # noqa: B006  # nothing changes it
            step_factor: OpenShare = 0.1,
            clip: Positive | None = None,
            **own: Any,
        ) -> Optimizer:
            return make(parameters, **own)

        *shared, _ = inspect.signature(build, eval_str=True).parameters.values()
        taken = [*inspect.signature(make, eval_str=True).parameters.values(), *shared[1:]]
        build.__signature__ = inspect.Signature(taken)  # type: ignore[attr-defined]
        return OPTIMIZERS.register(name)(functools.update_wrapper(build, make))

    return register


@optimizer("adam")
def adam(parameters: Iterable[nn.Parameter], *, lr: Positive, weight_decay: NonNegative) -> Optimizer:
    """Adam, fused into one pass over the weights (Kingma & Ba 2015, arXiv 1412.6980)."""
    return Adam(parameters, lr=lr, weight_decay=weight_decay, fused=True)


@optimizer("adamw")
def adamw(parameters: Iterable[nn.Parameter], *, lr: Positive, weight_decay: NonNegative) -> Optimizer:
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019, arXiv 1711.05101)."""
    return AdamW(parameters, lr=lr, weight_decay=weight_decay, fused=True)


@optimizer("muon")
def muon(
    parameters: Iterable[nn.Parameter], *, lr: Positive, weight_decay: NonNegative, momentum: HalfOpenShare
) -> Optimizer:
    """Muon for matrices, AdamW for biases and kernels; Muon's step is scaled to the size of AdamW's (2502.16982)."""
    weights = [*parameters]
    matrices, others = [w for w in weights if w.dim() == 2], [w for w in weights if w.dim() != 2]
    parts: list[Optimizer] = []
    if matrices:
        scaled = {"momentum": momentum, "adjust_lr_fn": "match_rms_adamw"}
        parts.append(Muon(matrices, lr=lr, weight_decay=weight_decay, **scaled))  # type: ignore[arg-type]
    if others:
        parts.append(AdamW(others, lr=lr, weight_decay=weight_decay, fused=True))
    return Several(parts)


@optimizer("sgd")
def sgd(
    parameters: Iterable[nn.Parameter], *, lr: Positive, weight_decay: NonNegative, momentum: HalfOpenShare
) -> Optimizer:
    """Stochastic gradient descent, fused into one pass over the weights."""
    return SGD(parameters, lr=lr, weight_decay=weight_decay, momentum=momentum, fused=True)


@optimizer("signum")
def signum(
    parameters: Iterable[nn.Parameter], *, lr: Positive, weight_decay: NonNegative, momentum: HalfOpenShare
) -> Optimizer:
    """The sign of the momentum (Bernstein et al. 2018, arXiv 1802.04434), with decoupled weight decay."""
    return Signum(parameters, lr=lr, weight_decay=weight_decay, momentum=momentum)


class Signum(Optimizer):
    """Steps of the size lr in each weight: m <- momentum * m + (1 - momentum) * g, w <- w - lr * sign(m)."""

    def __init__(
        self, params: Iterable[nn.Parameter], lr: float, weight_decay: float = 0.0, momentum: float = 0.9
    ) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Take one step."""
        for group in self.param_groups:
            weights = [w for w in group["params"] if w.grad is not None]
            for w in weights:
                self.state[w].setdefault("momentum_buffer", torch.zeros_like(w))
            momenta = [self.state[w]["momentum_buffer"] for w in weights]
            torch._foreach_lerp_(momenta, [w.grad for w in weights], 1 - group["momentum"])
            torch._foreach_mul_(weights, 1 - group["lr"] * group["weight_decay"])
            torch._foreach_add_(weights, torch._foreach_sign(momenta), alpha=-group["lr"])


class Several(Optimizer):
    """Several optimizers with one group of parameters each, as one with their groups and their state."""

    def __init__(self, parts: list[Optimizer]) -> None:
        super().__init__([weight for part in parts for group in part.param_groups for weight in group["params"]], {})
        self.parts, self.param_groups = parts, [group for part in parts for group in part.param_groups]
        self._share()

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._share()

    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Take a step of each."""
        for part in self.parts:
            plain_step(part)()

    def _share(self) -> None:
        for part, group in zip(self.parts, self.param_groups, strict=True):
            part.state, part.param_groups = self.state, [group]


def lr_schedule(optim: Choice) -> Callable[[float], float] | None:
    """The learning rate over a training run: a function of its finished share, in [0, 1]; None if it never changes.

    It rises linearly from 0 over the share ``warmup``. Then it is constant, falls to 0 along half a cosine or a line,
    or is multiplied by ``step_factor`` at each share in ``step_at``.
    """
    options = {"schedule": "constant", "warmup": 0.0, "step_at": [], **optim.options}  # a choice may lack them
    kind, warmup = options["schedule"], options["warmup"]
    if kind == "constant" and not warmup:
        return None

    def rate(done: float) -> float:
        left = (1 - done) / (1 - warmup)
        shares = {
            "constant": 1.0,
            "cosine": (1 - math.cos(math.pi * left)) / 2,
            "linear": left,
            "step": math.prod(options["step_factor"] for at in options["step_at"] if done >= at),
        }
        return float(options["lr"] * (done / warmup if done < warmup else shares[kind]))

    return rate


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
    parts = optimizer.parts if isinstance(optimizer, Several) else [optimizer]
    owners = [(part, weight) for part in parts for group in part.param_groups for weight in group["params"]]
    expected = {
        f"{number}/{name}": (number, name, weight, weight if example.dim() else example)
        for number, (part, weight) in enumerate(owners if after_a_step else [])
        for name, example in _example_state(part, weight.dim()).items()
    }
    if more := tensors.keys() - expected.keys():
        raise ValueError(f"{OPTIMIZER_PART}/{min(more)} belongs to no parameter")
    if missing := expected.keys() - tensors.keys():
        raise ValueError(f"{OPTIMIZER_PART}/{min(missing)} is missing: the optimizer's state is incomplete")
    state: dict[int, dict[str, Tensor]] = {}
    for key, (number, name, weight, like) in expected.items():
        x = tensors[key]
        if (x.shape, x.dtype) != (like.shape, like.dtype):
            raise ValueError(f"{OPTIMIZER_PART}/{key} is {type_and_shape(x)}, not {type_and_shape(like)}")
        # with the memory layout of its parameter
        state.setdefault(number, {})[name] = weight.detach().clone().copy_(x) if x.dim() else x
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def type_and_shape(x: Tensor) -> str:
    """The type and the shape of a tensor, in words."""
    return f"{str(x.dtype).removeprefix('torch.')} of shape {list(x.shape)}"


def _example_state(optimizer: Optimizer, dim: int) -> dict[str, Tensor]:
    """The state that an optimizer of this class keeps for a weight, here of one number: shaped like it, or a scalar."""
    weight = nn.Parameter(torch.zeros([1] * dim))
    weight.grad = torch.zeros([1] * dim)
    known = inspect.signature(type(optimizer)).parameters  # AdamW has defaults that it does not take
    example = type(optimizer)([weight], **{name: x for name, x in optimizer.defaults.items() if name in known})
    example.step()
    return {name: x for name, x in example.state[weight].items() if x is not None}
