"""A data set from the Hugging Face hub, or from a folder in a format of its library."""

from __future__ import annotations

import io
import os
from functools import partial
from typing import Any, BinaryIO, cast

import numpy as np

from satae.config.option_types import Count, HubPath, OpenShare, Seed, Width
from satae.config.registry import DATA_SOURCES
from satae.data import images
from satae.data.dataset import Dataset
from satae.data.decoding import Background
from satae.data.labels import read_labels
from satae.data.local_files import NotStoredError, check_writing_allowed, expand_path
from satae.data.numeric_arrays import Center, find_center, to_examples
from satae.data.user_data import Part, split_user_data
from satae.messages import reason


@DATA_SOURCES.register("hf")
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
    background: Background = "auto",
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
    parts = list[Part]()
    first: images.DecodedImages | Center | None = None
    for name in (train_split, test_split):
        if name is None:
            continue
        table = _find_split(where, found, name, column, label)
        labels = None
        if label:
            labels = read_labels(f"{where}, column {label}", np.asarray(table[label][:]), len(table))
        place, column_place = f"{where}, {name}", f"{where}, column {column}"
        if isinstance(table.features[column], _image_type()):
            decoded = _decode(column_place, table, column, size, colour, background, first)
            first = first or decoded
            labels = None if labels is None else labels[decoded.file_numbers.numpy()]
            parts.append(Part(place, decoded.x, labels, decoded.groups, notes=decoded.notes))
        else:
            values = _read_numbers(table, column)
            center = first if isinstance(first, Center) else find_center(place, values)
            first = center
            x = to_examples(column_place, values, center=center.values)
            parts.append(Part(place, x, labels, center=center.values, notes=center.notes))
    are_images = isinstance(first, images.DecodedImages)
    return split_user_data("hf", parts, valid, test, split_seed, limit, remedy="set size", is_brightness=are_images)


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
            check_writing_allowed()  # it copies what it reads into its cache
            found = datasets.load_dataset(str(folder) if folder.exists() else path, config)
    except NotStoredError:
        raise
    except Exception as error:  # the library, its file systems and its parsers raise many kinds of error
        remedy = "; set HF_HOME to a folder" if "home directory" in str(error) else ""
        raise ValueError(f"{where}: cannot be loaded ({type(error).__name__}: {reason(error)}){remedy}") from None
    return dict(found) if isinstance(found, dict) else {"train": found}


def _find_split(where: str, found: dict[str, Any], name: str, column: str, label: str | None) -> Any:
    """A split of the data set, which has the columns.

    Raises:
        ValueError: there is no such split or column.
    """
    if name not in found:
        raise ValueError(f"{where}: has no split {name}; there are {', '.join(found)}")
    part = found[name]
    for wanted in (column, label):
        if wanted and wanted not in part.features:
            raise ValueError(f"{where}: has no column {wanted}; there are {', '.join(part.features)}")
    return part


def _image_type() -> type:
    import datasets

    kind: type = datasets.Image
    return kind


def _read_numbers(part: Any, column: str) -> np.ndarray:
    leaf = part.features[column]
    while hasattr(leaf, "feature"):
        leaf = leaf.feature
    kind = str(getattr(leaf, "dtype", "object"))
    # without its own type, the library would make the column int64 or float32
    own_type = {"dtype": np.dtype(kind)} if kind.startswith(("uint", "int", "float")) else {}
    return np.asarray(part.with_format("numpy", **own_type)[column][:])


def _decode(
    where: str, part: Any, column: str, size: int | None, colour: bool, background: Background, like: Any
) -> images.DecodedImages:
    """The images of a column, decoded like those in ``like`` if those are images."""
    import datasets
    import PIL.Image

    PIL.Image.init()
    formats = tuple(name for name in PIL.Image.OPEN if name != "EPS")  # which would start a program
    packed = part.cast_column(column, datasets.Image(decode=False))

    def open_image(number: int) -> BinaryIO:
        found = packed[number][column]
        if found is None:
            raise ValueError("there is none")
        if found["bytes"] is not None:
            return io.BytesIO(found["bytes"])
        import fsspec  # type: ignore[import-untyped]

        return cast(BinaryIO, fsspec.open(found["path"], "rb").open())

    files = [file["filename"] for file in part.cache_files]
    origin = [
        part._fingerprint,
        str(part.split),
        column,
        str(len(part)),
        *(f"{file} {os.stat(file).st_mtime_ns}" for file in files),
    ]
    return images.decode_once(
        f"hf-{part.split}",
        origin,
        [images.ImageFile(f"{where}, image {n}", partial(open_image, n), formats) for n in range(len(part))],
        background,
        size=size,
        colour=colour,
        like=like.rendering if isinstance(like, images.DecodedImages) else None,
    )
