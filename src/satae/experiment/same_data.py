"""Whether the data are those that a run began with."""

from __future__ import annotations

from typing import Any

from satae.data.dataset import Dataset, fingerprint, is_fingerprint
from satae.printable import brief


def check_data(facts: dict[str, Any], data: Dataset, known: str | None = None) -> None:
    """Refuse to go on with other data than a run began with.

    Args:
        facts: of a checkpoint.
        data: that are there now.
        known: their fingerprint, where it has been taken.

    Raises:
        KeyError: the facts say nothing of data.
        ValueError: they are others.
    """
    samples = len(data.train.x)
    check_shape(facts, data)
    if facts["samples"] != samples:
        raise ValueError(f"there were {brief(facts['samples'])} inputs to train on, and are {samples} now")
    if not is_fingerprint(facts["data"]):
        raise ValueError("it is of an earlier version, which looked at a few of the data alone")
    if facts["data"] != (known or fingerprint(data)):
        raise ValueError("the numbers in the data are others")


def check_shape(facts: dict[str, Any], data: Dataset) -> None:
    """Refuse data of another shape than those that a model was trained on.

    Args:
        facts: of a checkpoint.
        data: that are there now.

    Raises:
        KeyError: the facts say nothing of a shape.
        ValueError: it is another one.
    """
    if facts["shape"] != list(data.shape):
        raise ValueError(f"the data are of shape {list(data.shape)} now, not {brief(facts['shape'])}")
