"""JAX and optax: an epoch is one compiled scan (a compiled step, for convolutions), the images on the device."""

from __future__ import annotations

import functools
import json
import pickle
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array, lax, random

from benchmarks.peers.jax_model import Network, network
from benchmarks.peers.session import Clock, Session, begin, finish
from benchmarks.workloads import ALPHA, BATCH, EVALUATED, LEARNING_RATE, NOISE, RAMP, steps

Losses = tuple[Array, Array]


class State(NamedTuple):
    """The state that a step changes."""

    parameters: Any
    optimiser: optax.OptState
    step: Array
    key: Array


def losses(net: Network, session: Session, parameters: Any, x: Array, key: Array) -> Losses:
    """Reconstruction and saturation of clean images (N, 1, 28, 28)."""
    noisy = jnp.clip(x + NOISE * random.normal(key, x.shape), 0, 1)
    standard, saturation = net.apply(parameters, (noisy - session.mean) / session.std)
    x_hat = standard * session.std + session.mean
    return jnp.square((x_hat - x) / session.std).mean() / 2, saturation


def make_step(net: Network, session: Session, optimiser: optax.GradientTransformation) -> Callable[..., State]:
    """One step on the rows of a batch."""
    ramp = RAMP * steps(len(session.train), session.epochs)

    def loss(parameters: Any, x: Array, key: Array, step: Array) -> Array:
        reconstruction, saturation = losses(net, session, parameters, x, key)
        return reconstruction + ALPHA * jnp.minimum(1.0, step / ramp) * saturation

    def take_step(state: State, x: Array, rows: Array) -> State:
        key, draw = random.split(state.key)
        gradients = jax.grad(loss)(state.parameters, x[rows], draw, state.step)
        updates, inner = optimiser.update(gradients, state.optimiser, state.parameters)
        return State(optax.apply_updates(state.parameters, updates), inner, state.step + 1, key)

    return take_step


def scanned(take_step: Callable[..., State]) -> Callable[..., State]:
    """A whole pass, compiled; the last batch may be smaller."""

    def run(state: State, x: Array, order: Array) -> State:
        full = len(x) - len(x) % BATCH
        batches = order[:full].reshape(-1, BATCH)
        state, _ = lax.scan(lambda state, rows: (take_step(state, x, rows), None), state, batches)
        return take_step(state, x, order[full:]) if full < len(x) else state

    return jax.jit(run, donate_argnums=0)


def looped(take_step: Callable[..., State]) -> Callable[..., State]:
    """A pass of compiled steps."""
    step = jax.jit(take_step, donate_argnums=0)

    def run(state: State, x: Array, order: Array) -> State:
        for start in range(0, len(x), BATCH):
            state = step(state, x, order[start : start + BATCH])
        return state

    return run


def make_epoch(net: Network, session: Session, optimiser: optax.GradientTransformation) -> Callable[..., State]:
    """One pass over the images, in an order of its own."""
    # on a CPU, XLA runs convolutions inside a loop of its own on one thread and by a slow algorithm
    run = (scanned if session.workload.widths else looped)(make_step(net, session, optimiser))

    def epoch(state: State, x: Array) -> State:
        key, draw = random.split(state.key)
        return run(state._replace(key=key), x, random.permutation(draw, len(x)))

    return epoch


def evaluate(measure: Callable[..., Losses], parameters: Any, x: Array) -> list[float]:
    """The losses of all images."""
    parts = [x[start : start + EVALUATED] for start in range(0, len(x), EVALUATED)]
    keys = random.split(random.key(0), len(parts))
    found = [jnp.stack(measure(parameters, part, key)) * len(part) for part, key in zip(parts, keys, strict=True)]
    return (sum(found) / len(x)).tolist()


def main() -> None:
    """Train, log, keep."""
    session = begin()
    net, optimiser = network(session.workload), optax.adam(LEARNING_RATE)
    weights, key = random.split(random.key(session.seed))
    parameters = net.init(weights)
    state = State(parameters, optimiser.init(parameters), jnp.zeros((), jnp.int32), key)
    train, valid = jnp.asarray(session.train), jnp.asarray(session.valid)
    epoch = make_epoch(net, session, optimiser)
    measure = jax.jit(functools.partial(losses, net, session))
    clock = Clock(len(session.train))
    for number in range(session.epochs):
        clock.start()
        state = jax.block_until_ready(epoch(state, train))
        clock.stop()
        found = evaluate(measure, state.parameters, valid)
        with (session.folder / "log.jsonl").open("a") as file:
            file.write(json.dumps({"epoch": number, "reconstruction": found[0], "saturation": found[1]}) + "\n")
        kept = jax.device_get((state.parameters, state.optimiser))
        (session.folder / "last.pickle").write_bytes(pickle.dumps(kept))
    finish(clock, *found, ["jax", "optax"])


if __name__ == "__main__":
    main()
