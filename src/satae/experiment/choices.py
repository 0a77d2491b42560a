# ruff: noqa: D103
"""Registers the choices; each registration moves to the function itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import Field
from torch import nn
from torch.optim import SGD, Adam, Optimizer

from satae.config.option_types import (
    Level,
    NonNegative,
    Positive,
    PositiveValue,
    Share,
    Value,
    Width,
    Widths,
)
from satae.config.registries import ACTIVATIONS, ARCHITECTURES, NOISES, OPTIMIZERS
from satae.model import activations, architectures
from satae.model.autoencoder import DenoisingAutoencoder
from satae.model.noise import Noise, corruption

for act in [
    "relu",
    "relu6",
    "hardsigmoid",
    "hardswish",
    "sigmoid",
    "tanh",
    "softsign",
    "softplus",
    "elu",
    "celu",
    "selu",
    "gelu",
    "silu",
    "mish",
    "logsigmoid",
]:
    ACTIVATIONS.register(act)(activations.ACTIVATIONS[act])


@ACTIVATIONS.register("shrink")
def shrink(*, threshold: PositiveValue) -> nn.Module:
    return activations.shrink(threshold)


@ACTIVATIONS.register("satlin")
def satlin(*, low: Value, high: Value) -> nn.Module:
    if low >= high:
        raise ValueError(f"high must be above low, but low={low:g}, high={high:g}")
    return activations.satlin(low, high)


Make = Callable[[], nn.Module]


@ARCHITECTURES.register("mlp")
def mlp(shape: Any, act: Make, *, widths: Widths, tied: bool, batch_norm: bool) -> DenoisingAutoencoder:
    return architectures.mlp(shape, act, widths=widths, tied=tied, batch_norm=batch_norm)


@ARCHITECTURES.register("conv")
def conv(
    shape: Any, act: Make, *, channels: Widths, kernel: Width, stride: Width, code: Width, batch_norm: bool
) -> DenoisingAutoencoder:
    return architectures.conv(
        shape, act, channels=channels, kernel=kernel, stride=stride, code=code, batch_norm=batch_norm
    )


@NOISES.register("none")
def none(span: Any) -> Noise:
    return corruption("none", span=span)


@NOISES.register("gaussian")
def gaussian(span: Any, *, level: Level) -> Noise:
    return corruption("gaussian", span=span, level=level)


@NOISES.register("uniform")
def uniform(span: Any, *, level: Level) -> Noise:
    return corruption("uniform", span=span, level=level)


@NOISES.register("masking")
def masking(span: Any, *, level: Share) -> Noise:
    return corruption("masking", span=span, level=level)


@NOISES.register("salt_and_pepper")
def salt_and_pepper(span: Any, *, level: Share) -> Noise:
    return corruption("salt_and_pepper", span=span, level=level)


@OPTIMIZERS.register("adam")
def adam(parameters: Any, *, lr: Positive, weight_decay: NonNegative) -> Optimizer:
    return Adam(parameters, lr, weight_decay=weight_decay, fused=True)


@OPTIMIZERS.register("sgd")
def sgd(
    parameters: Any, *, lr: Positive, momentum: Annotated[float, Field(ge=0, lt=1)], weight_decay: NonNegative
) -> Optimizer:
    return SGD(parameters, lr, momentum, weight_decay=weight_decay, fused=True)
