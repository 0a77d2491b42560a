"""The types and ranges of ``conf/eval.yaml`` and ``conf/evaluation/``; the values are there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from omegaconf import MISSING

from satae.config.choices import Choice, Options
from satae.config.ranges import LARGEST, MOST_THREADS, SEEDS, between, count, one_of
from satae.config.schema import Schema

ALL: Final = "all"  # the choice that takes every part
SHARE: Final = "a radius is a share of the range of the data, such as 8/255, which is 0.0314"
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


def beyond(name: str, radii: Sequence[float], most: float = 1.0) -> str:
    """What is wrong with radii that are larger than any change can be; nothing where none is.

    Args:
        name: of the option.
        radii: that were chosen.
        most: the largest change; in the largest norm that of the whole range.
    """
    typed = ",".join(f"{radius:g}" for radius in radii)
    return f"{name}=[{typed}]: each must be at most {most:.4g}; {SHARE}" if max(radii, default=0) > most else ""


@dataclass
class Perturbation(Options):
    """How the autoencoder itself is perturbed."""

    linf: list[float] = between(0, above=True)  # noqa: RUF009
    l2: list[float] = between(0, above=True)  # noqa: RUF009
    samples: int = count()
    steps: int = count()
    restarts: int = count()

    def misfit(self) -> str:
        """Radii in other units."""
        return beyond("perturbation.linf", self.linf)


@dataclass
class Defence(Options):
    """How a classifier behind the autoencoder is attacked."""

    norm: str = one_of("linf", "l2")
    epsilons: list[float] = between(0, above=True)  # noqa: RUF009
    samples: int = count()
    steps: int = count()
    restarts: int = count()
    queries: int = count()
    temperatures: list[float] = between(1, LARGEST, above=True)  # noqa: RUF009
    libraries: str = one_of(*LIBRARIES)
    control: bool = MISSING

    def misfit(self) -> str:
        """No radius, or one in other units."""
        if not self.epsilons:
            return "defence.epsilons=[]: give a radius, or several, such as [0.02,0.1]"
        return beyond("defence.epsilons", self.epsilons) if self.norm == "linf" else ""


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
        return [*PARTS] if self.is_all else [part for part in PARTS if part in self._names]

    @property
    def is_all(self) -> bool:
        """Whether none is asked for by its name."""
        return ALL in self._names

    @property
    def _names(self) -> list[str]:
        found: list[str] = self.evaluation.name.split(",")
        return found


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
