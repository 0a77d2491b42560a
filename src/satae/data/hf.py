"""A data set from the Hugging Face hub, or from a folder in a format of its library."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from satae.config.option_types import Count, HubPath, OpenShare, Seed, Width
from satae.config.registry import DATA_SOURCES
from satae.data import images
from satae.data.arrays import split_user_data, to_examples, to_labels
from satae.data.dataset import Dataset, Split, Stored
from satae.data.local_files import expand_path, reason


@DATA_SOURCES.register("hf", origin="the Hugging Face hub, or a folder in its formats")
def hf(
    *,
    path: HubPath,
    config: str | None = None,
    column: str = "image",
    label: str | None = None,
    train_split: str = "train",
    test_split: str | None = None,
    size: Width | None = None,
    colour: bool = False,
    valid: OpenShare = 0.15,
    test: OpenShare = 0.15,
    split_seed: Seed = 0,
    limit: Count | None = None,
) -> Dataset:
    """Images, or arrays of numbers, from one column of a data set.

    Images are decoded once into a file in the user's cache; they are in [0, 1]. Arrays are kept in memory, and are
    treated as by :func:`satae.data.arrays.array`. Streaming is not offered, and data sets that bring code are refused.

    Raises:
        ValueError: it is missing, cannot be read, has no such split or column, or holds values that cannot be used.
    """
    where = f"path={path}"
    found = _load(where, path, config)
    parts = [
        (f"{where}, {name}", _read_split(where, found, name, column, label, size, colour))
        for name in (train_split, test_split)
        if name
    ]
    return split_user_data("hf", parts, valid, test, split_seed, limit, remedy="set size")


def _load(where: str, path: str, config: str | None) -> dict[str, Any]:
    """The splits of the data set, by name."""
    try:
        import datasets
    except ImportError:
        raise ValueError("needs the package datasets; install it with pip install 'satae[hf]'") from None
    folder = expand_path(path)
    if folder.is_file():
        raise ValueError(f"{where}: is a file; name the folder that it is in")
    if path.startswith(("/", ".", "~")) and not folder.exists():
        raise ValueError(f"{where}: no such folder")
    try:
        if (folder / "dataset_dict.json").exists() or (folder / "state.json").exists():
            found = datasets.load_from_disk(folder)
        else:
            found = datasets.load_dataset(str(folder) if folder.exists() else path, config)
    except Exception as error:  # the library, its file systems and its parsers raise many kinds of error
        raise ValueError(f"{where}: cannot be loaded ({type(error).__name__}: {reason(error)})") from None
    return dict(found) if isinstance(found, dict) else {"train": found}


def _read_split(
    where: str, found: dict[str, Any], name: str, column: str, label: str | None, size: int | None, colour: bool
) -> Split:
    if name not in found:
        raise ValueError(f"{where}: has no split {name}; there are {', '.join(found)}")
    part = found[name]
    for wanted in (column, label):
        if wanted and wanted not in part.features:
            raise ValueError(f"{where}: has no column {wanted}; there are {', '.join(part.features)}")
    y = to_labels(f"{where}, column {label}", np.asarray(part[label][:]), len(part)) if label else None
    return Split(_read_column(f"{where}, column {column}", part, column, size, colour), y)


def _read_column(where: str, part: Any, column: str, size: int | None, colour: bool) -> Stored:
    import datasets

    leaf = part.features[column]
    if not isinstance(leaf, datasets.Image):
        while hasattr(leaf, "feature"):
            leaf = leaf.feature
        kind = str(getattr(leaf, "dtype", "object"))
        # without its own type, the library would make the column int64 or float32
        own_type = {"dtype": np.dtype(kind)} if kind.startswith(("uint", "int", "float")) else {}
        return to_examples(where, np.asarray(part.with_format("numpy", **own_type)[column][:]))

    def describe(number: int) -> str:
        return f"{where}, image {number}"

    def load(number: int) -> images.Pixels:
        with images.explain_image_errors(describe(number)):
            return images.to_pixels(part[number][column], size, colour)

    files = [file["filename"] for file in part.cache_files]
    origin = [
        part._fingerprint,
        str(part.split),
        column,
        str(len(part)),
        *(f"{file} {os.stat(file).st_mtime_ns}" for file in files),
    ]
    return images.decode_once(f"hf-{part.split}", origin, len(part), load, describe, size=size, colour=colour)
