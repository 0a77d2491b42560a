"""The types and ranges of everything in ``conf/``; the values are there."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from omegaconf import MISSING

SEEDS = 2**32  # seeds lie below


def one_of(*choices: str) -> Any:
    """A field that takes one of some words."""
    return field(default=MISSING, metadata={"choices": choices})


def between(low: float, high: float = math.inf, *, above: bool = False, below: bool = False) -> Any:
    """A field of finite numbers from ``low`` to ``high``; ``above`` and ``below`` leave these ends out."""
    return field(default=MISSING, metadata={"low": low, "high": high, "above": above, "below": below})


@dataclass
class Act:
    """An activation without parameters."""

    name: str = MISSING


@dataclass
class Shrink(Act):
    threshold: float = between(0, above=True)


@dataclass
class Satlin(Act):
    low: float = between(-math.inf)
    high: float = between(-math.inf)


@dataclass
class Mlp:
    name: str = MISSING
    widths: list[int] = between(1)
    tied: bool = MISSING
    batch_norm: bool = MISSING


@dataclass
class Conv:
    name: str = MISSING
    channels: list[int] = between(1)
    kernel: int = between(1)
    stride: int = between(1)
    code: int = between(1)
    batch_norm: bool = MISSING


@dataclass
class Source:
    """What every data source has."""

    name: str = MISSING
    valid: float = between(0, 1, above=True, below=True)
    test: float = between(0, 1, above=True, below=True)
    split_seed: int = between(0, SEEDS, below=True)
    limit: int | None = between(1)


@dataclass
class Manifold(Source):
    curve: str = one_of("arc", "line", "circle", "spiral")
    size: int = between(3)


@dataclass
class NoNoise:
    name: str = MISSING


@dataclass
class Additive(NoNoise):
    level: float = between(0)


@dataclass
class Replacing(NoNoise):
    level: float = between(0, 1)


@dataclass
class Adam:
    name: str = MISSING
    lr: float = between(0, above=True)
    weight_decay: float = between(0)


@dataclass
class Sgd(Adam):
    momentum: float = between(0, 1, below=True)


GROUPS: Final[dict[str, dict[str, type]]] = {
    "act": dict.fromkeys(
        "relu relu6 hardsigmoid hardswish sigmoid tanh softsign softplus elu celu selu gelu silu mish logsigmoid".split(),
        Act,
    )
    | {"shrink": Shrink, "satlin": Satlin},
    "arch": {"mlp": Mlp, "conv": Conv},
    "data": {"digits": Source, "manifold": Manifold},
    "noise": {
        "gaussian": Additive,
        "uniform": Additive,
        "masking": Replacing,
        "salt_and_pepper": Replacing,
        "none": NoNoise,
    },
    "optim": {"adam": Adam, "sgd": Sgd},
}


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
    decoder_norm: int | None = between(1)

    epochs: int = between(1)
    batch_size: int = between(1)
    seed: int = between(0, SEEDS, below=True)
    device: str = one_of("auto", "cpu", "cuda", "mps")
    threads: int | None = between(1)


def options(group: Any) -> dict[str, Any]:
    """The choices of a group but for its name: keyword arguments of what the name stands for."""
    return {key: value for key, value in asdict(group).items() if key != "name"}
