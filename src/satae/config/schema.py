"""The types and ranges of everything in ``conf/``; the values are there."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Final, Generic, NamedTuple, TypeVar

from omegaconf import MISSING

from satae.config.choices import (
    Adam,
    Additive,
    Array,
    Choice,
    Conv,
    Divided,
    Folder,
    Hf,
    Manifold,
    Mlp,
    Mnist,
    Patches,
    Published,
    Replacing,
    Satlin,
    Sgd,
    Shrink,
)
from satae.config.ranges import MOST_THREADS, SEEDS, between, count, one_of

PLAIN: Final = [
    *["relu", "relu6", "hardsigmoid", "hardswish", "sigmoid", "tanh", "softsign", "softplus"],
    *["elu", "celu", "selu", "gelu", "silu", "mish", "logsigmoid"],
]
GROUPS: Final[dict[str, dict[str, type[Choice]]]] = {
    "act": {"shrink": Shrink, "satlin": Satlin, **dict.fromkeys(PLAIN, Choice)},
    "arch": {"mlp": Mlp, "conv": Conv},
    "data": {
        "digits": Divided,
        "manifold": Manifold,
        "mnist": Mnist,
        "fashion_mnist": Mnist,
        "cifar10": Published,
        "svhn": Published,
        "patches": Patches,
        "array": Array,
        "folder": Folder,
        "hf": Hf,
    },
    "noise": {
        "gaussian": Additive,
        "uniform": Additive,
        "masking": Replacing,
        "salt_and_pepper": Replacing,
        "none": Choice,
    },
    "optim": {"adam": Adam, "sgd": Sgd},
}
PRESETS: Final = "experiment"  # a group without a place of its own: each has choices of many kinds

T = TypeVar("T")


@dataclass
class Checkpoints:
    """When a run writes down where it stands, and how often that is kept."""

    every_minutes: float | None = between(0, above=True)
    every_epochs: int | None = count()
    every_steps: int | None = count()
    keep: int = count()


@dataclass
class Config:
    """A whole experiment; each group holds the type that ``GROUPS`` has for its name."""

    act: Any = MISSING
    arch: Any = MISSING
    data: Any = MISSING
    noise: Any = MISSING
    optim: Any = MISSING

    alpha: float = between(0)
    alpha_schedule: str = one_of("linear", "constant")
    complement: str = one_of("output", "input", "slope")
    eps: float = between(0, 1, above=True, below=True)
    reduction: str = one_of("mean", "sum")
    standardize: bool = MISSING
    init: str = one_of("unit_variance", "torch")
    decoder_norm: int | None = count()

    epochs: int = count()
    batch_size: int = count()
    seed: int = between(0, SEEDS, below=True)
    device: str = one_of("auto", "cpu", "cuda", "mps")
    precision: str = one_of("fp32", "medium", "bf16")
    compile: bool = MISSING
    threads: int | None = count(most=MOST_THREADS)
    checkpoint: Checkpoints = field(default_factory=Checkpoints)


SECTIONS: Final[dict[str, type]] = {"checkpoint": Checkpoints}  # settings that have a common name


class Schema(NamedTuple, Generic[T]):
    """What the user of one program can choose: how its command line is composed, checked and explained."""

    program: str
    primary: str  # the configuration in ``conf/`` that it begins with
    root: type[T]
    groups: Mapping[str, Mapping[str, type[Choice]]]
    sections: Mapping[str, type]
    presets: frozenset[str]  # groups without a place of their own
    whole: tuple[str, ...]  # words that are no part of a configuration
    meant: Mapping[str, str]  # words that are typed for others
    several: str  # what to do to give several values

    @property
    def known(self) -> frozenset[str]:
        """The first words of what can be chosen."""
        return frozenset(item.name for item in fields(self.root))  # type: ignore[arg-type]

    @property
    def grouped(self) -> frozenset[str]:
        """The words that take a name of ``conf/``."""
        return frozenset({*self.groups, *self.presets})


TRAINING: Final = Schema(
    program="satae-train",
    primary="config",
    root=Config,
    groups=GROUPS,
    sections=SECTIONS,
    presets=frozenset({PRESETS}),
    whole=("resume", "rerun", "sweep", "fail_fast"),
    meant={"launcher": "hydra/launcher=joblib", "n_jobs": "hydra.launcher.n_jobs=2"},
    several="several values need -m (--multirun), which makes one run of each",
)


def path_options(choice: Any) -> list[str]:
    """The options of a choice that take the name of a file or folder."""
    return [item.name for item in fields(choice) if "path" in item.metadata]


PATHS: Final = frozenset(
    f"{group}.{name}" for group, kinds in GROUPS.items() for kind in kinds.values() for name in path_options(kind)
)


def options(group: Any) -> dict[str, Any]:
    """The choices of a group but for its name: keyword arguments of what the name stands for."""
    return {key: value for key, value in asdict(group).items() if key != "name"}


def absolute(config: Config) -> Config:
    """The same with the files and folders that it names found from anywhere."""
    typed = {name: value for name in path_options(config.data) if (value := getattr(config.data, name))}
    here = {name: os.path.abspath(os.path.expanduser(value)) for name, value in typed.items()}
    hub = config.data.name == "hf"  # whose path may be a name on the hub
    found = {name: place for name, place in here.items() if not hub or os.path.exists(place)}
    return replace(config, data=replace(config.data, **found))
