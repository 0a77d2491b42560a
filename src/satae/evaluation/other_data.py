"""Another data set in the place of the one that a model was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from torch import Tensor
from torch.nn.functional import interpolate

from satae.config import ConfigError
from satae.config.evaluation import AUTO, NONE
from satae.config.registries import DATA_SOURCES
from satae.data.dataset import Dataset
from satae.data.published import is_complete
from satae.evaluation.subject import Subject
from satae.plots.pictures import is_image

FEWEST: Final = 20  # patches, of which each split gets some


def taken(other: str, own: str, shape: Sequence[int]) -> str:
    """The name of the other data set; ``"none"`` for no other.

    ``auto`` takes patches of the two photographs in scikit-learn, or for a model of patches its digits; nothing for
    inputs that are no images.

    Args:
        other: as it was chosen.
        own: the name of the data set of the run.
        shape: of its inputs.

    Raises:
        ConfigError: it is that of the run, not on this machine, or of images where the inputs are none.
    """
    if other == NONE or (other == AUTO and not is_image(shape)):
        return NONE
    if other == AUTO:
        return "digits" if own == "patches" else "patches"
    if not is_image(shape):
        raise ConfigError(f"manifold.other={other}: the inputs of the run are no images; choose none")
    if other == own:
        raise ConfigError(f"manifold.other={other}: is what the run was trained on; choose another, or none")
    published = DATA_SOURCES[other].facts.get("published")
    if published and not is_complete(published):
        raise ConfigError(f"manifold.other={other}: is not on this machine; fetch it: satae-data fetch {other}")
    return other


def images(name: str, subject: Subject) -> Tensor:
    """Inputs of another data set as images like those of a model: (m, *shape), m at most as many as the model's.

    They are those of its training split, their range stretched to that of the data, smoothly scaled to the size; grey
    ones are taken for all channels alike, of coloured ones for grey the mean. Patches are cut at the size.

    Raises:
        ConfigError: it cannot be read.
    """
    shape, n = subject.data.shape, len(subject.x)
    options: dict[str, Any] = {"limit": n}
    if name == "patches":
        options = {"size": max(shape[1:]), "colour": shape[0] == 3, "count": max(FEWEST, 2 * n), "limit": n}
    try:
        data: Dataset = DATA_SOURCES[name].build(**options)
    except (OSError, ValueError) as error:
        raise ConfigError(f"manifold.other={name}: cannot be read ({error}); choose another, or none") from None
    x = (data.batch(data.train.x) - data.span[0]) / (data.span[1] - data.span[0])
    if x.shape[2:] != shape[1:]:
        x = interpolate(x, shape[1:], mode="bilinear", antialias=True)
    if x.shape[1] != shape[0]:
        x = x.mean(dim=1, keepdim=True).expand(-1, shape[0], -1, -1)
    low, high = subject.data.span
    return (low + (high - low) * x).clamp(low, high).to(subject.x.device)
