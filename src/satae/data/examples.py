"""What a user's numbers must be like: types, shapes, ranges, labels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from satae.data.dataset import Dataset, Split, Stored, chunk
from satae.data.on_disk import OnDisk, as_stored
from satae.data.splits import shuffled_splits

CHANNELS: Final = (1, 2, 3, 4)  # how long an axis of channels may be, where the layout is to be found out
LAYOUTS: Final = ("auto", "channels_first", "channels_last")


def dataset_of(
    name: str,
    parts: Sequence[tuple[str, Split]],
    span: Sequence[float] | None = None,
    *,
    remedy: str,
    test: float,
    **choices: Any,
) -> Dataset:
    """A data set of the user's own.

    Args:
        name: of the source.
        parts: the examples to train on, and perhaps those for the test; each with where it is from, for messages.
        span: the range that they promise to keep; None for that of the training split.
        remedy: what to do where the test is unlike the rest.
        test: share for the test, where there are no examples for it.
        choices: of :func:`satae.data.splits.shuffled_splits`.

    Raises:
        ValueError: the test is of another shape or kind, a number out of range; an empty split.
    """
    (_, train), *tests = parts
    for where, part in tests:
        check_alike(where, part, train, remedy)
    for where, part in parts:
        bounds(where, part.x, span)
    splits = shuffled_splits(train, test=tests[0][1] if tests else test, **choices)
    found = bounds(parts[0][0], splits[0].x, span)  # of what is trained on: the noise may know no more
    return Dataset(name, *splits, span=found, scale=1 / 255 if train.x.itemsize == 1 else 1.0)


def check_alike(where: str, test: Split, train: Split, remedy: str) -> None:
    """Refuse a test split that is of another shape or kind than what is trained on.

    Args:
        where: the test split comes from, for the message.
        test: the split.
        train: what is trained on.
        remedy: what to do.

    Raises:
        ValueError: it is.
    """
    kinds = [
        f"{tuple(split.x.shape[1:])} of {'uint8' if split.x.itemsize == 1 else 'float32'}" for split in (test, train)
    ]
    if kinds[0] != kinds[1]:
        raise ValueError(f"{where}: its test examples are {kinds[0]}, those to train on {kinds[1]}; {remedy}")


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
            " example: y.astype('int64'), or y.argmax(1)"
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
