"""Keras 3, on the backend that the variable KERAS_BACKEND names: a model with its own loss, fit, callbacks."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from benchmarks.peers.session import Clock, Session, begin, finish
from benchmarks.workloads import (
    ALPHA,
    BATCH,
    EVALUATED,
    KERNEL,
    LEARNING_RATE,
    NOISE,
    RAMP,
    SHAPE,
    SIDE,
    STRIDE,
    Workload,
    sizes,
    steps,
)

EPSILON = 1e-8  # of Adam elsewhere; ten times as much is the default here, and learns more slowly at first
FIRST = keras.backend.backend() == "torch"  # channels come first: the layout that torch is built for
IMAGE = SHAPE if FIRST else (*SHAPE[1:], SHAPE[0])


def like_torch(fan_in: int, activation: str | None = "relu") -> dict[str, Any]:
    """Initial weights and biases uniform below 1 / sqrt(fan in), as torch has them."""
    bound = fan_in**-0.5
    draws = {name: keras.initializers.RandomUniform(-bound, bound) for name in ("kernel", "bias")}
    return {f"{name}_initializer": value for name, value in draws.items()} | {"activation": activation}


def mlp(workload: Workload) -> tuple[list[keras.Layer], list[keras.Layer]]:
    """Encoder and decoder, fully connected."""
    depth = len(workload.widths)
    dense = [layers.Dense(n, **like_torch(m)) for m, n in pairwise(sizes(workload.widths))]
    dense[-1].activation = keras.activations.linear
    return [layers.Flatten(), *dense[:depth]], [*dense[depth:], layers.Reshape(IMAGE)]


def conv(workload: Workload) -> tuple[list[keras.Layer], list[keras.Layer]]:
    """Encoder and decoder, convolutional with a fully connected code."""
    (first, second), code, area = workload.channels, workload.code, KERNEL**2
    volume = (second, SIDE, SIDE) if FIRST else (SIDE, SIDE, second)
    same = {"kernel_size": KERNEL, "strides": STRIDE, "padding": "same"}
    same["data_format"] = "channels_first" if FIRST else "channels_last"
    encoder = [
        layers.Conv2D(first, **same, **like_torch(area)),
        layers.Conv2D(second, **same, **like_torch(first * area)),
        layers.Flatten(),
        layers.Dense(code, **like_torch(second * SIDE**2)),
    ]
    decoder = [  # the fan in of a transposed convolution is torch's, counted over its outputs
        layers.Dense(second * SIDE**2, **like_torch(code)),
        layers.Reshape(volume),
        layers.Conv2DTranspose(first, **same, **like_torch(first * area)),
        layers.Conv2DTranspose(1, **same, **like_torch(area, None)),
    ]
    return encoder, decoder


class Saturated(keras.Model):
    """The autoencoder with its loss."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.encoder, self.decoder = (mlp if session.workload.widths else conv)(session.workload)
        self.mean, self.std = ops.convert_to_tensor(session.mean.reshape(IMAGE)), session.std
        self.ramp = RAMP * steps(len(session.train), session.epochs)
        self.draws = keras.random.SeedGenerator(session.seed)
        self.done = self.add_weight(name="done", shape=(), initializer="zeros", trainable=False)
        self.measures = [keras.metrics.Mean(name) for name in ("reconstruction", "saturation")]

    def call(self, x: Any, training: bool = False) -> tuple[Any, Any]:
        """The reconstruction of images that are corrupted first, and the penalty."""
        noisy = ops.clip(x + NOISE * keras.random.normal(ops.shape(x), seed=self.draws), 0, 1)
        h, saturation = (noisy - self.mean) / self.std, 0.0
        for layer in self.encoder:
            h = layer(h)
            if not isinstance(layer, layers.Flatten):
                saturation += ops.mean(h)  # relu is flat at 0, so its complement is relu itself
        for layer in self.decoder:
            h = layer(h)
        return h * self.std + self.mean, saturation

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        """The loss of a batch; its weight of the penalty rises over the first half of the training."""
        x_hat, saturation = y_pred
        reconstruction = ops.mean(ops.square((x_hat - x) / self.std)) / 2
        for measure, value in zip(self.measures, (reconstruction, saturation), strict=True):
            measure.update_state(value, sample_weight=ops.shape(x)[0])
        alpha = ALPHA * ops.minimum(1.0, self.done / self.ramp)
        if training:
            self.done.assign_add(1.0)
        return reconstruction + alpha * saturation


class Timed(keras.callbacks.Callback):
    """Times the training pass of each epoch."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock, self.training = clock, False

    def on_epoch_begin(self, *_: object) -> None:
        """Before the first batch."""
        self.training = True
        self.clock.start()

    def on_test_begin(self, *_: object) -> None:
        """Before the validation: wait for the weights of the last step, which JAX computes in its own time."""
        if self.training:
            keras.ops.convert_to_numpy(self.model.trainable_weights[0])
            self.clock.stop()
        self.training = False


def main() -> None:
    """Train, log, keep."""
    session = begin()
    keras.utils.set_random_seed(session.seed)
    train, valid = (np.ascontiguousarray(x.reshape(-1, *IMAGE)) for x in (session.train, session.valid))
    model, clock = Saturated(session), Clock(len(train))
    model.compile(optimizer=keras.optimizers.Adam(LEARNING_RATE, epsilon=EPSILON))
    callbacks = [
        Timed(clock),
        keras.callbacks.CSVLogger(session.folder / "log.csv"),
        keras.callbacks.ModelCheckpoint(session.folder / "last.weights.h5", save_weights_only=True),
    ]
    settings = {"validation_data": (valid,), "validation_batch_size": EVALUATED, "callbacks": callbacks, "verbose": 0}
    found = model.fit(train, batch_size=BATCH, epochs=session.epochs, **settings).history
    losses = (found[f"val_{name}"][-1] for name in ("reconstruction", "saturation"))
    finish(clock, *map(float, losses), ["keras", keras.backend.backend()])


if __name__ == "__main__":
    main()
