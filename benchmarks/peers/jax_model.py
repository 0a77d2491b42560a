"""The autoencoder in plain JAX, with the initial weights that torch draws by default."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax, random

from benchmarks.workloads import KERNEL, PADDING, PIXELS, SHAPE, SIDE, STRIDE, Workload, sizes

LAYOUT = ("NHWC", "HWIO", "NHWC")  # the fastest on a CPU


class Network(NamedTuple):
    """A pair of functions."""

    init: Callable[[Array], Any]  # key -> parameters
    apply: Callable[[Any, Array], tuple[Array, Array]]  # parameters, standardised images -> their guess, saturation


def network(workload: Workload) -> Network:
    """The network of a workload."""
    return mlp(workload) if workload.widths else conv(workload)


def draw(key: Array, shape: tuple[int, ...], fan_in: int) -> dict[str, Array]:
    """Weights and biases, uniform below 1 / sqrt(fan in), as torch has them; the last axis is the output."""
    bound, (one, other) = 1 / math.sqrt(fan_in), random.split(key)
    return {
        "w": random.uniform(one, shape, minval=-bound, maxval=bound),
        "b": random.uniform(other, shape[-1:], minval=-bound, maxval=bound),
    }


def dense(layer: dict[str, Array], h: Array) -> Array:
    """A fully connected map."""
    return h @ layer["w"] + layer["b"]


def down(layer: dict[str, Array], h: Array) -> Array:
    """A convolution that halves the sides."""
    pad = [(PADDING, PADDING)] * 2
    return lax.conv_general_dilated(h, layer["w"], (STRIDE, STRIDE), pad, dimension_numbers=LAYOUT) + layer["b"]


def up(layer: dict[str, Array], h: Array) -> Array:
    """A transposed convolution that doubles the sides."""
    pad = [(KERNEL - 1 - PADDING, KERNEL - PADDING)] * 2
    return lax.conv_transpose(h, layer["w"], (STRIDE, STRIDE), pad, dimension_numbers=LAYOUT) + layer["b"]


def mlp(workload: Workload) -> Network:
    """Fully connected."""
    pairs, depth = list(pairwise(sizes(workload.widths))), len(workload.widths)

    def init(key: Array) -> list[dict[str, Array]]:
        return [draw(k, pair, pair[0]) for k, pair in zip(random.split(key, len(pairs)), pairs, strict=True)]

    def apply(layers: Any, x: Array) -> tuple[Array, Array]:
        h, saturation = x.reshape(-1, PIXELS), jnp.zeros(())
        for layer in layers[:depth]:
            h = jax.nn.relu(dense(layer, h))
            saturation += h.mean()
        for layer in layers[depth:-1]:
            h = jax.nn.relu(dense(layer, h))
        return dense(layers[-1], h).reshape(-1, *SHAPE), saturation

    return Network(init, apply)


def conv(workload: Workload) -> Network:
    """Convolutional, with a fully connected code."""
    (first, second), code, area = workload.channels, workload.code, KERNEL**2
    volume = second * SIDE**2
    shapes = {  # of the weights, with the fan in; that of a transposed convolution is torch's, counted over its outputs
        "conv1": ((KERNEL, KERNEL, 1, first), area),
        "conv2": ((KERNEL, KERNEL, first, second), first * area),
        "code": ((volume, code), volume),
        "decode": ((code, volume), code),
        "up2": ((KERNEL, KERNEL, second, first), first * area),
        "up1": ((KERNEL, KERNEL, first, 1), area),
    }

    def init(key: Array) -> dict[str, dict[str, Array]]:
        keys = random.split(key, len(shapes))
        return {name: draw(k, *spec) for k, (name, spec) in zip(keys, shapes.items(), strict=True)}

    def apply(p: Any, x: Array) -> tuple[Array, Array]:
        h1 = jax.nn.relu(down(p["conv1"], x.reshape(-1, *SHAPE[1:], 1)))
        h2 = jax.nn.relu(down(p["conv2"], h1))
        h3 = jax.nn.relu(dense(p["code"], h2.reshape(-1, volume)))
        h = jax.nn.relu(dense(p["decode"], h3)).reshape(-1, SIDE, SIDE, second)
        h = up(p["up1"], jax.nn.relu(up(p["up2"], h)))
        return h.reshape(-1, *SHAPE), h1.mean() + h2.mean() + h3.mean()

    return Network(init, apply)
