"""The options of each choice in a group: types and ranges; the values are in ``conf/``."""

from __future__ import annotations

from dataclasses import dataclass

from omegaconf import MISSING

from satae.config.ranges import DEEPEST, LARGEST, SEEDS, WIDEST, between, count, one_of, path


def _too_deep(option: str, layers: list[int]) -> str:
    return "" if len(layers) <= DEEPEST else f"{option}: has {len(layers)} layers; give at most {DEEPEST}"


@dataclass
class Options:
    """What is chosen together."""

    def misfit(self) -> str:
        """What is wrong with the options taken together, in one line; nothing where they fit."""
        return ""


@dataclass
class Choice(Options):
    """A choice without options."""

    name: str = MISSING


@dataclass
class Shrink(Choice):
    """Soft-shrink."""

    threshold: float = between(0, LARGEST, above=True)


@dataclass
class Satlin(Choice):
    """The saturating linear unit."""

    low: float = between(-LARGEST, LARGEST)
    high: float = between(-LARGEST, LARGEST)

    def misfit(self) -> str:
        """The ends, the wrong way round."""
        fits = self.low < self.high
        return "" if fits else f"act.low={self.low:g}, act.high={self.high:g}: act.high must be above act.low"


@dataclass
class Mlp(Choice):
    """Fully connected layers."""

    widths: list[int] = between(1, WIDEST)  # noqa: RUF009
    tied: bool = MISSING
    batch_norm: bool = MISSING

    def misfit(self) -> str:
        """More layers than anybody trains."""
        return _too_deep("arch.widths", self.widths)


@dataclass
class Conv(Choice):
    """Convolutions, then a fully connected code."""

    channels: list[int] = between(1, WIDEST)  # noqa: RUF009
    kernel: int = count(most=WIDEST)
    stride: int = count(most=WIDEST)
    code: int = count(most=WIDEST)
    batch_norm: bool = MISSING

    def misfit(self) -> str:
        """More layers than anybody trains."""
        return _too_deep("arch.channels", self.channels)


@dataclass
class Source(Choice):
    """What every data source has."""

    valid: float = between(0, 1, above=True, below=True)
    split_seed: int = between(0, SEEDS, below=True)
    limit: int | None = count()


@dataclass
class Divided(Source):
    """One pool of examples, divided into three splits."""

    test: float = between(0, 1, above=True, below=True)

    def misfit(self) -> str:
        """Shares that leave nothing to train on."""
        fits = self.valid + self.test < 1
        return "" if fits else f"data.valid={self.valid:g}, data.test={self.test:g}: together must be below 1"


@dataclass
class Manifold(Divided):
    """A curve in the plane."""

    curve: str = one_of("arc", "line", "circle", "spiral")
    count: int = count(3, 10**7)


@dataclass
class Published(Source):
    """A published data set, which has a test split."""

    dir: str | None = path()


@dataclass
class Mnist(Published):
    """MNIST, or what is made like it."""

    binarize: bool = MISSING


@dataclass
class Patches(Divided):
    """Patches of photographs."""

    path: str | None = path()
    size: int = count(most=WIDEST)
    count: int = count(3, 10**8)
    colour: bool = MISSING


@dataclass
class Array(Divided):
    """The user's own numbers."""

    labels: str | None = path()
    test_path: str | None = path()
    test_labels: str | None = path()
    path: str = path()
    layout: str = one_of("auto", "channels_first", "channels_last")
    span: list[float] | None = between(-LARGEST, LARGEST)  # noqa: RUF009

    def misfit(self) -> str:
        """A range that is none."""
        if self.span is not None and not (len(self.span) == 2 and self.span[0] < self.span[1]):
            return f"data.span={self.span}: give the smallest and the largest value, such as [0,1]"
        return super().misfit()


@dataclass
class Folder(Divided):
    """The user's own images."""

    test_path: str | None = path()
    path: str = path()
    size: int | None = count(most=WIDEST)
    colour: bool = MISSING


@dataclass
class Hf(Divided):
    """A data set of the Hugging Face hub."""

    path: str = path()
    config: str | None = MISSING
    column: str = MISSING
    label: str | None = MISSING
    train_split: str = MISSING
    test_split: str | None = MISSING
    size: int | None = count(most=WIDEST)
    colour: bool = MISSING


@dataclass
class Additive(Choice):
    """Noise that is added, in the data's own units."""

    level: float = between(0, LARGEST)


@dataclass
class Replacing(Choice):
    """Noise that replaces a share of the elements."""

    level: float = between(0, 1)


@dataclass
class Adam(Choice):
    """Adam."""

    lr: float = between(0, above=True)
    weight_decay: float = between(0)


@dataclass
class Sgd(Adam):
    """Stochastic gradient descent."""

    momentum: float = between(0, 1, below=True)
