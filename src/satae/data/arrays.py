"""The user's own arrays in ``.npy`` and ``.npz`` files, and checks that all of the user's own data must pass."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Final, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from satae.config.option_types import Count, FilePath, OpenShare, Seed, Span
from satae.config.registry import DATA_SOURCES
from satae.data.dataset import Dataset, OnDisk, Split, Stored, as_stored, chunk, shuffled_splits
from satae.data.local_files import expand_path, reason

NPZ_NAMES: Final = ("x", "y", "x_train", "y_train", "x_test", "y_test")
CHANNEL_COUNTS: Final = (1, 2, 3, 4)  # lengths by which an axis of channels is recognised

Layout = Literal["auto", "channels_first", "channels_last"]


@DATA_SOURCES.register("array", origin="a .npy or .npz file")
def array(
    *,
    path: Annotated[FilePath, Field(examples=["inputs.npy"])],
    labels: FilePath | None = None,
    test_path: FilePath | None = None,
    test_labels: FilePath | None = None,
    layout: Layout = "auto",
    span: Span | None = None,
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
    parts = _read("labels", path, labels, layout)
    if test_path:
        if len(parts) > 1:
            raise ValueError(f"test_path={test_path}: {path} has examples for the test already; leave one out")
        parts += _read("test_labels", test_path, test_labels, layout)
    return split_user_data("array", parts, valid, test, split_seed, limit, span, remedy="save both alike")


def _read(option: str, path: str, labels: str | None, layout: Layout) -> list[tuple[str, Split]]:
    """The examples of a file, then its examples for the test if it has any, each with a description of its origin."""
    file = expand_path(path)
    if file.suffix == ".npy":
        x = to_examples(path, _load_npy(path), layout)
        return [(path, Split(x, to_labels(labels, _load_npy(labels), len(x)) if labels else None))]
    if file.is_dir():
        raise ValueError(f"{path}: is a folder; images in a folder are read by data=folder")
    if file.suffix != ".npz":
        raise ValueError(f"{path}: must be a .npy or .npz file, as numpy.save and numpy.savez write them")
    if labels:
        raise ValueError(f"{option}={labels}: belongs to a .npy file; {path} has its labels in itself, as y")
    found = _load_npz(path)
    if len(found) == 1 and not {"x_train", "x_test"} & {*found}:
        found = {"x": next(iter(found.values()))}
    parts = {name: found[name] for name in ("x", "x_train", "x_test") if name in found}
    if {*parts} not in ({"x"}, {"x_train"}, {"x_train", "x_test"}):
        raise ValueError(f"{path}: has {', '.join(found) or 'nothing'}; name the examples x, or x_train and x_test")
    splits = []
    for name, values in parts.items():
        where = f"{path}, {name}"
        x, y = to_examples(where, values, layout), found.get(name.replace("x", "y", 1))
        splits.append((where, Split(x, None if y is None else to_labels(where, y, len(x)))))
    return splits


def _load_npy(path: str) -> np.ndarray:
    """The array of a ``.npy`` file; it is mapped, not read, if it is stored row by row."""
    try:
        array = np.load(expand_path(path), mmap_mode="r", allow_pickle=False)
        if not isinstance(array, np.memmap):
            array.close()
            raise ValueError("it is a .npz file")
    except FileNotFoundError:
        raise ValueError(f"{path}: no such file") from None
    except Exception as error:  # numpy raises many kinds of error for other files
        raise ValueError(f"{path}: cannot be read as a .npy file ({reason(error)}); write it with numpy.save") from None
    return array if array.flags.c_contiguous else np.asarray(array.copy("C"))


def _load_npz(path: str) -> dict[str, np.ndarray]:
    """The arrays of a ``.npz`` file that have one of the names that we know, or its only array."""
    try:
        with expand_path(path).open("rb") as file, np.load(file, allow_pickle=False) as found:
            names = [name for name in found.files if name in NPZ_NAMES or len(found.files) == 1]
            arrays = {name: np.asanyarray(found[name]) for name in names}
            return arrays or dict.fromkeys(found.files, np.empty(0))
    except FileNotFoundError:
        raise ValueError(f"{path}: no such file") from None
    except Exception as error:  # numpy and its archives raise many kinds of error for other files
        raise ValueError(
            f"{path}: cannot be read as a .npz file ({reason(error)}); write it with numpy.savez"
        ) from None


def split_user_data(
    name: str,
    parts: Sequence[tuple[str, Split]],
    valid: float,
    test: float,
    seed: int,
    limit: int | None,
    span: Sequence[float] | None = None,
    *,
    remedy: str,
) -> Dataset:
    """Check the user's examples and divide them into three splits.

    ``parts`` are the examples to train on, and optionally those for the test; each with its origin, for messages.
    ``remedy`` says what to do if the test examples have another shape or type. The rest are options of the source
    ``name``.

    Raises:
        ValueError: the test examples have another shape or type, a number is out of range, a split would be empty.
    """
    kinds = [f"{tuple(x.shape[1:])} of {'uint8' if x.itemsize == 1 else 'float32'}" for _, (x, _) in parts]
    for (where, _), kind in zip(parts, kinds, strict=True):
        if kind != kinds[0]:
            raise ValueError(f"{where}: its test examples are {kind}, those to train on {kinds[0]}; {remedy}")
    for where, part in parts:
        value_range(where, part.x, span)
    (where, pool), *tests = parts
    splits = shuffled_splits(pool, valid=valid, test=tests[0][1] if tests else test, seed=seed, limit=limit)
    span = value_range(where, splits[0].x, span)  # of the training split alone: the noise may know no more
    return Dataset(name, *splits, span=span, scale=1 / 255 if pool.x.itemsize == 1 else 1.0)


def to_examples(where: str, values: np.ndarray, layout: Layout = "auto") -> Stored:
    """Convert an array to examples as they are stored, with the channels of images first.

    ``where`` is the origin of the array, for messages. The layout ``"auto"`` takes the axis of length 1 to 4 as the
    channels.

    Raises:
        ValueError: the array has another type or shape.
    """
    shape, kind = values.shape, values.dtype
    if kind != np.uint8 and kind.kind != "f":
        raise ValueError(
            f"{where}: holds {kind}; must be floating-point, x.astype('float32'), or uint8, x.astype('uint8') of"
            " brightness from 0 to 255"
        )
    if 0 in shape:
        raise ValueError(f"{where}: is empty, of shape {shape}")
    if len(shape) not in (2, 3, 4):
        raise ValueError(f"{where}: has shape {shape}; must be (N, D), (N, H, W), (N, H, W, C) or (N, C, H, W)")
    axes = tuple(range(len(shape)))
    if len(shape) == 3:
        shape, axes = (shape[0], 1, *shape[1:]), (0, 1, 2, 3)
    elif len(shape) == 4:
        first, last = shape[1] in CHANNEL_COUNTS, shape[3] in CHANNEL_COUNTS
        if layout == "auto" and first == last:
            raise ValueError(
                f"{where}: has shape {shape}, in which the axis of the channels is not clear; choose"
                " layout=channels_first or layout=channels_last"
            )
        if {"auto": last, "channels_first": False, "channels_last": True}[layout]:
            axes = (0, 3, 1, 2)
    if isinstance(values, np.memmap):
        return replace(OnDisk.of(values), row=shape[1:], axes=axes)
    return as_stored(values.reshape(shape).transpose(axes))


def to_labels(where: str, values: np.ndarray, count: int) -> Tensor:
    """Convert an array (count,) or (count, 1) to labels (count,); ``where`` is its origin, for messages.

    Raises:
        ValueError: the array has another shape, or does not hold whole numbers.
    """
    if values.shape not in ((count,), (count, 1)) or values.dtype.kind not in "iu":
        raise ValueError(
            f"{where}: has labels of shape {values.shape}, {values.dtype}; must be {count} whole numbers, one for each"
            " example: y.astype('int64'), or y.argmax(1)"
        )
    return torch.from_numpy(values.astype(np.int64).reshape(count))


def value_range(where: str, x: Stored, span: Sequence[float] | None = None) -> tuple[float, float]:
    """The smallest and the largest value of some examples in the data's own units, or the ``span`` that they must keep.

    Raises:
        ValueError: a number is not finite or lies outside ``span``, or all numbers are the same.
    """
    if x.itemsize == 1:
        if span is not None:
            raise ValueError(f"span={list(span)}: {where} holds uint8, which is read as 0 to 1; leave span out")
        return 0.0, 1.0
    low, high = span or (-math.inf, math.inf)
    ends, size = list[float](), chunk(tuple(x.shape[1:]))
    for number, part in enumerate(x.split(size)):
        values = part.float().flatten(1)
        fits = (values >= low) & (values <= high) & values.isfinite()
        if not fits.all():
            row = int(fits.all(dim=1).long().argmin())
            wrong = values[row][~fits[row]][0].item()
            fault = f"outside span={list(span)}" if span and math.isfinite(wrong) else "not a finite number"
            raise ValueError(f"{where}: example {number * size + row} holds {wrong:g}, {fault}; fix or remove it")
        ends += [values.min().item(), values.max().item()]
    if min(ends) == max(ends):
        raise ValueError(f"{where}: every number is {ends[0]:g}, so that there is nothing to learn")
    return (low, high) if span else (min(ends), max(ends))
