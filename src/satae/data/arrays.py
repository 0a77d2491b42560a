"""The user's own arrays in ``.npy`` and ``.npz`` files."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Final, NamedTuple

import numpy as np
from pydantic import Field

from satae.config.option_types import IN_MEMORY, Count, FilePath, OpenShare, Seed, SpanOption
from satae.config.registry import DATA_SOURCES
from satae.data.dataset import Dataset
from satae.data.labels import read_labels
from satae.data.local_files import expand_path
from satae.data.numeric_arrays import Center, Layout, find_center, to_examples
from satae.data.user_data import Part, split_user_data
from satae.messages import brief, reason
from satae.model.architectures import likely_images

SAMPLE_EXAMPLES: Final = 1024  # that are looked at for flattened images
ROWS_AT_A_TIME: Final = 4096  # of an array, when it is read once
NPZ_NAMES: Final = ("x", "y", "x_train", "y_train", "x_test", "y_test")


class Arrays(NamedTuple):
    """The arrays of some examples, as they are in the file."""

    where: str  # their origin, for messages
    x: np.ndarray
    y: np.ndarray | None
    labels_from: str
    notes: tuple[str, ...] = ()


_in_memory = dict[str, tuple[np.ndarray, np.ndarray | None]]()  # what was given in Python, by its name


@contextmanager
def arrays_in_memory(x: np.ndarray, y: np.ndarray | None = None) -> Iterator[str]:
    """Within the context, ``data.path`` can name these arrays by the name that is yielded.

    The name stands for the numbers: equal arrays have the same name in every process.

    Args:
        x: the examples, as a ``.npy`` file would hold them; a memory map stays in its file.
        y: their labels, if there are any.
    """
    digest = hashlib.sha256()
    for part in (x,) if y is None else (x, y):
        digest.update(f"{part.dtype.str} {part.shape}".encode())
        for start in range(0, len(part), ROWS_AT_A_TIME):
            digest.update(part[start : start + ROWS_AT_A_TIME].tobytes())
    name = f"{IN_MEMORY}{digest.hexdigest()[:16]}"
    _in_memory[name] = (x, y)
    try:
        yield name
    finally:
        _in_memory.pop(name, None)


@DATA_SOURCES.register("array")
def array(
    *,
    path: Annotated[FilePath, Field(examples=["inputs.npy"])],
    labels: FilePath | None = None,
    test_path: FilePath | None = None,
    test_labels: FilePath | None = None,
    layout: Layout = "auto",
    span: SpanOption | None = None,
    valid: OpenShare = 0.15,
    test: OpenShare = 0.15,
    split_seed: Seed = 0,
    limit: Count | None = None,
) -> Dataset:
    """Vectors (N, D), or images (N, H, W), (N, H, W, C) or (N, C, H, W).

    Bytes (uint8) are brightness, and become numbers from 0 to 1; floating-point numbers stay as they are. A large
    ``.npy`` file is not read into memory: batches are read from it.

    Raises:
        ValueError: a file cannot be read; numbers have another type or shape, are not finite, or lie outside ``span``;
            labels do not fit; a split would be empty.
    """
    if span is not None and not span[0] < span[1]:
        raise ValueError(f"span={list(span)}: give the smallest and the largest value, such as [0,1]")
    if test_labels and not test_path:
        raise ValueError(f"test_labels={test_labels}: belongs to test_path; give that too")
    found = read_arrays("", path, labels)
    if test_path:
        if len(found) > 1:
            raise ValueError(f"test_path={test_path}: {path} has examples for the test already; leave one out")
        found += read_arrays("test_", test_path, test_labels)
    center = find_center(found[0].where, found[0].x)
    if span is not None and center.values is not None:
        lost = f"{found[0].where}: float32 cannot distinguish all its numbers; without data.span, they are centered"
        center = Center(None, [lost])
    parts = [
        Part(
            one.where,
            to_examples(one.where, one.x, layout, center.values),
            None if one.y is None else read_labels(one.labels_from, one.y, len(one.x)),
            center=center.values,
            notes=[*one.notes, *center.notes, *(_find_flattened(one) if one is found[0] else ())],
        )
        for one in found
    ]
    return split_user_data("array", parts, valid, test, split_seed, limit, span, remedy="save both alike")


def _find_flattened(one: Arrays) -> Iterator[str]:
    """A line that names images saved as vectors: a square number of columns, not negative, and most of one range."""
    images = likely_images(one.x.shape[1]) if one.x.ndim == 2 else None
    if images is None or not len(one.x):
        return
    sample = np.asarray(one.x[:: -(-len(one.x) // SAMPLE_EXAMPLES)], np.float64)
    if np.isfinite(sample).all() and sample.min() >= 0 and np.median(np.ptp(sample, axis=0)) > sample.max() / 2:
        size, remedy = images
        yield (
            f"{one.where}: has {one.x.shape[1]:,} columns of one range, as images of {size} that were saved as vectors;"
            f" as vectors they are not drawn as pictures and arch=conv refuses them; if they are images, save {remedy}"
        )


def read_arrays(prefix: str, path: str, labels: str | None) -> list[Arrays]:
    """The examples of a file, then its examples for the test if it has any; ``prefix`` begins the options' names."""
    if path.startswith(IN_MEMORY) and not os.path.exists(path):
        return [_read_memory(prefix, path, labels)]
    file = expand_path(path)
    for place in filter(None, (path, labels)):
        if (named := expand_path(place)).exists() and not named.is_file() and not named.is_dir():
            raise ValueError(f"{place}: is not a file but a pipe or a device; save the data in a file")
    for option, named_file in (("path", path), ("labels", labels)):
        if named_file and named_file.endswith((".npy", ".npz")) and not expand_path(named_file).exists():
            raise ValueError(f"{prefix}{option}={named_file}: no such file")
    if file.suffix == ".npy":
        return [Arrays(path, _load_npy(path), _load_npy(labels) if labels else None, labels or path)]
    if file.is_dir():
        raise ValueError(f"{path}: is a folder; images in a folder are read by data=folder")
    if file.suffix != ".npz":
        raise ValueError(
            f"{path}: must be a .npy or .npz file, as numpy.save and numpy.savez write them; from text:"
            " numpy.save('x.npy', numpy.loadtxt('x.csv', delimiter=','))"
        )
    if labels:
        raise ValueError(f"{prefix}labels={labels}: belongs to a .npy file; {path} has its labels in itself, as y")
    found, unread = _load_npz(path)
    if len(found) == 1 and not {"x_train", "x_test"} & {*found}:
        found = {"x": next(iter(found.values()))}
    parts = {name: found[name] for name in ("x", "x_train", "x_test") if name in found}
    if {*parts} not in ({"x"}, {"x_train"}, {"x_train", "x_test"}):
        names = brief(", ".join(found) or "nothing")
        raise ValueError(f"{path}: has {names}; name the examples x, or x_train and x_test")
    used = {*parts, *(name.replace("x", "y", 1) for name in parts)}
    unread = [*unread, *(name for name in found if name not in used)]
    notes = (f"{path}: not read: {brief(', '.join(unread))}",) if unread else ()
    return [
        Arrays(f"{path}, {name}", values, found.get(name.replace("x", "y", 1)), f"{path}, {name}", notes)
        for name, values in parts.items()
    ]


def _read_memory(prefix: str, name: str, labels: str | None) -> Arrays:
    """The examples that were given in Python under a name."""
    if name not in _in_memory:
        raise ValueError(
            f"{prefix}path={name}: stands for an array that was given in Python and is not known here; give the array"
            f" again (data=x in Python), or save it with numpy.save and name the file (data.{prefix}path=x.npy)"
        )
    x, y = _in_memory[name]
    if y is not None and labels:
        raise ValueError(f"{prefix}labels={labels}: the array has labels of its own; leave one of them out")
    return Arrays("the array", x, _load_npy(labels) if y is None and labels else y, labels or "the array")


def _load_npy(path: str) -> np.ndarray:
    """The array of a ``.npy`` file; it is mapped, not read, if it is stored row by row."""
    try:
        array = np.load(expand_path(path), mmap_mode="r", allow_pickle=False)
        if not isinstance(array, np.memmap):
            array.close()
            raise ValueError("it is a .npz file")
    except Exception as error:  # numpy raises many kinds of error for other files
        raise ValueError(_unreadable(path, ".npy", error, "numpy.save")) from None
    return array if array.flags.c_contiguous else np.asarray(array.copy("C"))


def _load_npz(path: str) -> tuple[dict[str, np.ndarray], list[str]]:
    """The arrays of a ``.npz`` file that have one of the names that we know, or its only array; and the other names."""
    try:
        with expand_path(path).open("rb") as file, np.load(file, allow_pickle=False) as found:
            names = [name for name in found.files if name in NPZ_NAMES or len(found.files) == 1]
            arrays = {name: np.asanyarray(found[name]) for name in names}
            if not arrays:
                return dict.fromkeys(found.files, np.empty(0)), []
            return arrays, [name for name in found.files if name not in arrays]
    except Exception as error:  # numpy and its archives raise many kinds of error for other files
        raise ValueError(_unreadable(path, ".npz", error, "numpy.savez")) from None


def _unreadable(path: str, suffix: str, error: Exception, function: str) -> str:
    """Why a file of numpy's cannot be read, with a remedy. Python objects can hold code."""
    remedy = f"write it with {function}"
    if "object" in str(error).lower():
        remedy += " from an array of numbers, such as numpy.array(rows, dtype='float32') of rows of one length"
    return f"{path}: cannot be read as a {suffix} file ({reason(error)}); {remedy}"
