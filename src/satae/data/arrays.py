"""A user's own numbers, in ``.npy`` and ``.npz`` files."""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor

from satae.data.cache import reason
from satae.data.dataset import Dataset, Split, Stored, check_alike, chunk, shuffled_splits
from satae.data.on_disk import OnDisk, as_stored

CHANNELS: Final = (1, 2, 3, 4)  # how long an axis of channels may be, where the layout is to be found out
LAYOUTS: Final = ("auto", "channels_first", "channels_last")


def array(
    *,
    path: str,
    labels: str | None = None,
    test_path: str | None = None,
    test_labels: str | None = None,
    layout: str = "auto",
    span: Sequence[float] | None = None,
    valid: float = 0.15,
    test: float = 0.15,
    split_seed: int = 0,
    limit: int | None = None,
) -> Dataset:
    """Vectors (N, D), or images (N, H, W), (N, H, W, C) or (N, C, H, W).

    Bytes (uint8) are taken as brightness, from 0 to 1; floating-point numbers stay as they are. A ``.npy`` file that is
    large is not read into memory, but mapped.

    Args:
        path: a ``.npy`` file; or a ``.npz`` file with ``x``, or ``x_train`` and perhaps ``x_test``, and perhaps labels
            ``y``, ``y_train``, ``y_test``.
        labels: a ``.npy`` file (N,) of whole numbers, beside a ``.npy`` file.
        test_path: a file like ``path`` with examples for the test.
        test_labels: their labels.
        layout: ``"channels_first"``, ``"channels_last"``; ``"auto"`` takes the axis of length 1 to 4.
        span: the smallest and the largest value that the numbers promise to keep; None finds them out.
        valid: share of the examples for validation.
        test: share for the test, where there are no examples for it.
        split_seed: of the split.
        limit: use only the first ``limit`` examples of each split.

    Raises:
        ValueError: a file that cannot be read, numbers of another type or shape, nan or infinite ones, some outside
            ``span``, labels that do not fit; an empty split.
    """
    if layout not in LAYOUTS:
        raise ValueError(f"data.layout={layout}: choose one of {', '.join(LAYOUTS)}")
    if test_labels and not test_path:
        raise ValueError(f"data.test_labels={test_labels}: belongs to data.test_path; give that too")
    train, own_test = _read("data.labels", path, labels, layout)
    if test_path and own_test:
        raise ValueError(f"data.test_path={test_path}: {path} has examples for the test already; leave one of them out")
    if test_path:
        own_test, _ = _read("data.test_labels", test_path, test_labels, layout)
    if own_test:
        check_alike(test_path or path, own_test, train)
    ranges = [bounds(path, train.x, span), *([bounds(test_path or path, own_test.x, span)] if own_test else [])]
    low, high = min(least for least, _ in ranges), max(most for _, most in ranges)
    splits = shuffled_splits(train, valid=valid, test=own_test or test, seed=split_seed, limit=limit)
    return Dataset("array", *splits, span=(low, high), scale=1 / 255 if train.x.itemsize == 1 else 1.0)


def _read(option: str, path: str, labels: str | None, layout: str) -> tuple[Split, Split | None]:
    """The examples of a file, with labels that an option names, and those that it sets aside for the test."""
    file = Path(path).expanduser()
    if file.suffix == ".npy":
        x = examples(path, _loaded(path), layout)
        return Split(x, as_labels(labels, _loaded(labels), len(x)) if labels else None), None
    if file.suffix != ".npz":
        raise ValueError(f"{path}: must be a .npy or .npz file, as numpy.save and numpy.savez write them")
    if labels:
        raise ValueError(f"{option}={labels}: belongs to a .npy file; {path} has its labels in itself, as y")
    found = _unzipped(path)
    parts = {name: found[name] for name in ("x", "x_train", "x_test") if name in found}
    if {*parts} not in ({"x"}, {"x_train"}, {"x_train", "x_test"}):
        raise ValueError(f"{path}: has {', '.join(found) or 'nothing'}; name the examples x, or x_train and x_test")
    splits = []
    for name, values in parts.items():
        x, y = examples(f"{path}, {name}", values, layout), found.get(name.replace("x", "y", 1))
        splits.append(Split(x, None if y is None else as_labels(path, y, len(x))))
    return splits[0], splits[1] if len(splits) > 1 else None


def _loaded(path: str) -> np.ndarray:
    """The array of a ``.npy`` file: mapped, where its rows lie one after the other."""
    try:
        array = np.load(Path(path).expanduser().absolute(), mmap_mode="r", allow_pickle=False)
        if not isinstance(array, np.memmap):
            array.close()
            raise ValueError("it is a .npz file")
    except (OSError, ValueError, EOFError) as error:
        raise ValueError(f"{path}: cannot be read as a .npy file ({reason(error)}); write it with numpy.save") from None
    return array if array.flags.c_contiguous else np.asarray(array.copy("C"))


def _unzipped(path: str) -> dict[str, np.ndarray]:
    try:
        with Path(path).expanduser().open("rb") as file, np.load(file, allow_pickle=False) as found:
            return dict(found)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, TypeError) as error:
        raise ValueError(
            f"{path}: cannot be read as a .npz file ({reason(error)}); write it with numpy.savez"
        ) from None


def examples(where: str, values: np.ndarray, layout: str = "auto") -> Stored:
    """Examples as they are stored, with the channels of images first.

    Args:
        where: they come from, for messages.
        values: vectors (N, D), or images (N, H, W), (N, H, W, C) or (N, C, H, W).
        layout: which of the last two; ``"auto"`` takes the axis of length 1 to 4.

    Raises:
        ValueError: another type or shape.
    """
    shape, kind = values.shape, values.dtype
    if kind != np.uint8 and kind.kind != "f":
        raise ValueError(f"{where}: holds {kind}; must be uint8 (0 to 255) or floating-point, x.astype('float32')")
    if len(shape) not in (2, 3, 4) or 0 in shape:
        raise ValueError(f"{where}: has shape {shape}; must be (N, D), (N, H, W), (N, H, W, C) or (N, C, H, W)")
    axes = tuple(range(len(shape)))
    if len(shape) == 3:
        shape, axes = (shape[0], 1, *shape[1:]), (0, 1, 2, 3)
    elif len(shape) == 4 and _channels_last(where, shape, layout):
        axes = (0, 3, 1, 2)
    if isinstance(values, np.memmap):
        return replace(OnDisk.of(values), row=shape[1:], axes=axes)
    return as_stored(values.reshape(shape).transpose(axes))


def _channels_last(where: str, shape: tuple[int, ...], layout: str) -> bool:
    if layout != "auto":
        return layout == "channels_last"
    first, last = shape[1] in CHANNELS, shape[3] in CHANNELS
    if first == last:
        raise ValueError(
            f"{where}: has shape {shape}, from which the axis of the channels cannot be told; say"
            " data.layout=channels_first or channels_last"
        )
    return last


def as_labels(where: str, values: np.ndarray, count: int) -> Tensor:
    """Labels (count,).

    Args:
        where: they come from, for messages.
        values: (count,) or (count, 1).
        count: of the examples.

    Raises:
        ValueError: another shape, or no whole numbers.
    """
    if values.shape not in ((count,), (count, 1)) or values.dtype.kind not in "iu":
        raise ValueError(
            f"{where}: has labels of shape {values.shape}, {values.dtype}; must be {count} whole numbers, one for each"
            " example"
        )
    return torch.from_numpy(values.astype(np.int64).reshape(count))


def bounds(where: str, x: Stored, span: Sequence[float] | None = None) -> tuple[float, float]:
    """The range of some examples, in the units that they are read in.

    Args:
        where: they come from, for messages.
        x: examples.
        span: the range that they promise to keep.

    Raises:
        ValueError: some number is nan, infinite or out of that range.
    """
    if x.itemsize == 1:
        if span is not None:
            raise ValueError(
                f"data.span={list(span)}: {where} holds uint8, which is read as 0 to 1; leave data.span out"
            )
        return 0.0, 1.0
    low, high = span or (-math.inf, math.inf)
    found, size = list[float](), chunk(tuple(x.shape[1:]))
    for number, part in enumerate(x.split(size)):
        values = part.float().flatten(1)
        fits = (values >= low) & (values <= high) & values.isfinite()
        if not fits.all():
            row = int(fits.all(dim=1).long().argmin())
            wrong = values[row][~fits[row]][0].item()
            promised = f"outside data.span={list(span)}" if span and math.isfinite(wrong) else "not a finite number"
            raise ValueError(f"{where}: example {number * size + row} holds {wrong:g}, {promised}; mend or remove it")
        found += [values.min().item(), values.max().item()]
    if min(found) == max(found):
        raise ValueError(f"{where}: every number is {found[0]:g}, so that there is nothing to learn")
    return (low, high) if span else (min(found), max(found))
