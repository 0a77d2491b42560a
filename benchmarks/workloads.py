"""The workloads: the same numbers for satae-train and for every peer. Importable without either."""

from __future__ import annotations

from itertools import pairwise
from typing import Final, NamedTuple

SHAPE: Final = (1, 28, 28)  # of an image of Fashion-MNIST
PIXELS: Final = 28 * 28
BATCH: Final = 128
EVALUATED: Final = 1000  # validation images in one forward pass
LEARNING_RATE: Final = 1e-3  # of Adam
NOISE: Final = 0.3  # standard deviation, in units of brightness from 0 to 1
ALPHA: Final = 0.1  # of the penalty, at its largest
RAMP: Final = 0.5  # share of the training over which alpha rises to it
KERNEL, STRIDE, PADDING = 3, 2, 1
SIDE: Final = 7  # of the images after two convolutions


class Workload(NamedTuple):
    """A model and how long it is trained."""

    name: str
    epochs: int
    widths: tuple[int, ...] = ()  # of a fully connected encoder, the code last; the decoder mirrors it
    channels: tuple[int, ...] = ()  # of a convolutional encoder
    code: int = 0  # units after its convolutions
    limit: int | None = None  # images of each split; None for all
    runs: int = 1  # with seeds of their own; several are a sweep

    def seeds(self, alternation: int) -> range:
        """The seeds of the runs in one alternation."""
        return range(self.runs * alternation, self.runs * (alternation + 1))

    @property
    def architecture(self) -> tuple[str, ...]:
        """The words for satae-train."""
        if self.widths:
            return "arch=mlp", f"arch.widths={list(self.widths)}".replace(" ", "")
        channels = f"arch.channels={list(self.channels)}".replace(" ", "")
        return "arch=conv", channels, f"arch.kernel={KERNEL}", f"arch.stride={STRIDE}", f"arch.code={self.code}"


# epochs: as few as leave one that is not the first, which warms up caches and, with JAX, compiles
WORKLOADS: Final = {
    "W1": Workload("W1", 2, widths=(512, 64)),
    "W2": Workload("W2", 2, channels=(32, 64), code=64, limit=20_000),
    "W3": Workload("W3", 1, widths=(512, 64), runs=8),
    "small": Workload("small", 3, widths=(64, 16)),
}


def sizes(widths: tuple[int, ...]) -> tuple[int, ...]:
    """Units of each layer of a fully connected autoencoder, from the pixels to the pixels."""
    return (PIXELS, *widths, *reversed(widths[:-1]), PIXELS)


def gemm_flops(widths: tuple[int, ...]) -> int:
    """Floating-point operations for one sample in the matrix products of one step.

    Forward, gradient of the weights and gradient of the inputs, which the first layer does not need; a multiplication
    and an addition count as two.
    """
    products = [m * n for m, n in pairwise(sizes(widths))]
    return 2 * (3 * sum(products) - products[0])


def steps(images: int, epochs: int) -> int:
    """Optimiser steps of a whole training; the last batch of an epoch may be smaller."""
    return epochs * -(-images // BATCH)
