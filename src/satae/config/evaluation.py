"""The types and ranges of ``conf/eval.yaml`` and ``conf/evaluation/``; the values are there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from omegaconf import MISSING

from satae.config.choices import Choice
from satae.config.ranges import LARGEST, MOST_THREADS, SEEDS, between, count, one_of
from satae.config.schema import Schema

ALL: Final = "all"  # the choice that takes every part
MOST_RADIUS: Final = 1000.0  # of a ball, as a share of the range of the data
AUTO, NONE = "auto", "none"
LIBRARIES: Final = (NONE, "autoattack", "foolbox", ALL)
OTHERS: Final = ("digits", "patches", "mnist", "fashion_mnist", "cifar10", "svhn")  # data sets without a path


@dataclass
class Denoising:
    """The levels of each kind of noise."""

    gaussian: list[float] = between(0, LARGEST)  # noqa: RUF009
    uniform: list[float] = between(0, LARGEST)  # noqa: RUF009
    masking: list[float] = between(0, 1)  # noqa: RUF009
    salt_and_pepper: list[float] = between(0, 1)  # noqa: RUF009


@dataclass
class Code:
    """How the code is looked at."""

    near: float = between(0, 1, above=True)
    jacobians: int = count()
    train: int = count()
    neighbours: int = count(most=1000)


@dataclass
class Manifold:
    """What is held against the data."""

    other: str = one_of(AUTO, NONE, *OTHERS)


@dataclass
class Perturbation:
    """How the autoencoder itself is perturbed."""

    linf: list[float] = between(0, MOST_RADIUS, above=True)  # noqa: RUF009
    l2: list[float] = between(0, MOST_RADIUS, above=True)  # noqa: RUF009
    samples: int = count()
    steps: int = count()
    restarts: int = count()


@dataclass
class Defence:
    """How a classifier behind the autoencoder is attacked."""

    norm: str = one_of("linf", "l2")
    epsilons: list[float] = between(0, MOST_RADIUS, above=True)  # noqa: RUF009
    samples: int = count()
    steps: int = count()
    restarts: int = count()
    queries: int = count()
    temperatures: list[float] = between(1, LARGEST, above=True)  # noqa: RUF009
    libraries: str = one_of(*LIBRARIES)
    control: bool = MISSING


PARTS: Final[dict[str, type]] = {  # in the order of "all"
    "denoising": Denoising,
    "code": Code,
    "manifold": Manifold,
    "perturbation": Perturbation,
    "defence": Defence,
}


@dataclass
class Evaluation:
    """What is measured of a run, and how."""

    evaluation: Any = MISSING

    best: bool = MISSING
    split: str = one_of("test", "valid")
    samples: int = count()
    batch_size: int | None = count()
    seed: int = between(0, SEEDS, below=True)
    device: str = one_of("auto", "cpu", "cuda")
    threads: int | None = count(most=MOST_THREADS)
    denoising: Denoising = field(default_factory=Denoising)
    code: Code = field(default_factory=Code)
    manifold: Manifold = field(default_factory=Manifold)
    perturbation: Perturbation = field(default_factory=Perturbation)
    defence: Defence = field(default_factory=Defence)

    @property
    def parts(self) -> list[str]:
        """The names of those that are asked for."""
        return [*PARTS] if self.evaluation.name == ALL else [self.evaluation.name]


EVALUATION: Final = Schema(
    program="satae-eval",
    primary="eval",
    root=Evaluation,
    groups={"evaluation": dict.fromkeys([ALL, *PARTS], Choice)},
    sections=PARTS,
    presets=frozenset(),
    whole=("run",),
    meant={},
    several="give one value; several runs are named with run=A,B",
)
