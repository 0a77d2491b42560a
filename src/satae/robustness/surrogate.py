"""Backward passes that saturation does not stop, and the control that makes it stop the exact ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import torch
from torch import Tensor, nn

from satae.model.saturation import activations

Function = Callable[[Tensor], Tensor]
NEAR: Final = 1e-3  # how far from 0 an activation is probed
ALSO: Final = (nn.Hardshrink, nn.Threshold)  # activations of torch that nobody trains with the penalty


@contextmanager
def surrogate_gradients(module: nn.Module, temperature: float) -> Iterator[None]:
    """Let every activation in a module hand back more gradient than it has, for as long as the context lasts.

    The forward pass stays as it is, bit for bit. The backward pass takes for f'(z)

        f'(z / T)                               where f has a slope on both sides of 0
        (f(z + T - 1) - f(z - T + 1)) / (2 (T - 1))    where it has none on one (relu, relu6, shrink)

    The first stretches the middle of f over its tails; it does nothing for relu, whose slope at z / T is that at z, and
    makes shrink worse. The second, ours, is the mean of f' over [z - T + 1, z + T - 1]. Both are exact at T = 1. A
    backward pass that differs from the forward pass is from Athalye, Carlini & Wagner (2018), arXiv 1802.00420.

    Args:
        module: any module with activations as submodules; functional ones such as ``F.relu`` cannot be seen.
        temperature: T, 1 or more.

    Raises:
        ValueError: T below 1, or no activation.
    """
    if not temperature >= 1:
        raise ValueError(f"temperature={temperature:g}: must be 1 or more; 1 is the exact gradient")
    with _instead(module, lambda act, f: _softened(f, temperature, stretches=not _is_flat_beside_0(act, f))):
        yield


@contextmanager
def steeper(module: nn.Module, factor: float) -> Iterator[None]:
    """Multiply what goes into every activation of a module, for as long as the context lasts.

    The positive control: a saturating network decides nearly as before, and its gradients vanish.

    Args:
        module: any module with activations as submodules.
        factor: s; f(z) becomes f(s z).

    Raises:
        ValueError: a factor that is not positive, or no activation.
    """
    if not factor > 0:
        raise ValueError(f"factor={factor:g}: must be positive; 1 changes nothing")
    with _instead(module, lambda act, f: lambda z: f(factor * z)):
        yield


@contextmanager
def faded(module: nn.Module, factor: float) -> Iterator[None]:
    """Keep the values of every activation in a module and hide its gradient, for as long as the context lasts.

    The positive control whose truth is known: f(z) stays, bit for bit, and so does the robustness of the module; the
    backward pass takes f'(s z) for f'(z), which vanishes as s grows where f saturates.

    Args:
        module: any module with activations as submodules.
        factor: s.

    Raises:
        ValueError: a factor that is not positive, or no activation.
    """
    if not factor > 0:
        raise ValueError(f"factor={factor:g}: must be positive; 1 changes nothing")
    with _instead(module, lambda act, f: _with_gradient_of(f, lambda z: f(factor * z) / factor)):
        yield


@contextmanager
def _instead(module: nn.Module, change: Callable[[nn.Module, Function], Function]) -> Iterator[None]:
    """Other functions in place of the activations; contexts may be nested."""
    acts = list(activations(module, ALSO).values())
    before: list[Any] = [vars(act).get("forward") for act in acts]
    for act in acts:
        vars(act)["forward"] = change(act, _leaving_alone(act))
    try:
        yield
    finally:
        for act, forward in zip(acts, before, strict=True):
            if forward is None:
                del vars(act)["forward"]
            else:
                vars(act)["forward"] = forward


def _leaving_alone(act: nn.Module) -> Function:
    """The function of an activation, without its way of writing over what it is given."""
    forward: Function = act.forward
    return (lambda z: forward(z.clone())) if getattr(act, "inplace", False) else forward


def _softened(f: Function, temperature: float, *, stretches: bool) -> Function:
    width = temperature - 1

    def function(input: Tensor) -> Tensor:  # the name that torch's activations have for it
        if temperature == 1 or not input.requires_grad:
            return f(input)
        z = input.detach()
        if stretches:
            other = temperature * f(input / temperature)  # its derivative is f'(z / T)
            return f(z) + (other - other.detach())
        return f(z) + (f(z + width) - f(z - width)) / (2 * width) * (input - z)

    return function


def _with_gradient_of(f: Function, other: Function) -> Function:
    """The values of one function, and the slope of another."""

    def function(input: Tensor) -> Tensor:
        slope = other(input)
        return f(input.detach()) + (slope - slope.detach())

    return function


def _is_flat_beside_0(act: nn.Module, f: Function) -> bool:
    weights = next(act.parameters(), torch.zeros(()))  # prelu has one
    here = torch.tensor([-NEAR, NEAR], dtype=weights.dtype, device=weights.device)
    return bool((_derivative(f, here) == 0).any())


def _derivative(f: Function, z: Tensor) -> Tensor:
    with torch.enable_grad():
        at = z.requires_grad_()
        return torch.autograd.grad(f(at).sum(), at)[0]
