"""The groups of choices, one registry each."""

from __future__ import annotations

from typing import Any, Final

from satae.config.registry import Registry

ACTIVATIONS: Final[Registry[Any]] = Registry("act", "satae.model.activations", ["relu", "shrink", "satlin"])
ARCHITECTURES: Final[Registry[Any]] = Registry("arch", "satae.model.architectures", ["mlp"])
NOISES: Final[Registry[Any]] = Registry(
    "noise", "satae.model.noise", ["gaussian", "uniform", "masking", "salt_and_pepper"]
)
DATA_SOURCES: Final[Registry[Any]] = Registry(
    "data", "satae.data", ["digits", "manifold", "mnist", "fashion_mnist", "cifar10", "svhn", "patches"]
)
OPTIMIZERS: Final[Registry[Any]] = Registry("optim", "satae.training.optimizers")
EVALUATION_PARTS: Final[Registry[Any]] = Registry(
    "evaluation", "satae.evaluation.parts", ["denoising", "code", "manifold", "perturbation", "defence"]
)
LOGGERS: Final[Registry[Any]] = Registry("logger", "satae.loggers")
