"""A data set of the Hugging Face hub, or one on the disk in the format of its library."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from satae.data import images
from satae.data.cache import located
from satae.data.dataset import Dataset, Split, Stored
from satae.data.errors import reason
from satae.data.examples import as_labels, dataset_of, examples


def hf(
    *,
    path: str,
    config: str | None = None,
    column: str = "image",
    label: str | None = None,
    train_split: str = "train",
    test_split: str | None = None,
    size: int | None = None,
    colour: bool = False,
    valid: float = 0.15,
    test: float = 0.15,
    split_seed: int = 0,
    limit: int | None = None,
) -> Dataset:
    """Images, or arrays of numbers, from one column of a data set.

    Images are decoded once into a file in the user's cache; they are in [0, 1]. Arrays are held in memory, and are what
    :func:`satae.data.arrays.array` takes. A data set that is only streamed is not read, nor one that brings code.

    Args:
        path: name on the hub, such as ``ylecun/mnist``; or a folder that ``Dataset.save_to_disk`` wrote, or one with
            files that the library reads.
        config: which configuration of the data set, where it has several.
        column: with the images or arrays.
        label: column with whole numbers as labels.
        train_split: the data set's own split to train on.
        test_split: its split for the test, if it has one.
        size: side of the square to which the middle of each image is scaled; None leaves them as they are.
        colour: red, green and blue rather than grey.
        valid: share of the examples for validation.
        test: share for the test, where there is no ``test_split``.
        split_seed: of the split.
        limit: use only the first ``limit`` examples of each split.

    Raises:
        ValueError: it is not there, cannot be read, has no such split or column, or holds what cannot be used.
    """
    where = f"data.path={path}"
    found = _load(where, path, config)
    parts = [
        (f"{where}, {name}", _split(where, found, name, column, label, size, colour))
        for name in (train_split, test_split)
        if name
    ]
    return dataset_of("hf", parts, remedy="set data.size", valid=valid, test=test, seed=split_seed, limit=limit)


def _load(where: str, path: str, config: str | None) -> dict[str, Any]:
    try:
        import datasets
    except ImportError:
        raise ValueError("data=hf: needs the package datasets; install it with pip install 'satae[hf]'") from None
    folder = located(path)
    if folder.is_file():
        raise ValueError(f"{where}: is a file; name the folder that it is in")
    if path.startswith(("/", ".", "~")) and not folder.exists():
        raise ValueError(f"{where}: no such folder")
    try:
        if (folder / "dataset_dict.json").exists() or (folder / "state.json").exists():
            found = datasets.load_from_disk(folder)
        else:
            found = datasets.load_dataset(str(folder) if folder.exists() else path, config)
    except Exception as error:  # whatever the library, its file systems and its parsers raise
        raise ValueError(f"{where}: cannot be loaded ({type(error).__name__}: {reason(error)})") from None
    return dict(found) if isinstance(found, dict) else {"train": found}


def _split(
    where: str, found: dict[str, Any], name: str, column: str, label: str | None, size: int | None, colour: bool
) -> Split:
    if name not in found:
        raise ValueError(f"{where}: has no split {name}; there are {', '.join(found)}")
    part = found[name]
    for wanted in (column, label):
        if wanted and wanted not in part.features:
            raise ValueError(f"{where}: has no column {wanted}; there are {', '.join(part.features)}")
    y = as_labels(f"{where}, column {label}", np.asarray(part[label][:]), len(part)) if label else None
    return Split(_examples(f"{where}, column {column}", part, column, size, colour), y)


def _examples(where: str, part: Any, column: str, size: int | None, colour: bool) -> Stored:
    import datasets

    if not isinstance(part.features[column], datasets.Image):
        return examples(where, _numbers(part, column))

    def load(number: int) -> images.Pixels:
        with images.readable(describe(number)):
            return images.pixels(part[number][column], size, colour)

    def describe(number: int) -> str:
        return f"{where}, image {number}"

    files = [file["filename"] for file in part.cache_files]
    origin = [
        part._fingerprint,
        str(part.split),
        column,
        str(len(part)),
        *(f"{file} {os.stat(file).st_mtime_ns}" for file in files),
    ]
    return images.decoded(f"hf-{part.split}", origin, len(part), load, describe, size=size, colour=colour)


def _numbers(part: Any, column: str) -> np.ndarray:
    """A column as an array of its own type, which the library would make int64 or float32."""
    leaf = part.features[column]
    while hasattr(leaf, "feature"):
        leaf = leaf.feature
    kind = str(getattr(leaf, "dtype", "object"))
    exact = {"dtype": np.dtype(kind)} if kind.startswith(("uint", "int", "float")) else {}
    return np.asarray(part.with_format("numpy", **exact)[column][:])
