"""Surrogate gradients: a backward pass that goes through saturated units and rounding.

A backward pass that differs from the forward pass is the idea of BPDA: Athalye, Carlini & Wagner (2018), arXiv
1802.00420.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from satae.model.saturation import FUNCTION_NAMES, activations

Elementwise = Callable[[Tensor], Tensor]
PROBE: Final = 1e-3  # distance from 0 at which the slope of an activation is probed
UNTRAINED_ACTIVATIONS: Final = (nn.Hardshrink, nn.Threshold)  # never trained with the penalty, but may be attacked


@contextmanager
def surrogate_gradients(module: nn.Module, temperature: float) -> Iterator[None]:
    """Within the context, activations and rounding functions pass back more gradient than they have.

    The forward pass stays the same, bit for bit. The backward pass replaces f'(z) by

        f'(z / T)                                      if f has a slope on both sides of 0
        (f(z + T - 1) - f(z - T + 1)) / (2 (T - 1))    if it is flat on one side (relu, relu6, shrink)

    The first stretches the middle of f over its tails. For relu it would change nothing, since the slope at z / T is
    the slope at z, and for shrink it would make things worse; the second, our own, is the mean of f' over
    [z - T + 1, z + T - 1]. Both are exact at T = 1. Activations among the submodules and functions such as
    ``torch.tanh`` and ``F.relu`` are changed alike, and functions that round (``torch.round``, ``torch.sign``) pass
    back the gradient of their output.

    Raises:
        ValueError: the temperature T is below 1.
    """
    if not temperature >= 1:
        raise ValueError(f"temperature={temperature:g}: must be 1 or more; 1 is the exact gradient")
    functions = _SoftenedFunctions(temperature)

    def soften(act: nn.Module, f: Elementwise) -> Elementwise:
        f = functions.exactly(f)
        return _smooth_backward(f, temperature, stretches=not _is_flat_next_to_zero(act, f))

    with _replaced_activations(module, soften), functions:
        yield


@contextmanager
def _replaced_activations(
    module: nn.Module, replace: Callable[[nn.Module, Elementwise], Elementwise]
) -> Iterator[None]:
    """Within the context, the activations in a module compute other functions; contexts may be nested.

    Args:
        module: any module.
        replace: (activation, its function) -> the function to compute.
    """
    acts = list(activations(module, UNTRAINED_ACTIVATIONS).values())
    previous: list[Any] = [vars(act).get("forward") for act in acts]
    for act in acts:
        vars(act)["forward"] = replace(act, _without_inplace(act))
    try:
        yield
    finally:
        for act, forward in zip(acts, previous, strict=True):
            if forward is None:
                del vars(act)["forward"]
            else:
                vars(act)["forward"] = forward


def _without_inplace(act: nn.Module) -> Elementwise:
    """The function of an activation, which leaves its input as it is."""
    forward: Elementwise = act.forward
    return (lambda z: forward(z.clone())) if getattr(act, "inplace", False) else forward


def _smooth_backward(f: Elementwise, temperature: float, *, stretches: bool) -> Elementwise:
    width = temperature - 1
    if temperature == 1:
        return f
    if stretches:
        return _with_backward(f, lambda z, g: _derivative(f, z / temperature, g))
    return _with_backward(f, lambda z, g: (f(z + width) - f(z - width)).div_(2 * width).mul_(g))


def _derivative(f: Elementwise, z: Tensor, g: Tensor) -> Tensor:
    """The product f'(z) g."""
    with torch.enable_grad():
        z = z.detach().requires_grad_()
        (product,) = torch.autograd.grad(f(z), z, g)
    return product


class _ChangedBackward(torch.autograd.Function):
    """f(z) with another backward pass: (z, gradient of the output) -> gradient of the input."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, f: Elementwise, backward: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        ctx.save_for_backward(z)
        ctx.of_input = backward
        return f(z)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return ctx.of_input(*ctx.saved_tensors, *gradients), None, None


def _with_backward(f: Elementwise, backward: Callable[[Tensor, Tensor], Tensor]) -> Elementwise:
    """A function with the values of f and another backward pass: (z, gradient of f(z)) -> gradient of z."""

    def function(input: Tensor) -> Tensor:  # torch's activations name this argument so
        if not (input.requires_grad and torch.is_grad_enabled()):
            return f(input)
        f_z: Tensor = _ChangedBackward.apply(input, f, backward)  # type: ignore[no-untyped-call]
        return f_z

    return function


def _is_flat_next_to_zero(act: nn.Module | None, f: Elementwise) -> bool:
    weights = next(act.parameters() if act else iter(()), torch.zeros(()))  # prelu has one
    points = torch.tensor([-PROBE, PROBE], dtype=weights.dtype, device=weights.device)
    with torch.enable_grad():
        points.requires_grad_()
        (slopes,) = torch.autograd.grad(f(points).sum(), points)
    return bool((slopes == 0).any())


ROUNDING_FUNCTIONS: Final = frozenset(
    getattr(owner, name) for owner in (torch, Tensor) for name in ("ceil", "fix", "floor", "round", "sign", "trunc")
)
SOFTENED_FUNCTIONS: Final = frozenset(
    getattr(owner, name)
    for owner in (torch, Tensor, functional)
    for name in (*FUNCTION_NAMES, "clamp", "clamp_max", "clamp_min", "clip")
    if hasattr(owner, name)
)


class _SoftenedFunctions(TorchFunctionMode):
    """Within the context, known functions of torch pass back more gradient than they have, wherever they are called.

    What a function changed in place is used by its result alone.
    """

    def __init__(self, temperature: float) -> None:
        super().__init__()
        self.temperature, self._is_exact = temperature, False

    def exactly(self, f: Elementwise) -> Elementwise:
        """A function within which torch's functions pass back their exact gradient."""

        def function(z: Tensor) -> Tensor:
            before, self._is_exact = self._is_exact, True
            try:
                return f(z)
            finally:
                self._is_exact = before

        return function

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Call a function of torch, with another backward pass if it is a known one."""
        kwargs = kwargs or {}
        z = args[0] if args else None
        if self._is_exact or not isinstance(z, Tensor) or not z.requires_grad:
            return func(*args, **kwargs)
        if func not in ROUNDING_FUNCTIONS and func not in SOFTENED_FUNCTIONS:
            return func(*args, **kwargs)
        if any(isinstance(value, Tensor) for value in (*args[1:], *kwargs.values())):  # bounds of their own shape
            return func(*args, **kwargs)
        f = self.exactly(lambda z: func(z.clone(), *args[1:], **kwargs))  # it may work in place
        if func in ROUNDING_FUNCTIONS:
            return _with_backward(f, lambda _, g: g)(z)
        return _smooth_backward(f, self.temperature, stretches=not _is_flat_next_to_zero(None, f))(z)
