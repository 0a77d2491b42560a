"""The options of the evaluation parts; they move to the parts themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final, Literal

from pydantic import Field

from satae.config.option_types import LARGEST_VALUE, Count, Level, Positive, Share
from satae.config.registries import EVALUATION_PARTS
from satae.config.schema import EVALUATION as EVALUATION
from satae.config.schema import Evaluation as Evaluation

SHARE: Final = "a radius is a share of the range of the data, such as 8/255, which is 0.0314"
AUTO, NONE, ALL = "auto", "none", "all"
PARTS = EVALUATION_PARTS.names()


@EVALUATION_PARTS.register("denoising")
@dataclass(kw_only=True)
class Denoising:
    """The levels of each kind of noise."""

    gaussian: list[Level]
    uniform: list[Level]
    masking: list[Share]
    salt_and_pepper: list[Share]


@EVALUATION_PARTS.register("code")
@dataclass(kw_only=True)
class Code:
    """How the code is looked at."""

    near: Annotated[float, Field(gt=0, le=1)]
    jacobians: Count
    train: Count
    neighbours: Annotated[int, Field(ge=1, le=1000)]


@EVALUATION_PARTS.register("manifold")
@dataclass(kw_only=True)
class Manifold:
    """What is held against the data."""

    other: Literal["auto", "none", "digits", "patches", "mnist", "fashion_mnist", "cifar10", "svhn"]


def beyond(name: str, radii: Sequence[float], most: float = 1.0) -> str:
    """What is wrong with radii that are larger than any change can be; nothing if all are possible."""
    typed = ",".join(f"{radius:g}" for radius in radii)
    return f"{name}=[{typed}]: each must be at most {most:.4g}; {SHARE}" if max(radii, default=0) > most else ""


@EVALUATION_PARTS.register("perturbation")
@dataclass(kw_only=True)
class Perturbation:
    """How the autoencoder itself is perturbed."""

    linf: list[Positive]
    l2: list[Positive]
    samples: Count
    steps: Count
    restarts: Count


@EVALUATION_PARTS.register("defence")
@dataclass(kw_only=True)
class Defence:
    """How a classifier behind the autoencoder is attacked."""

    norm: Literal["linf", "l2"]
    epsilons: list[Positive]
    samples: Count
    steps: Count
    restarts: Count
    queries: Count
    temperatures: list[Annotated[float, Field(gt=1, le=LARGEST_VALUE)]]
    libraries: Literal["none", "autoattack", "foolbox", "all"]
    control: bool
